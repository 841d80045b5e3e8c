"""The true energy lies within the stated bound, on a thousand random traces in virtual time."""

import dataclasses
import statistics
from random import Random

import pytest
from simulated import Board, Power, VirtualClock, metered, random_power, truth

BOARDS = 25


def random_boards(random, clock, event=None, spans=None):
    """Boards with random traces and ticks; with `event`, that happens to each within seconds;
    with `spans`, the ticks are so irregular."""
    boards = []
    for index in range(BOARDS):
        tick = random.choice([0.02, 0.05, 0.1])
        board = Board(f"GPU-{index:04}", random_power(random), tick, random.uniform(0.0, tick))
        if spans is not None:
            phase = clock.now() - random.uniform(0.0, 0.1)
            board = dataclasses.replace(board, phase=phase, spans=spans(random))
        if event is not None:
            board.events.append((clock.now() + random.uniform(1.0, 4.0), *event))
        boards.append(board)
    return boards


def windows(seed, count, *, align, event=None, spans=None, first=0.0, **options):
    """`count` windows on each of 25 boards: (board, window, its energy of that board), after a
    window of `first` seconds that is not looked at."""
    random = Random(seed)
    clock = VirtualClock(seed, overshoot=8e-4)
    boards = random_boards(random, clock, event, spans)
    with metered(clock, *boards, align=align, **options) as meter:
        if first:
            with meter.window("first"):
                clock.sleep(first)
        for _ in range(count):
            clock.sleep(random.uniform(0.0, 0.3))
            with meter.window("run") as window:
                clock.sleep(random.choice([0.1, 0.5, 2.0, 5.0]) * random.uniform(0.5, 1.5))
            for board in boards:
                yield board, window, window.energies[f"gpu:{board.uuid}"]


@pytest.mark.parametrize("align", [True, False])
def test_the_truth_lies_within_the_bound(align):
    errors, bounds, shares = [], [], []
    for seed in range(20):  # 20 × 25 traces aligned and as many not, two windows of each
        for board, window, energy in windows(seed, 2, align=align):
            if energy.joules is None:
                assert "no-tick" in energy.flags
                continue
            error = abs(energy.joules - truth(board, window))
            assert error <= energy.bound_joules, (seed, board, energy)
            assert energy.coverage == 1.0
            errors.append(error)
            bounds.append(energy.bound_joules)
            shares.append(energy.bound_joules / energy.joules)
    assert len(errors) > 900
    # a bound that is merely huge does not pass
    assert statistics.median(bounds) <= 3 * max(errors)
    assert statistics.median(shares) < (0.005 if align else 0.2)


def jittering(random):
    return tuple(random.uniform(0.02, 0.1) for _ in range(40))


def slower_than_timed(random):
    """The first second's ticks, in which the meter times them, tell a fifth of the later ones."""
    return (0.02,) * 50 + (0.1,) * 1000


@pytest.mark.parametrize("spans", [jittering, slower_than_timed])
@pytest.mark.parametrize("align", [True, False])
def test_ticks_that_were_timed_wrong_stay_within_the_bound(align, spans):
    """From the beginning where their timing shows it, else from the first seconds on."""
    found, first = 0, 5.0 if spans is slower_than_timed else 0.0
    for seed in range(3):
        for board, window, energy in windows(seed, 4, align=align, spans=spans, first=first):
            if energy.joules is not None:
                found += 1
                error = abs(energy.joules - truth(board, window))
                assert error <= energy.bound_joules, (seed, board, energy)
    assert found > 250


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (("reset", 0), "went back"),
        (("lost", 15), "the GPU is lost"),
        (("error", 3), "does not offer it"),
    ],
)
def test_what_breaks_a_counter_is_never_measured_over(event, reason):
    broken = 0
    for board, window, energy in windows(11, 4, align=True, event=event):
        start = window.readings()[f"gpu:{board.uuid}"].seconds
        at = board.events[0][0]
        if energy.joules is not None:
            # only a window wholly before it, or after a reset, may have joules
            assert not start < at < start + energy.seconds - 2 * board.tick
            assert abs(energy.joules - truth(board, window)) <= energy.bound_joules
        elif "no-tick" not in energy.flags:
            broken += 1
            assert reason in energy.reason
            if energy.at_least_joules is not None:
                spent = board.power.joules(start, start + energy.seconds)
                assert energy.at_least_joules <= spent + 1e-6
    assert broken >= BOARDS // 2


