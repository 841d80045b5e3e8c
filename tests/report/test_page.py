"""The page: self-contained, escaped, accessible, and honest about what is not known."""

import base64
import gzip
import itertools
import json
import re
from html.parser import HTMLParser

import pytest
from study_folders import (
    NO_SENSOR,
    all_records,
    make_record,
    make_study,
    make_transforms,
    write_study,
)

from orthowatt.audit import audit_claims
from orthowatt.config import Variant
from orthowatt.errors import DataError, InputError
from orthowatt.report.page import write_report

EVIL = '"><script>alert(1)</script>{{ 7*7 }}'


class Page(HTMLParser):
    """The page's elements, the text of its scripts, and its visible text."""

    VOID = {"meta", "link", "img", "br"}
    SHAPES = {"path", "rect", "line", "circle"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.text, self.stack = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.stack, f"never closed: {self.stack}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in self.VOID and tag not in self.SHAPES:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in self.VOID or tag in self.SHAPES:
            return
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif "style" not in self.stack:
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="session")
def html(_demo, audit, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "r.html"
    return write_report([_demo], out, audit=audit).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(html):
    return Page(html)


def made(tmp_path, *, audit=None, **study):
    """The page of a study made for one test."""
    config = make_study(**study)
    folder = write_study(tmp_path / "study", config, all_records(config))
    return Page(write_report([folder], audit=audit).read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_anywhere(html, page):
    for tag, attrs in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            value = attrs.get(name)
            if value is not None:
                assert value.startswith(("#", "data:")), (tag, name, value[:80])
    style = re.search(r"<style>(.*?)</style>", html, re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert "@font-face" not in style
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_the_plotting_library_is_carried_once_and_whole(page):
    (packed,) = [text for attrs, text in page.scripts if attrs.get("id") == "plotly"]
    source = gzip.decompress(base64.b64decode(packed)).decode()
    assert "plotly.js v" in source[:100]
    assert "Licensed under the MIT license" in source[:300]


def test_the_file_stays_small(html):
    assert 1_900_000 < len(html.encode()) < 2_300_000


def test_the_page_reads_in_order(html):
    found = [re.sub(r"<.*?>", "", text) for text in re.findall(r"<h2.*?>(.*?)</h2>", html)]
    assert found == [
        "Accuracy",
        "Time and energy",
        "What the insertion adds",
        "Figures",
        "The transforms",
        "Audit of arXiv 2506.16418",
        "Warnings and notes",
        "Machine, software and settings",
        "To repeat it",
    ]


def test_numbers_stand_without_javascript(page):
    text = page.words
    assert "± " in text
    assert "seeds can show" in text
    assert "orthowatt study demo.toml --out" in text
    assert "Example 9000" in text
    assert "torch 2.12.0" in text


def test_unknown_energy_is_a_sentence_and_never_zero(page):
    text = page.words
    assert NO_SENSOR in text
    assert "orthowatt doctor" in text
    assert not re.search(r"(?<![\d.])0 [kmµ]?J\b", text)


def test_the_page_says_energy_when_it_was_measured(powered_dir, tmp_path):
    page = Page(write_report([powered_dir], tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Energy was not measured" not in page.words
    assert "Verdict on energy" in page.words
    assert "Energy is that of gpu:GPU-1a2b3c4d" in page.words
    assert "against the measured energy of a run" in page.words


def test_text_from_records_is_text(tmp_path, audit):
    study = make_study(
        name=EVIL,
        description=EVIL,
        variants=(Variant("none"), Variant(EVIL, {"transform": "wht"})),
    )
    records = all_records(study, slug="cpu-x")
    records[0].warnings = [EVIL + " `" + EVIL + "`"]
    records[1].status, records[1].reason = "failed", EVIL
    for record in records:
        record.hardware = {**record.hardware, "cpu": EVIL, EVIL: EVIL}
        record.layers = [{"name": EVIL, "where": "after"}]
        record.energy = {"run": {"energy": {"joules": None, "reason": EVIL}}}
    transforms = make_transforms()
    transforms["spectra"]["images"][1]["name"] = EVIL
    transforms["checks"][0]["name"] = EVIL
    folder = write_study(tmp_path / "s", study, records, transforms)
    html = write_report([folder], audit=audit).read_text(encoding="utf-8")
    page = Page(html)
    assert "alert(1)</script>" not in html
    assert page.words.count("<script>alert(1)</script>{{ 7*7 }}") > 10
    kinds = sorted(attrs.get("type", "code") for attrs, _ in page.scripts)
    assert kinds == ["application/json", "application/json", "code", "text/plain"]
    for attrs, text in page.scripts:
        if attrs.get("type") == "application/json":
            names = {
                trace.get("legendgroup", trace.get("name")) for trace in json.loads(text)["data"]
            }
            assert any("alert(1)" in name for name in names)


def test_it_can_be_read_by_everyone(page):
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    assert all(cell.get("scope") for cell in page.all("th"))
    plots = [node for node in page.all("div") if node.get("class") == "plot"]
    assert len(plots) == 2
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in page.all("a") if a.get("href", "").startswith("#")}
    assert targets <= set(ids)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_has_contrast(html, theme):
    blocks = re.findall(r":root(?::not\(\[data-paper\]\))? \{(.*?)\}", html, re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[theme]))
    pairs = [("ink", "paper"), ("soft", "paper"), ("accent", "paper"), ("ink", "wash"),
             ("ink", "plain-wash"), ("good", "good-wash"), ("bad", "bad-wash"),
             ("doubt", "doubt-wash"), ("note", "note-wash")]  # fmt: skip
    for text, ground in pairs:
        one, two = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (one + 0.05) / (two + 0.05) >= 4.5, (text, ground)


def test_several_studies_are_sections_on_their_own_devices(demo_dir, tmp_path):
    study = make_study(name="other")
    records = all_records(study, slug="gpu-11111111-x") + all_records(study, slug="cpu-y")
    other = write_study(tmp_path / "other", study, records)
    out = write_report([demo_dir, other], tmp_path / "r.html")
    page = Page(out.read_text(encoding="utf-8"))
    assert "2 studies on 3 devices" in page.words
    ids = {attrs.get("id") for _, attrs in page.elements}
    assert {"study-1", "study-2", "study-3"} <= ids
    assert len([node for node in page.all("div") if node.get("class") == "plot"]) == 6


def test_the_same_records_give_the_same_file(demo_dir, tmp_path):
    one = write_report([demo_dir], tmp_path / "1.html").read_bytes()
    assert one == write_report([demo_dir], tmp_path / "2.html").read_bytes()


def test_a_study_without_runs_has_a_page(tmp_path):
    folder = write_study(tmp_path / "s", make_study(), [])
    page = Page(write_report([folder]).read_text(encoding="utf-8"))
    assert "No run of this study is finished yet" in page.words
    assert not [attrs for attrs, _ in page.scripts if attrs.get("id") == "plotly"]


def test_a_page_with_one_seed_or_one_variant(tmp_path):
    assert "one seed: no interval" in made(tmp_path / "a", seeds=(0,)).words
    alone = made(tmp_path / "b", variants=(Variant("none"),))
    assert "there is nothing to compare with" in alone.words


def test_a_failed_run_is_named(tmp_path):
    study = make_study()
    records = all_records(study)
    records[7].status, records[7].reason = "failed", "the loss is not finite"
    folder = write_study(tmp_path / "s", study, records)
    page = Page(write_report([folder]).read_text(encoding="utf-8"))
    assert f"{records[7].variant}, seed 1: failed: the loss is not finite" in page.words
    assert "2 of 3" in page.words


def test_an_unfit_picture_says_why(tmp_path):
    study = make_study(seeds=(0,))
    transforms = make_transforms()
    transforms["spectra"]["images"][2]["values"] = [[1, 2], [3]]
    folder = write_study(tmp_path / "s", study, all_records(study), transforms)
    page = Page(write_report([folder]).read_text(encoding="utf-8"))
    assert "rows of equal length" in page.words
    assert len(page.all("img")) == 3


def test_the_audit_shows_verdicts_reasons_and_workings(page, audit):
    text = page.words.replace(" ", "")
    for finding in audit.results:
        parts = [finding.statement, finding.reason, finding.verdict]
        parts += [part for w in finding.workings for part in (w.label, w.text, w.formula)]
        parts += [part for e in finding.explanations for part in (e.name, e.arithmetic)]
        parts += [part for s in finding.slips for part in (s.name, s.text, s.arithmetic)]
        for part in parts:
            assert part.replace("`", "").replace(" ", "") in text


def test_the_bundled_audit_has_a_page(tmp_path):
    bundled = audit_claims("arxiv-2506.16418")
    page = Page(write_report([], tmp_path / "a.html", audit=bundled).read_text(encoding="utf-8"))
    assert len(page.all("article")) == len(bundled.results)
    assert all(finding.statement in page.words for finding in bundled.results)
    assert "implausible" in page.words


def test_an_audit_alone_is_a_page(tmp_path, audit):
    page = Page(write_report([], tmp_path / "a.html", audit=audit).read_text(encoding="utf-8"))
    assert len(page.all("article")) == len(audit.results)
    assert not [attrs for attrs, _ in page.scripts]


def test_the_file_lies_beside_the_study_unless_told(demo_dir, tmp_path):
    assert write_report([demo_dir], format="csv") == demo_dir / "report.csv"
    assert write_report([demo_dir], tmp_path / "deep" / "x.md", format="md").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"format": "pdf"}, InputError, "format is 'pdf', but must be one of html, md, json, csv"),
        ({"directories": []}, InputError, "nothing to report on"),
        ({"out": "."}, InputError, "is a folder, but out must be a file"),
        ({"directories": ["nowhere"]}, DataError, "holds no study.json"),
    ],
)
def test_bad_input_is_one_clear_sentence(demo_dir, arguments, error, message):
    values = {"directories": [demo_dir], **arguments}
    with pytest.raises(error, match=re.escape(message)):
        write_report(values.pop("directories"), values.pop("out", None), **values)


def test_an_audit_alone_must_be_told_where(audit):
    with pytest.raises(InputError, match="say where with out=FILE"):
        write_report([], audit=audit)


def test_one_record_of_one_run_is_enough(tmp_path):
    make_record(make_study(), "wht", 0).save(tmp_path / "solo")
    page = Page(write_report([tmp_path / "solo"]).read_text(encoding="utf-8"))
    assert "One variant was run, wht" in page.words
