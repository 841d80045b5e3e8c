"""A run small enough for tests, and a progress that acts at a chosen step."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from torch import distributed

from orthowatt.config import RunConfig


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tests share their machine; torch's threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small():
    """Makes configurations of a few seconds' work in all: 10 steps of 128 digits an epoch."""

    def make(**changes) -> RunConfig:
        given = {
            "image_size": 16, "batch_size": 128, "epochs": 2, "determinism": "exact",
            "device": "cpu",
        }  # fmt: skip
        return RunConfig(**{**given, **changes})

    return make


@pytest.fixture
def alone():
    """A process group of this process alone, which still keeps buckets and hooks."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


class Recorder:
    """Keeps what a run tells; at step `at` it sends this process `number`, or raises `error`."""

    def __init__(self, at: int | None = None, number: int = signal.SIGINT, error=None) -> None:
        self.at, self.number, self.error = at, number, error
        self.calls: list[tuple] = []

    def start(self, total_steps, description):
        self.calls.append(("start", total_steps, description))

    def update(self, *facts):
        self.calls.append(("update", *facts))
        if self.at == facts[1]:
            if self.error is not None:
                raise self.error
            os.kill(os.getpid(), self.number)

    def finish(self):
        self.calls.append(("finish",))


@pytest.fixture
def recorder():
    """The class of a progress that records, and interrupts where told."""
    return Recorder