def test_a_reset_that_the_end_no_longer_shows_is_seen_by_the_sampler():
    """A counter that was low at the start stands higher at the end in spite of the reset."""
    clock = VirtualClock()
    board = Board("GPU-1", Power([(1.0, 500.0)]), offset=-49_000.0)  # the driver is young: 1 kJ
    board.events.append((clock.now() + 5.0, "reset", 0))
    with metered(clock, board) as meter, meter.window("run") as window:
        clock.sleep(60.0)
    assert window.energy.joules is None
    assert "counter-reset" in window.energy.flags


def test_a_failed_board_keeps_what_was_read_last_as_a_floor():
    clock = VirtualClock()
    board = Board("GPU-1", Power([(1.0, 400.0)]), events=[(clock.now() + 20.0, "lost", 15)])
    with metered(clock, board) as meter, meter.window("run") as window:
        clock.sleep(30.0)
    assert window.energy.joules is None
    assert 0.95 * 400 * 18 < window.energy.at_least_joules <= 400 * 20


def test_without_a_limit_the_board_table_and_the_highest_seen_cap():
    for name, watts, cap, source in (
        ("NVIDIA H100 80GB HBM3", 300.0, 770.0, "board table"),
        ("NVIDIA L4", 100.0, 110.0, "highest seen"),
        ("NVIDIA Next", 300.0, 1540.0, "highest board"),
    ):
        clock = VirtualClock()
        board = Board("GPU-1", Power([(1.0, watts)]), limit=None, name=name)
        with metered(clock, board, align=False) as meter:
            with meter.window("run") as window:
                clock.sleep(5.0)
            sensor = meter.provenance()["sensors"][0]
        assert sensor["power_cap_watts"] == pytest.approx(cap)
        assert sensor["power_cap_from"] == source
        assert "power-cap-assumed" in window.energy.flags
        assert window.energy.bound_joules == pytest.approx(cap * 0.1 + 0.002, rel=0.02)


def test_a_limit_raised_during_the_window_raises_the_cap():
    clock = VirtualClock()
    board = Board("GPU-1", Power([(103.0, 300.0), (1e3, 500.0)]), limit=350.0)
    with metered(clock, board, align=False) as meter, meter.window("run") as window:
        clock.sleep(2.0)
        board.limit = 700.0
        clock.sleep(2.0)
    assert window.energy.bound_joules == pytest.approx(770 * 0.1, rel=0.02)
    assert window.energy.flags == ()


@pytest.mark.parametrize("watts", [380.0, 400.0])
def test_a_power_above_the_cap_is_flagged(watts):
    clock = VirtualClock()
    board = Board("GPU-1", Power([(1.0, 200.0), (0.2, watts), (1.0, 100.0)]), limit=350.0)
    with metered(clock, board) as meter, meter.window("run") as window:
        clock.sleep(6.0)
    assert ("cap-exceeded" in window.energy.flags) is (watts > 1.1 * 350)


def test_seconds_run_between_the_two_readings_used():
    clock = VirtualClock()
    board = Board("GPU-1", Power([(1.0, 300.0)]), tick=0.1, phase=0.03)
    with metered(clock, board) as meter, meter.window("run") as window:
        clock.sleep(1.234)
    ticks = window.energy.seconds / 0.1
    assert ticks == pytest.approx(round(ticks), abs=0.02)
    assert window.energy.seconds > window.seconds == pytest.approx(1.234, abs=1e-3)
    assert "edge-wait" in window.energy.flags
