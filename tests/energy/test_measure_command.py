"""Any program inside a window: exit code, signals, energy."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from orthowatt.energy import EnergyMeter, measure, measure_command
from orthowatt.energy.child import Child
from orthowatt.energy.measure import append_csv, format_measurement
from orthowatt.errors import InputError, InputTypeError
from sensor_fakes import Gpu


@pytest.fixture
def meter(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=10)
    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:
        yield meter


def test_energy_time_and_returncode(meter, powercap):
    program = "echo 14000000 > intel-rapl:0/energy_uj; exit 3"
    result = measure_command(["sh", "-c", program], cwd=powercap.root, meter=meter)
    assert (result.returncode, result.signal) == (3, None)
    assert result.energy.joules == pytest.approx(4)
    assert result.to_dict()["energy"]["joules"] == pytest.approx(4)
    text = format_measurement(result)
    assert "4 J ± " in text
    assert "cpu-package:0" in text
    assert "exit code 3" in text
    assert "mean power" in text


def test_a_program_ended_by_a_signal(meter):
    result = measure_command(["sh", "-c", "kill -TERM $$"], meter=meter)
    assert (result.returncode, result.signal) == (128 + signal.SIGTERM, signal.SIGTERM)
    assert "signal 15" in format_measurement(result)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_program(number, tmp_path):
    """Sent to the measuring process, without a terminal; the program ends in its own way."""
    program = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\ntime.sleep(30)\n"
    )
    outer = (
        "import sys\nfrom orthowatt.energy import measure_command\n"
        "result = measure_command([sys.executable, '-c', sys.argv[1]])\n"
        "print(result.returncode, result.signal, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", outer, program],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        text, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert text.split() == ["42", "None"]
    assert process.returncode == 0


def test_csv_lines_share_one_header_and_unknown_is_empty(meter, tmp_path):
    path = tmp_path / "energy.csv"
    for code in (0, 7):
        append_csv(path, measure_command(["sh", "-c", f"exit {code}"], meter=meter))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["returncode"] for row in rows] == ["0", "7"]
    assert rows[1]["command"] == "sh -c 'exit 7'"
    assert (rows[0]["joules"], rows[0]["status"]) == ("", "unknown")  # the counter stood still
    assert "did not move" in rows[0]["reason"]
    with pytest.raises(InputError, match="cannot be written"):
        append_csv(tmp_path, measure_command(["true"], meter=meter))


def test_the_public_name_measure_is_the_function():
    import orthowatt.energy

    assert orthowatt.energy.measure is measure


def test_handlers_are_put_back(meter):
    before = signal.getsignal(signal.SIGTERM)
    measure_command(["true"], meter=meter)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_comes_before_the_program_starts_reaches_it():
    with Child() as child:
        os.kill(os.getpid(), signal.SIGTERM)
        assert child.run(["sleep", "30"], None, None) == -signal.SIGTERM


def test_outside_the_main_thread(meter):
    codes = []
    thread = threading.Thread(
        target=lambda: codes.append(measure_command(["false"], meter=meter).returncode)
    )
    thread.start()
    thread.join()
    assert codes == [1]


@pytest.mark.parametrize(
    ("argv", "error", "message"),
    [
        (["no-such-program-here"], InputError, "cannot be run"),
        ([os.devnull], InputError, "cannot be run"),
        ([], InputError, "no command"),
        ("ls -l", InputTypeError, "list of words"),
    ],
)
def test_what_cannot_be_run_gets_one_sentence(argv, error, message, meter):
    with pytest.raises(error, match=message):
        measure_command(argv, meter=meter)


def test_without_a_sensor_the_program_runs_and_the_text_says_why(tmp_path):
    with EnergyMeter(scope="visible", powercap_root=tmp_path) as meter:
        result = measure_command(["true"], meter=meter)
    assert result.returncode == 0
    if result.energy.joules is None:  # a machine with a GPU may know better
        assert format_measurement(result).startswith("energy      unknown: no GPU is visible")


def test_a_program_is_measured_on_the_visible_gpus(on_gpus):
    code = """
        from orthowatt.energy import measure_command
        result = measure_command(["sleep", "0.2"])
        out = result.to_dict()
    """
    out, _ = on_gpus(code, Gpu(trace=((1.0, 300.0),)))
    energy = out["energy"]
    assert energy["scope"].startswith("gpu:GPU-aaaaaaaa")
    assert abs(energy["joules"] - 300 * energy["seconds"]) <= energy["bound_joules"]
    assert energy["seconds"] >= 0.2
    # the record states what its bound rests on, and what it ran on
    (sensor,) = (s for s in out["meter"]["sensors"] if s["scope"] == energy["scope"])
    assert sensor["power_cap_watts"] == pytest.approx(770)
    assert out["host"]["gpus"][0]["power_limit_watts"] == 700
    json.dumps(out, allow_nan=False)


def test_a_csv_of_other_columns_is_left_alone(meter, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("date,kwh\n2026-01-01,3\n")
    with pytest.raises(InputError, match="date, kwh"):
        append_csv(path, measure_command(["true"], meter=meter))
    assert path.read_text() == "date,kwh\n2026-01-01,3\n"


#: Makes its terminal the controlling one, then becomes the program that it is given.
IN_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)
#: Counts the interrupts that it gets within half a second of the first, then says how many.
COUNTING = (
    "import signal, sys, time\n"
    "found = []\n"
    "signal.signal(signal.SIGINT, lambda *_: found.append(time.monotonic()))\n"
    "print('ready', flush=True)\n"
    "end = time.monotonic() + 20\n"
    "while time.monotonic() < (found[0] + 0.5 if found else end):\n"
    "    time.sleep(0.01)\n"
    "print('interrupts', len(found), flush=True)\n"
)
OUTER = (
    "import sys\nfrom orthowatt.energy import measure_command\n"
    "measure_command([sys.executable, '-c', sys.argv[1]])\n"
)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who sent a signal")
@pytest.mark.parametrize("sender", ["the terminal's keys", "kill"])
def test_an_interrupt_in_the_foreground_of_a_terminal_arrives_once(sender):
    """The terminal's own reaches the program anyway; one sent by `kill` must be passed on."""
    main, side = os.openpty()
    words = [sys.executable, "-c", IN_TERMINAL, sys.executable, "-c", OUTER, COUNTING]
    process = subprocess.Popen(words, stdin=side, stdout=subprocess.PIPE, text=True)
    os.close(side)
    try:
        assert process.stdout.readline() == "ready\n"
        if sender == "kill":
            process.send_signal(signal.SIGINT)
        else:
            os.write(main, b"\x03")
        assert process.stdout.readline() == "interrupts 1\n"
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(main)


