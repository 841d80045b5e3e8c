"""Energy as an integral of power readings: boards without a counter, and beside a counter."""

import statistics
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from simulated import Board, Power, VirtualClock, metered, random_power, truth

from orthowatt.energy.integral import PowerIntegral

gaps = st.lists(st.floats(0.001, 5.0), min_size=1, max_size=40)
watts = st.floats(1.0, 1000.0)
windows = st.floats(0.01, 1.0)


def integrate(times, powers, window):
    found = PowerIntegral(window)
    for second, power in zip(times, powers, strict=True):
        found.add(second, power)
    return found


def polls(steps, begin=0.0):
    times = [begin]
    for step in steps:
        times.append(times[-1] + step)
    return times


@given(gaps, watts, windows)
def test_constant_power_is_exact_however_irregular_the_polls(steps, power, window):
    times = polls(steps)
    found = integrate(times, [power] * len(times), window)
    assert found.joules == pytest.approx(power * (times[-1] - times[0]), rel=1e-9)
    assert 0 <= found.uncovered_seconds <= times[-1] - times[0]


@given(gaps, st.data(), windows, st.floats(0, 1e6), st.floats(0.1, 10))
def test_shifting_time_changes_nothing_and_scaling_power_scales(steps, data, window, shift, scale):
    # a gap of just the window counts as shorter or longer by the last digit of its times
    assume(all(abs(step - window) > 1e-6 for step in steps))
    times = polls(steps)
    powers = data.draw(st.lists(watts, min_size=len(times), max_size=len(times)))
    here = integrate(times, powers, window)
    moved = integrate([t + shift for t in times], powers, window)
    scaled = integrate(times, [scale * power for power in powers], window)
    assert moved.joules == pytest.approx(here.joules, rel=1e-3)  # times of 1e6 s have 1e-10 s
    assert scaled.joules == pytest.approx(scale * here.joules, rel=1e-9)
    assert scaled.uncovered_seconds == here.uncovered_seconds


@given(st.integers(3, 60), st.data(), watts)
def test_dropped_polls_lower_coverage_and_never_the_mean(count, data, power):
    times = [0.1 * index for index in range(count)]
    kept = [0, *sorted(data.draw(st.sets(st.integers(1, count - 2)))), count - 1]
    whole = integrate(times, [power] * count, 1.0)
    fewer = integrate([times[index] for index in kept], [power] * len(kept), 1.0)
    assert fewer.joules == pytest.approx(whole.joules, rel=1e-9)
    assert fewer.uncovered_seconds >= whole.uncovered_seconds - 1e-12
    if len(kept) < count:
        assert fewer.uncovered_seconds > whole.uncovered_seconds


@given(gaps, st.data(), windows)
def test_the_mean_stays_within_what_was_read(steps, data, window):
    times = polls(steps)
    powers = data.draw(st.lists(watts, min_size=len(times), max_size=len(times)))
    mean = integrate(times, powers, window).joules / (times[-1] - times[0])
    assert min(powers) * (1 - 1e-9) <= mean <= max(powers) * (1 + 1e-9)


