"""Windows within windows in virtual time: additive, overlapping, cancelled, forgotten."""

import itertools
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import Board, Power, VirtualClock, metered, truth

from orthowatt.energy import EnergyMeter

A, B = "GPU-1", "GPU-2"
POWER = Power([(0.7, 620.0), (0.3, 90.0)])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["data", "train", "eval"]), st.floats(0.2, 6.0)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([0.02, 0.05, 0.1]),
    st.booleans(),
)
def test_parts_without_gaps_add_up_to_the_whole_within_a_tick(phases, tick, align):
    clock = VirtualClock(overshoot=5e-4)
    board = Board(A, POWER, tick=tick)
    with metered(clock, board, align=align) as meter:
        with meter.window("run") as run:
            epoch = run.window("epoch").open()
            parts = []
            for name, seconds in phases:
                with epoch.window(name) as part:
                    clock.sleep(seconds)
                parts.append(part)
            epoch.close()
        sums = meter.sums
    assert [part.path for part in parts] == [f"run/epoch/{name}" for name, _ in phases]
    known = sum(part.energy for part in parts)
    # between two parts lies no work; what is missing is what a tick can hide at each of the ends
    slack = 770 * (tick + 0.002)
    assert known.joules == pytest.approx(run.energy.joules, abs=slack)
    assert epoch.energy.joules == pytest.approx(run.energy.joules, abs=slack)
    for name, windows in itertools.groupby(sorted(phases), key=lambda phase: phase[0]):
        assert sums[name].windows == len(list(windows))


def test_windows_that_meet_share_the_reading_at_the_tick():
    clock = VirtualClock()
    board = Board(A, POWER, tick=0.1)
    with metered(clock, board) as meter, meter.window("run") as run:
        parts = []
        for _ in range(5):
            with run.window("train") as part:
                clock.sleep(0.77)
            parts.append(part)
    scope = f"gpu:{A}"
    begins = [part.readings()[scope].seconds for part in parts]
    ends = [begin + part.energy.seconds for begin, part in zip(begins, parts, strict=True)]
    assert begins[1:] == pytest.approx(ends[:-1], abs=1e-9)
    assert begins[0] == run.readings()[scope].seconds
    assert sum(part.energy.joules for part in parts) == pytest.approx(run.energy.joules, abs=1e-6)


def test_a_window_closes_the_parts_that_were_left_open():
    clock = VirtualClock()
    with metered(clock, Board(A, POWER)) as meter:
        run = meter.window("run").open()
        part = run.window("train").open()
        clock.sleep(1.0)
        run.close()
        assert part.energy.joules == pytest.approx(run.energy.joules)
        run = meter.window("run").open()
        part = run.window("train").open()
        clock.sleep(1.0)
        run.cancel()
        assert part.energy.joules > 0
        assert run.energy.reason == "the window was cancelled"


def test_an_exception_closes_every_level():
    clock = VirtualClock()
    with metered(clock, Board(A, POWER)) as meter:
        run = meter.window("run")
        epoch = run.window("epoch")

        def fail():
            with run, epoch, epoch.window("train"):
                clock.sleep(2.0)
                _ = {}["x"]

        with pytest.raises(KeyError):
            fail()
        assert set(meter.sums) == {"run", "epoch", "train"}
        assert all(m.energy.joules > 0 for m in meter.sums.values())


def test_overlapping_windows_are_each_right():
    clock = VirtualClock(overshoot=5e-4)
    board = Board(A, POWER, tick=0.05)
    with metered(clock, board) as meter:
        first = meter.window("first").open()
        clock.sleep(2.0)
        second = meter.window("second").open()
        clock.sleep(1.0)
        first.close()
        clock.sleep(3.0)
        second.close()
    for window in (first, second):
        assert abs(window.energy.joules - truth(board, window)) <= window.energy.bound_joules
    assert second.energy.seconds == pytest.approx(4.0, abs=0.2)


def test_a_sum_over_windows_that_were_open_at_once_says_so():
    clock = VirtualClock()
    with metered(clock, Board(A, Power([(1.0, 300.0)]))) as meter:
        with meter.window("call") as outer:
            clock.sleep(2.0)
            with meter.window("call") as inner:
                clock.sleep(2.0)
        with meter.window("other"):
            clock.sleep(1.0)
        sums = meter.sums
    assert sums["call"].energy.joules > 1.4 * outer.energy.joules
    assert "counted-twice" in sums["call"].energy.flags
    assert "counted-twice" in sums["call"].to_dict()["parts"][f"gpu:{A}"]["flags"]
    for energy in (outer.energy, inner.energy, sums["other"].energy):
        assert "counted-twice" not in energy.flags