def test_signals_are_not_blocked_in_the_program_nor_afterwards(meter):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    show = "import signal, sys; sys.exit(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
    assert measure_command([sys.executable, "-c", show], meter=meter).returncode == len(before)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_idle_before_and_after_gives_a_net_energy_in_every_output(on_gpus, tmp_path):
    code = """
        from orthowatt.energy import measure_command
        from orthowatt.energy.measure import append_csv, format_measurement
        result = measure_command(["sleep", "0.3"], idle_seconds=1.0)
        append_csv(os.environ["CSV"], result)
        out = result.to_dict() | {"text": format_measurement(result)}
    """
    table = tmp_path / "m.csv"
    out, _ = on_gpus(code, Gpu(trace=((1.0, 70.0),)), env={"CSV": str(table)})
    assert [idle["watts"] for idle in out["idle"]] == pytest.approx([70, 70], rel=0.02)
    assert {idle["state"] for idle in out["idle"]} == {"driver-idle"}
    # nothing is left of a program that draws what idling does
    net = out["net"]
    assert net["joules"] is None or net["joules"] <= net["bound_joules"]
    assert "net" in net["flags"]
    assert "net         " in out["text"]
    assert "net_joules" in table.read_text().splitlines()[0]


def test_an_estimate_is_labelled_in_text_json_and_csv(on_gpus, tmp_path):
    code = """
        from orthowatt.energy import measure_command
        from orthowatt.energy.measure import append_csv, format_measurement
        result = measure_command(["true"], estimate="power-limit")
        append_csv(os.environ["CSV"], result)
        out = result.to_dict() | {"text": format_measurement(result)}
    """
    table = tmp_path / "m.csv"
    board = Gpu(limit=600.0, events=("0 error 3", "0 power 3"))
    out, _ = on_gpus(code, board, env={"CSV": str(table)})
    assert out["energy"]["status"] == "estimated"
    assert out["text"].startswith("energy      at most ")
    assert "(estimated)" in out["text"]
    assert "1.1 × the power limit" in out["text"]
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["status"], row["method"]) == ("estimated", "power-limit")
