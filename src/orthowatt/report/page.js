/* Unpacks Plotly from the page itself and draws every figure in the colours of the style sheet. */
(async () => {
  const figures = [...document.querySelectorAll(".plot")];
  const packed = document.getElementById("plotly");
  if (!figures.length || !packed || typeof DecompressionStream === "undefined") return;
  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(stream).text();
  document.head.append(library);

  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = new Map(figures.map((node) => [node, read(node.dataset.spec)]));

  /* A string such as "--ink" anywhere in a specification is a custom property of the page. */
  const paint = (value, css) => {
    if (typeof value === "string" && value.startsWith("--")) return css.getPropertyValue(value).trim();
    if (Array.isArray(value)) return value.map((item) => paint(item, css));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, css)]));
    }
    return value;
  };
  const axis = (own) => ({
    gridcolor: "--line", linecolor: "--soft", zeroline: false, showline: false,
    automargin: true, tickfont: { color: "--soft" }, ...own,
    title: { standoff: 14, font: { color: "--soft", size: 13 }, ...own.title },
  });
  const dressed = (layout) => ({
    ...layout,
    xaxis: axis(layout.xaxis),
    yaxis: axis(layout.yaxis),
    autosize: true,
    height: 430,
    margin: { l: 56, r: 12, t: 16, b: 56 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: "--ink" },
    legend: { orientation: "h", x: 0, xanchor: "left", y: -0.2, yanchor: "top", itemsizing: "trace" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "--soft", activecolor: "--ink" },
    hoverlabel: { bgcolor: "--paper", bordercolor: "--line", font: { color: "--ink" } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
  });
  const options = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["toImage", "resetScale2d"]],
    toImageButtonOptions: { format: "svg", filename: "orthowatt" },
  };
  const draw = () => {
    const css = getComputedStyle(document.documentElement);
    for (const [node, spec] of specs) {
      node.querySelector(".fallback")?.remove();
      Plotly.react(node, paint(spec.data, css), paint(dressed(spec.layout), css), options);
    }
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const paper = (on) => () => {
    document.documentElement.toggleAttribute("data-paper", on);
    draw();
  };
  addEventListener("beforeprint", paper(true));
  addEventListener("afterprint", paper(false));
})();
