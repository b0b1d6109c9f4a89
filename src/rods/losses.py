"""Rollouts that the environment lost: each cause is shown once; a broken one ends the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rods.errors import UserError
from rods.rollout.rollout import Rollout

BROKEN = 3  # steps in a row in which the environment lost most rollouts, which end a run
REASONS = 5  # distinct causes that are shown


class Losses:
    """What the environment lost during a run.

    Args:
        folder: of the run.
        name: of a task, by its id.
        notice: is called with one line for each new cause.
    """

    def __init__(
        self, folder: Path, name: Callable[[str], str], notice: Callable[[str], None]
    ) -> None:
        self._folder, self._name, self._notice = folder, name, notice
        self._reasons: set[str] = set()
        self._broken = 0  # steps in a row

    def observe(self, rollouts: Sequence[Rollout]) -> None:
        """Take the rollouts of a training step.

        Raises:
            UserError: the environment lost most of several steps in a row.
        """
        lost = [rollout for rollout in rollouts if rollout.lost]
        for rollout in lost:
            self._show(rollout.failure.removeprefix(f"task {self._name(rollout.task_id)}: "))
        self._broken = self._broken + 1 if 2 * len(lost) > len(rollouts) else 0
        if self._broken >= BROKEN:
            message = f"the environment lost most rollouts of {BROKEN} steps in a row"
            way = "fix it, and resume by the same command"
            raise UserError(f"{self._folder}: {message}: {lost[0].failure}; {way}")

    def _show(self, cause: str) -> None:
        if cause in self._reasons or len(self._reasons) >= REASONS:
            return
        self._reasons.add(cause)
        last = "; further causes are in metrics.jsonl only" * (len(self._reasons) == REASONS)
        self._notice(f"the environment lost rollouts, which are not trained on: {cause}{last}")
