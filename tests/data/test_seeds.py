"""Derived seeds are fixed values, part of what makes records repeat."""

from orthowatt.data.seeds import derive, shuffled


def test_values_are_fixed():
    assert derive(0) == 3456079177858693020
    assert derive(7, "batches", 3) == 4731524392189008629
    assert shuffled(1, "abcdef") == [3, 0, 5, 4, 1, 2]


def test_names_do_not_run_together():
    assert derive(1, "2") != derive(12)
    assert derive(0, "a", "b") != derive(0, "ab")


def test_a_new_key_moves_no_other():
    keys = [f"image{number}" for number in range(30)]
    fewer = [keys[i] for i in shuffled(0, keys) if keys[i] != "image7"]
    kept = [key for key in keys if key != "image7"]
    assert fewer == [kept[i] for i in shuffled(0, kept)]