def test_a_window_of_no_time_is_that_of_a_tick():
    """Its end must not share the reading of its own beginning, which would count nothing."""
    clock = VirtualClock()
    board = Board(A, Power([(1.0, 300.0)]), tick=0.1)
    with metered(clock, board) as meter, meter.window("step") as step:
        clock.sleep(1e-4)
    assert step.energy.joules == pytest.approx(300 * step.energy.seconds, rel=0.01)
    assert step.energy.seconds == pytest.approx(0.1, abs=1e-3)
    assert "edge-wait" in step.energy.flags


def test_several_boards_each_at_their_own_tick():
    clock = VirtualClock(overshoot=5e-4)
    boards = [Board(A, POWER, tick=0.1), Board(B, Power([(1.0, 200.0)]), tick=0.02, phase=0.007)]
    with metered(clock, *boards) as meter, meter.window("run") as window:
        clock.sleep(3.0)
    for board in boards:
        energy = window.energies[f"gpu:{board.uuid}"]
        assert abs(energy.joules - truth(board, window)) <= energy.bound_joules < 3
    assert window.energy.scope == f"gpu:{A}+gpu:{B}"
    assert set(window.devices) == {f"gpu:{A}", f"gpu:{B}"}


def test_a_window_over_half_a_minute_does_not_wait_at_its_end():
    clock = VirtualClock()
    with metered(clock, Board(A, POWER, tick=0.1)) as meter:
        for seconds, waits in ((20.0, True), (40.0, False)):
            with meter.window("run") as window:
                clock.sleep(seconds + 0.05)
            before = clock.now()
            assert (window.energy.bound_joules < 1.0) is waits
            assert before - window.readings()[f"gpu:{A}"].seconds >= seconds


def test_devices_of_windows_that_followed_each_other_are_merged():
    clock = VirtualClock()
    board = Board(A, Power([(10.0, 600.0), (10.0, 100.0)]))
    with metered(clock, board) as meter:
        for _ in range(2):
            with meter.window("train"):
                clock.sleep(9.5)
        stats = meter.sums["train"].devices[f"gpu:{A}"]
    assert stats.seconds == pytest.approx(19.0, abs=0.5)
    assert (stats.lowest_watts, stats.highest_watts) == pytest.approx((100, 600), abs=1)
    assert 300 < stats.mean_watts < 400
    assert stats.temperature_start_celsius is None  # this driver does not tell it
    assert stats.to_dict()["foreign_processes"] is None


def test_a_window_between_two_polls_has_the_values_in_force():
    clock = VirtualClock()
    board = Board(A, Power([(1.0, 300.0)]))
    with metered(clock, board, align=False) as meter, meter.window("run") as run:
        clock.sleep(2.03)
        with run.window("step") as step:
            clock.sleep(0.02)
    stats = step.devices[f"gpu:{A}"]
    assert stats.polls == 0
    assert stats.mean_watts == pytest.approx(300, rel=1e-3)
    assert stats.coverage > 0.9


def test_a_meter_handed_to_a_spawned_worker_is_a_new_one(tmp_path):
    meter = EnergyMeter("cpu", align=False, sample=50, powercap_root=tmp_path)
    with meter.window("run"):
        copy = pickle.loads(pickle.dumps(meter))
    with copy, copy.window("worker") as window:
        assert copy.provenance()["sampler"]["hertz"] == 50
    assert window.energy.scope == "cpu-package"
    assert (list(meter.sums), list(copy.sums)) == (["run"], ["worker"])
    meter.close()


def test_a_signal_handler_may_close_a_window_while_it_is_being_read():
    """The handler runs in the middle of a driver call of the thread that holds the lock."""
    clock = VirtualClock()
    board = Board(A, POWER)
    with metered(clock, board) as meter:
        run = meter.window("run").open()
        ask, calls = board.millijoules, []

        def interrupted(now):
            calls.append(now)
            if len(calls) == 3:
                run.close()
            return ask(now)

        board.millijoules = interrupted
        clock.sleep(1.0)
        with meter.window("other"):
            clock.sleep(1.0)
    assert run.energy.joules > 0
