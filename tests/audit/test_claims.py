"""Claim files: the bundled one in full, and one clear sentence for each wrong one."""

import tomllib
from importlib import resources

import pytest

from orthowatt.audit import Claim, ClaimSet, bundled, load_claims
from orthowatt.errors import DataError, InputError

GOOD = """
name = "mine"
title = "A title"
source = "somewhere"

[context]
model = "resnet50"
epochs = [20, 30]

[[claims]]
id = "energy"
kind = "energy"
statement = "It takes 39 kJ."
values = [39]
unit = "kJ"
source = "abstract"
"""


def written(tmp_path, text):
    path = tmp_path / "claims.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_bundled_file_holds_every_number_of_the_paper():
    claims = load_claims("arxiv-2506.16418")
    stated = {claim.id: claim.stated for claim in claims.claims if claim.values}
    assert stated["energy-none"] == "25,606 kJ"
    assert stated["energy-wht-early-late"] == "39 kJ"
    assert stated["saving-wht-early-late"] == "99.8 % less"
    assert stated["accuracy-none"] == "66 %"
    assert stated["accuracy-wht-early"] == "74 %"
    assert stated["accuracy-wht-early-late"] == "79 to 79.3 %"
    assert stated["accuracy-wht"] == "64 to 79 %"
    assert stated["accuracy-dct"] == "59 to 63 %"
    assert stated["accuracy-fft"] == "6 to 63 %"
    assert stated["memory-wht"] == "15 GB"
    assert stated["swing-validation"] == "0.03 to 0.52 fraction"
    assert claims.context.epochs == (20, 30)
    assert "batch size" in claims.unknown


def test_every_number_carries_its_source():
    assert all(claim.source for claim in load_claims("arxiv-2506.16418").claims)
    text = (resources.files("orthowatt.audit") / "hardware.toml").read_text("utf-8")
    for entry in tomllib.loads(text).values():
        assert entry["sources"]
        assert all(rate["source"] for rate in entry.get("rates", ()))


def test_a_file_of_ones_own(tmp_path):
    claims = load_claims(written(tmp_path, GOOD))
    assert claims.name == "mine"
    assert claims.claims[0].scaled == (39_000, 39_000)
    assert claims.claims[0].context is claims.context
    assert claims.context.device is None


@pytest.mark.parametrize(
    ("value", "unit", "joules"),
    [(7.2, "Wh", 25_920), (2, "MJ", 2e6), (1, "kWh", 3.6e6), (5, "J", 5)],
)
def test_energy_units(value, unit, joules):
    claim = Claim("e", "energy", "…", "here", (value,), unit)
    assert claim.scaled[0] == pytest.approx(joules)


def test_savings_become_ratios():
    less = Claim("r", "ratio", "…", "here", (99.8,), "% less", against="e")
    more = Claim("r", "ratio", "…", "here", (3, 5), "% more", against="e")
    assert less.scaled == pytest.approx((0.002, 0.002))
    assert more.scaled == pytest.approx((1.03, 1.05))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('kind = "energy"', 'kind = "enrgy"', "did you mean 'energy'"),
        ('unit = "kJ"', 'unit = "kW"', "unit 'kW', but a energy takes 'J'"),
        ("values = [39]", "values = [1, 2, 3]", "3 values; give one, or a range"),
        ("values = [39]", 'values = ["39"]', "a list of one or two numbers"),
        ("values = [39]", "values = 39", "a list of one or two numbers"),
        ("values = [39]", "values = []", "needs values and a unit"),
        ("values = [39]", "values = [-39]", "out of range"),
        ("values = [39]", "values = [0]", "0 J, which no run takes"),
        ("values = [39]", "vales = [39]", "unknown key 'vales'; did you mean 'values'"),
        ('source = "abstract"', "", "lacks 'source'"),
        ('source = "abstract"', 'source = "abstract"\nagainst = "enrgy"', "no claim; did you"),
        ('source = "abstract"', 'source = "abstract"\ncheck = "phase"', "only mechanisms have"),
        ("epochs = [20, 30]", "epochs = [30, 20]", "lowest first"),
        ("epochs = [20, 30]", "epochs = 25", "lowest first"),
        ("epochs = [20, 30]", "epoch = [20, 30]", "did you mean 'epochs'"),
        ('model = "resnet50"', "model = 50", "model = 50, but it must be a text"),
        ('model = "resnet50"', "train_images = -1", "whole number above 0"),
        ('name = "mine"', "", "the file lacks 'name'"),
    ],
)
def test_wrong_files_are_named_with_the_mend(tmp_path, old, new, text):
    assert old in GOOD
    with pytest.raises(InputError, match=text):
        load_claims(written(tmp_path, GOOD.replace(old, new, 1)))


def test_what_is_no_toml_is_damaged(tmp_path):
    with pytest.raises(DataError, match="no valid TOML"):
        load_claims(written(tmp_path, "name = "))
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "\xe9"')
    with pytest.raises(DataError, match="UTF-8"):
        load_claims(path)


def test_unknown_names_raise_with_the_bundled_ones():
    with pytest.raises(InputError, match=r"did you mean 'arxiv-2506\.16418'"):
        load_claims("arxiv-2506.16419")
    assert "arxiv-2506.16418" in bundled()


def test_ids_must_differ():
    claim = Claim("e", "energy", "…", "here", (1,), "J")
    with pytest.raises(InputError, match="'e' appears twice"):
        ClaimSet("n", "t", "s", (claim, claim))


def test_differences_need_what_they_compare_with():
    with pytest.raises(InputError, match="`against` must name"):
        Claim("d", "difference", "…", "here", (8,), "points")


def test_sites_are_padded_to_powers_of_two(tmp_path):
    site = '\n[[sites]]\nposition = "early"\nlayer = "x"\nchannels = 3\nsize = 56\npadded = 60\n'
    with pytest.raises(InputError, match="power of two of at least its size, 56"):
        load_claims(written(tmp_path, GOOD + site))
