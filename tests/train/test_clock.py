"""Step times without the first steps, and without what lies between epochs."""

import time

import pytest
import torch

from orthowatt.train.clock import WARMUP_STEPS, StepClock


def epoch(clock, steps, seconds=0.0, between=0.0, wait=0.0):
    time.sleep(between)
    clock.start()
    for _ in range(steps):
        time.sleep(wait)
        clock.ready()
        time.sleep(seconds)
        clock.tick()
    clock.collect()


def test_the_first_steps_of_a_process_are_left_out():
    clock = StepClock(torch.device("cpu"))
    epoch(clock, WARMUP_STEPS - 2)
    assert (clock.seconds, clock.median, clock.mean) == ([], None, None)
    epoch(clock, 4)
    assert len(clock.seconds) == 2
    epoch(clock, 3)
    assert len(clock.seconds) == 5


def test_time_between_epochs_is_no_step():
    clock = StepClock(torch.device("cpu"))
    epoch(clock, WARMUP_STEPS)
    epoch(clock, 3, seconds=0.01, between=0.3)
    assert clock.median == pytest.approx(0.01, abs=0.08)
    assert max(clock.seconds) < 0.3
    assert min(clock.seconds) >= 0.01


def test_what_lies_between_two_starts_is_no_step():
    clock = StepClock(torch.device("cpu"))
    epoch(clock, WARMUP_STEPS)
    clock.start()
    for _ in range(3):
        clock.ready()
        clock.tick()
        time.sleep(0.1)  # a checkpoint
        clock.start()
    clock.collect()
    assert len(clock.seconds) == len(clock.waits) == 3
    assert max(clock.seconds) < 0.05


def test_the_wait_for_data_is_told_apart():
    clock = StepClock(torch.device("cpu"))
    epoch(clock, WARMUP_STEPS)
    epoch(clock, 3, seconds=0.02, wait=0.02)
    found = clock.metrics()
    assert 0.02 <= found["data_wait_seconds"] < found["step_seconds"]
    assert found["data_wait_share"] == pytest.approx(0.5, abs=0.3)
    assert found["host_seconds"] is None  # on the CPU host and device are one
    again = StepClock(torch.device("cpu"))
    again.load(clock.state())
    assert again.metrics() == found


def test_another_size_warms_up_again():
    clock = StepClock(torch.device("cpu"))
    epoch(clock, WARMUP_STEPS + 1)
    clock.warm_up()
    epoch(clock, WARMUP_STEPS + 2)
    assert len(clock.seconds) == 3
