"""Dynamic sampling of DAPO (arXiv 2503.14476, section 3.2): all groups of a batch have signal.

Groups without signal teach nothing, so more batches are played by the same weights until the groups
with signal fill one.

Departure from DAPO: a batch that is played counts as a training step, whether
or not it ends in an update, so that runs of equal length have equally many trajectories.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rods.files.output import Output

FILE = "held_groups.json"  # in a checkpoint


class Row(NamedTuple):
    """What the trainer needs of a rollout; a reward of None is left out of the gradient."""

    prompt_ids: list[int]
    completion_ids: list[int]
    logprobs: list[float]
    mask: list[int]
    reward: float | None


class DynamicSampling:
    """Collects groups with signal until they fill a batch.

    Args:
        groups: of a batch.
        most: batches that are played for one update; after these it has groups without signal too.
    """

    def __init__(self, groups: int, most: int) -> None:
        self.groups, self.most = groups, most
        self._held: list[list[Row]] = []
        self._batches = 0

    def add(self, played: Sequence[list[Row]]) -> list[Row] | None:
        """The rows to train on now; None if another batch must be played first.

        As in DAPO, groups with signal beyond a batch are not kept: they would be off-policy.
        """
        self._held += [group for group in played if _signal(group)]
        self._batches += 1
        if len(self._held) < self.groups and self._batches < self.most:
            return None
        rest = [group for group in played if not _signal(group)]
        chosen = [*self._held, *rest][: self.groups]
        self._held, self._batches = [], 0
        return [row for group in chosen for row in group]

    def save(self, checkpoint: Path) -> None:
        """Write the groups that are held into a checkpoint's folder."""
        state = {"batches": self._batches, "held": self._held}
        Output(checkpoint / FILE).write(json.dumps(state))

    def load(self, checkpoint: Path) -> None:
        """Go on as after `save`."""
        state = json.loads((checkpoint / FILE).read_text("utf-8"))
        self._batches = state["batches"]
        self._held = [[Row(*row) for row in group] for group in state["held"]]


def _signal(group: Sequence[Row]) -> bool:
    return len({row.reward for row in group if row.reward is not None}) > 1
