"""Pictures made without a plotting library, read back with one that others wrote."""

import base64
import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from orthowatt.errors import InputError
from orthowatt.report.pictures import CIVIDIS, grey_picture, heat_map, interval_svg


def pixels(uri):
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_grey_picture_runs_from_black_to_white():
    assert pixels(grey_picture([[0, 5], [10, 2.5]])).tolist() == [[0, 128], [255, 64]]


def test_a_constant_picture_is_no_division_by_zero():
    assert pixels(grey_picture([[7, 7]])).tolist() == [[0, 0]]
    assert pixels(heat_map([[0.0, 0.0]])).tolist() == [[list(CIVIDIS[0])] * 2]


def test_a_heat_map_is_logarithmic_and_blind_to_sign():
    image = pixels(heat_map([[1.0, -1.0, 0.1, 1e-4], [1e-9, 0.0, 0.01, 0.5]]))
    assert image.shape == (2, 4, 3)
    assert tuple(image[0, 0]) == tuple(image[0, 1]) == CIVIDIS[-1]
    assert tuple(image[0, 3]) == tuple(image[1, 0]) == tuple(image[1, 1]) == CIVIDIS[0]
    light = image.astype(int).sum(-1)
    assert light[0, 0] > light[1, 3] > light[0, 2] > light[1, 2] > light[0, 3]


@pytest.mark.parametrize(
    "values", [[], [[]], [[1, 2], [3]], [[float("nan")]], [["x"]], 3, [1, 2], None]
)
def test_what_is_no_matrix_is_refused_in_a_sentence(values):
    with pytest.raises(InputError, match="a picture needs"):
        heat_map(values)


def svg(*args, **kwargs):
    return ET.fromstring(interval_svg(*args, margin=0.01, limit=0.04, label="x", **kwargs))


def test_an_interval_lies_where_its_numbers_are():
    root = svg(0.02, 0.0, 0.04)
    dot = root.find("circle")
    whisker = root.find("line[@class='whisker']")
    assert float(dot.get("cx")) == pytest.approx((84 + 161) / 2, abs=0.1)
    assert (float(whisker.get("x1")), float(whisker.get("x2"))) == (84, 161)
    band = root.find("rect")
    assert float(band.get("x")) + float(band.get("width")) / 2 == pytest.approx(84, abs=0.1)


def test_what_runs_out_of_the_line_ends_in_arrows():
    root = svg(0.0, -0.5, 0.5)
    assert len(root.findall("path")) == 2
    far = svg(-0.2, -0.21, -0.19)
    assert far.find("circle") is None
    assert far.findall("path")


def test_a_single_pair_has_a_dot_and_no_whisker():
    root = svg(0.01, None, None)
    assert root.find("circle") is not None
    assert root.find("line[@class='whisker']") is None


def test_the_label_is_escaped():
    text = interval_svg(0, None, None, margin=0.01, limit=0.04, label='"><script>')
    assert "<script>" not in text
    assert ET.fromstring(text).get("aria-label") == '"><script>'
