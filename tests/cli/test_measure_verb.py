"""`orthowatt measure`: where its output goes beside the command's own."""

import json
import subprocess
import sys

import pytest

from orthowatt.cli import main


@pytest.mark.parametrize("printed", ["", "a line\n", "an open line"])
def test_the_json_starts_on_a_line_of_its_own_in_a_file(printed, capfd):
    assert main(["measure", "--json", "--", "printf", printed]) == 0
    text = capfd.readouterr().out
    before, brace, rest = text.partition("{")
    assert before == printed + ("\n" if printed == "an open line" else "")
    assert json.loads(brace + rest)["command"] == ["printf", printed]


def test_the_json_starts_on_a_line_of_its_own_in_a_pipe():
    words = [sys.executable, "-m", "orthowatt", "measure", "--json", "--", "printf", "open"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    first, _, rest = text.partition("\n")
    assert first == "open"
    assert json.loads(rest)["returncode"] == 0
