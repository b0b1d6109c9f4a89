"""Several processes of one run, connected by `torch.distributed`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import distributed

from rods.errors import UserError, shown
from rods.ranks import Ranks

T = TypeVar("T")
PATIENCE = timedelta(days=7)
"""How long a process waits for the others. One that ends is noticed at once."""


class TorchRanks(Ranks):
    """One of the processes that `torchrun` started.

    What is decided and gathered goes through a group of its own, on CPUs: a process may wait long
    for the rollouts of another, and the groups of GPUs give up after some minutes.
    """

    def __init__(self) -> None:
        state = PartialState(cpu=not torch.cuda.is_available())
        self.rank, self.size = state.process_index, state.num_processes
        self._group = distributed.new_group(backend="gloo", timeout=PATIENCE)

    def broadcast(self, value: T | None) -> T | None:
        values = [value]
        with _connected():
            distributed.broadcast_object_list(values, src=0, group=self._group)
        return values[0]

    def gather(self, value: T) -> list[T]:
        values: list[T] = [value] * self.size
        with _connected():
            distributed.all_gather_object(values, value, group=self._group)
        return values

    def collect(self, value: T) -> list[T]:
        values = [value] * self.size if self.first else None
        with _connected():
            distributed.gather_object(value, values, dst=0, group=self._group)
        return values or []

    def close(self) -> None:
        with _connected():
            distributed.barrier(group=self._group)
            distributed.destroy_process_group()  # threads of it must not outlive the interpreter


@contextmanager
def _connected() -> Iterator[None]:
    """Report the end of another process.

    Raises:
        UserError: it has ended.
    """
    try:
        yield
    except RuntimeError as error:
        message = "another process of the run has ended; its message says why"
        raise UserError(f"{message} ({shown(str(error), 120)})") from error
