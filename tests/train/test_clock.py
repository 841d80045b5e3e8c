"""Step times without the first steps, and without what lies between epochs."""

import time

import pytest
import torch

from orthowatt.train.clock import WARMUP_STEPS, StepClock


def epoch(clock, steps, seconds=0.0, between=0.0):
    time.sleep(between)
    clock.start()
    for _ in range(steps):
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
