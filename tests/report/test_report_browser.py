"""The page in a real browser: figures are drawn, nothing is asked of the network."""

import json
import re
import shutil
import subprocess

import pytest

from orthowatt.report.page import write_report

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium"),
]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
    "--virtual-time-budget=8000",
)  # fmt: skip


class Visit:
    """A page opened once: its DOM, what it said on the console, what it asked the network for."""

    def __init__(self, page, folder, *flags, output="--dump-dom"):
        log = folder / "net.json"
        command = [BROWSER, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}",
                   f"--log-net-log={log}", output, page.as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        self.dom = done.stdout
        self.console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        self.requests = list(asked_by_page(json.loads(log.read_text(encoding="utf-8"))))


def asked_by_page(log):
    """URLs that the page asked for; Chromium's own errands have "not an origin" as initiator."""
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    for event in log["events"]:
        values = event.get("params", {})
        if event["type"] == start and values.get("initiator", "not an origin") != "not an origin":
            yield values["url"]


@pytest.fixture(scope="module")
def html(_demo, audit, tmp_path_factory):
    out = tmp_path_factory.mktemp("browser") / "r.html"
    return write_report([_demo], out, audit=audit)


def test_the_log_sees_a_page_that_does_load_something(tmp_path):
    page = tmp_path / "p.html"
    page.write_text('<img src="http://probe.invalid/x.png">', encoding="utf-8")
    assert Visit(page, tmp_path).requests == ["http://probe.invalid/x.png"]


def test_the_console_tells_of_a_load_that_the_policy_stops(html, tmp_path):
    page = tmp_path / "p.html"
    text = html.read_text(encoding="utf-8")
    page.write_text(text.replace("<main", '<img src="http://probe.invalid/x.png"><main'))
    visit = Visit(page, tmp_path)
    assert visit.requests == []
    assert any("Content Security Policy" in line for line in visit.console)


@pytest.mark.parametrize("policy", [True, False], ids=["as written", "without its policy"])
def test_figures_are_drawn_and_nothing_is_loaded(html, tmp_path, policy):
    page = tmp_path / "p.html"
    text = html.read_text(encoding="utf-8")
    page.write_text(text if policy else re.sub(r"<meta http-equiv.*?>", "", text))
    visit = Visit(page, tmp_path)
    assert visit.requests == []
    assert visit.console == []
    assert len(re.findall(r'class="plot js-plotly-plot"', visit.dom)) == 2
    assert len(re.findall(r'<g class="trace scatter', visit.dom)) == 24 + 8 + 8
    assert "This figure is drawn by JavaScript" not in visit.dom
    names = set(re.findall(r'<text class="legendtext"[^>]*>(.*?)</text>', visit.dom))
    assert {"none", "wht", "wht filter"} <= names


@pytest.mark.parametrize(("scheme", "ink"), [("0", "233, 233, 230"), ("1", "29, 32, 36")])
def test_figures_follow_light_and_dark(html, tmp_path, scheme, ink):
    visit = Visit(html, tmp_path, f"--blink-settings=preferredColorScheme={scheme}")
    assert len(re.findall(rf"stroke: rgb\({ink}\)", visit.dom)) >= 2


def test_a_phone_scrolls_tables_and_not_the_page(html, tmp_path):
    told = """<script>addEventListener("load", () => setTimeout(() => {
      const root = document.documentElement, plots = [...document.querySelectorAll(".main-svg")];
      parent.postMessage({wide: root.scrollWidth, plots: plots.map(p => p.clientWidth)}, "*");
    }, 3000))</script></body>"""
    page = tmp_path / "p.html"
    page.write_text(html.read_text(encoding="utf-8").replace("</body>", told))
    frame = tmp_path / "frame.html"
    frame.write_text(
        '<iframe src="p.html" width="400" height="3000"></iframe><p id="out"></p><script>'
        "onmessage = (e) => out.textContent = JSON.stringify(e.data)</script>"
    )
    dom = Visit(frame, tmp_path).dom
    found = json.loads(re.search(r'<p id="out">(.*?)</p>', dom).group(1))
    assert found["wide"] <= 400
    assert found["plots"]
    assert max(found["plots"]) <= 400


def test_paper_is_light_and_carries_the_figures(html, tmp_path):
    out = tmp_path / "r.pdf"
    Visit(html, tmp_path, "--blink-settings=preferredColorScheme=0", output=f"--print-to-pdf={out}")
    assert out.read_bytes().startswith(b"%PDF")
    assert out.stat().st_size > 40_000