@given(gaps, st.data(), windows, st.integers(0, 100))
def test_parts_add_up_to_the_whole(steps, data, window, cut):
    times = polls(steps)
    powers = data.draw(st.lists(watts, min_size=len(times), max_size=len(times)))
    cut %= len(times)
    whole = integrate(times, powers, window)
    first = integrate(times[: cut + 1], powers[: cut + 1], window)
    second = integrate(times[cut:], powers[cut:], window)
    assert first.joules + second.joules == pytest.approx(whole.joules, rel=1e-9)
    assert first.uncovered_seconds + second.uncovered_seconds == pytest.approx(
        whole.uncovered_seconds, rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize(
    ("mean", "renewed", "least"), [(1.0, 0.0, 0.95), (1.0, 0.1, 0.95), (0.0, 0.0, 0.0)]
)
def test_without_a_counter_the_integral_lies_within_its_bound(mean, renewed, least):
    """Readings of the last second's mean speak for all the time, momentary ones for a part."""
    errors, bounds = [], []
    for seed in range(4):
        random, clock = Random(seed), VirtualClock(seed, overshoot=8e-4)
        boards = [
            Board(f"GPU-{i:04}", random_power(random), counter=False, mean=mean, renewed=renewed)
            for i in range(25)
        ]
        with metered(clock, *boards) as meter, meter.window("run") as window:
            clock.sleep(random.uniform(5.0, 20.0))
        for board in boards:
            energy = window.energies[f"gpu:{board.uuid}"]
            if energy.joules is None:
                assert "no-tick" in energy.flags
                continue
            assert energy.method == "nvml-power-integral"
            assert least <= energy.coverage < 1
            error = abs(energy.joules - truth(board, window))
            assert error <= energy.bound_joules
            errors.append(error / energy.joules)
            bounds.append(energy.bound_joules / energy.joules)
    assert len(errors) > 90
    if mean:
        assert statistics.median(bounds) < 0.5
        assert statistics.median(errors) < 0.05


def test_lost_polls_lower_the_coverage_of_a_window():
    """The same board polled at the usual rate, and by the two edges alone."""
    found = {}
    for sample in (True, False):
        clock = VirtualClock()
        board = Board("GPU-1", Power([(1.0, 300.0)]), counter=False)
        with metered(clock, board, sample=sample) as meter, meter.window("run") as window:
            clock.sleep(20.0)
        found[sample] = window.energy
    assert [energy.mean_watts for energy in found.values()] == pytest.approx([300, 300], rel=1e-3)
    assert found[True].coverage > 0.95 > 0.1 > found[False].coverage
    assert "low-coverage" in found[False].flags
    assert found[False].bound_joules > 770 * 18


def stats_of(board, seconds=60.0, **options):
    clock = VirtualClock()
    with metered(clock, board, **options) as meter, meter.window("run") as window:
        clock.sleep(seconds)
    return window.energy, window.devices.get(f"gpu:{board.uuid}")


@pytest.mark.parametrize(
    ("name", "architecture", "fields", "source", "seconds"),
    [
        ("NVIDIA H100 80GB HBM3", 9, True, "power.average", 1.0),
        ("NVIDIA H100 80GB HBM3", 9, False, "nvmlDeviceGetPowerUsage", 1.0),
        ("NVIDIA A100-SXM4-80GB", 7, False, "nvmlDeviceGetPowerUsage", 0.025),
        ("NVIDIA A10", 7, False, "nvmlDeviceGetPowerUsage", 1.0),
        ("Tesla V100-SXM2-16GB", 5, False, "nvmlDeviceGetPowerUsage", 0.01),
    ],
)
def test_what_a_power_reading_averages_over_depends_on_the_board(
    name, architecture, fields, source, seconds
):
    clock = VirtualClock()
    power = Power([(1.0, 300.0)])
    board = Board("GPU-1", power, name=name, architecture=architecture, fields=fields)
    with metered(clock, board) as meter:
        (sensor,) = (s for s in meter.provenance()["sensors"] if s["scope"] == "gpu:GPU-1")
    assert (sensor["power_source"], sensor["power_window_seconds"]) == (source, seconds)


def test_the_integral_beside_the_counter_agrees():
    energy, stats = stats_of(Board("GPU-1", Power([(3.0, 600.0), (2.0, 100.0)])))
    assert abs(stats.integral_over_counter) < 0.02
    assert energy.flags == ()
    assert stats.mean_watts == pytest.approx(400, rel=0.02)
    assert stats.polls == pytest.approx(600, abs=8)
    assert stats.coverage > 0.95


class Wrong:
    """Slips that a meter has been known to make, put in at the boundary that they sit at."""

    @staticmethod
    def milliwatts_as_watts(monkeypatch):
        monkeypatch.setattr("orthowatt.energy.power.watts_from_milliwatts", float)

    @staticmethod
    def watts_without_time(monkeypatch):
        class Summed(PowerIntegral):
            def add(self, seconds, watts):
                self.last = (seconds, watts)
                self.joules += watts

        monkeypatch.setattr("orthowatt.energy.trace.PowerIntegral", Summed)

    @staticmethod
    def no_start_value(monkeypatch):
        from orthowatt.energy import window

        right = window.energy_between

        def wrong(facts, start, end):
            return right(facts, start.__class__(start.seconds, 0.0, start.lag_seconds), end)

        monkeypatch.setattr(window, "energy_between", wrong)


@pytest.mark.parametrize(
    ("slip", "counter", "flag"),
    [
        ("milliwatts_as_watts", True, "integral-disagrees"),
        ("milliwatts_as_watts", False, "implausible-high"),
        ("watts_without_time", True, "integral-disagrees"),
        ("watts_without_time", False, "implausible-high"),
        ("no_start_value", True, "implausible-high"),
        ("no_start_value", True, "integral-disagrees"),
    ],
)
def test_slips_are_caught(monkeypatch, slip, counter, flag):
    def board():
        return Board("GPU-1", Power([(1.0, 300.0)]), counter=counter, offset=1e6)

    right, _ = stats_of(board())
    assert flag not in right.flags
    assert right.joules == pytest.approx(300 * right.seconds, rel=0.01)
    getattr(Wrong, slip)(monkeypatch)
    wrong, _ = stats_of(board())
    assert flag in wrong.flags
    assert abs(wrong.joules - 300 * wrong.seconds) > wrong.bound_joules or slip != "no_start_value"


def test_a_power_below_half_of_idle_is_implausible():
    clock = VirtualClock()
    board = Board("GPU-1", Power([(1.0, 30.0)]))
    with metered(clock, board) as meter:
        meter.set_idle({"gpu:GPU-1": 70.0})
        with meter.window("run") as window:
            clock.sleep(5.0)
    assert window.energy.flags == ("implausible-low",)


def test_all_zero_power_is_unknown_and_not_zero():
    for counter in (True, False):
        energy, _ = stats_of(Board("GPU-1", Power([(1.0, 0.0)]), counter=counter), seconds=5.0)
        assert energy.joules is None
        assert "no-tick" in energy.flags


def test_a_power_reading_that_fails_leaves_the_counter_measured():
    energy, stats = stats_of(Board("GPU-1", Power([(1.0, 300.0)]), events=[(0.0, "power", 3)]))
    assert energy.joules == pytest.approx(300 * energy.seconds, rel=1e-3)
    assert (stats.mean_watts, stats.integral_joules, stats.coverage) == (None, None, None)


def test_the_sampler_can_be_switched_off():
    energy, stats = stats_of(Board("GPU-1", Power([(1.0, 300.0)])), sample=False)
    assert stats is None
    assert energy.joules == pytest.approx(300 * energy.seconds, rel=1e-3)
