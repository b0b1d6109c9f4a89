"""TRL's own `GRPOTrainer` in the place of ours, for comparisons on the same rollouts."""

from __future__ import annotations

from typing import Any

import pytest
from trl.trainer.grpo_trainer import GRPOTrainer

from rods.trainers import signal_trainer


class PlainTrainer(GRPOTrainer):
    """Trains as TRL does, and reports each step to the run."""

    def __init__(self, *, more_logs: Any, **rest: Any) -> None:
        super().__init__(**rest)
        self._more_logs = more_logs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log({**logs, **self._more_logs(logs)}, start_time)


def use_plain_trainer(patched: pytest.MonkeyPatch) -> None:
    """Runs in this process use it from now on."""
    patched.setattr(signal_trainer, "SignalTrainer", PlainTrainer)
