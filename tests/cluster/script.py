"""What the agent of the cluster tests says: the ground truth, or not, by a fixed random rule."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from rods.store.store import Store
from rods.task import Task, Turn

CUE = "<|im_start|>assistant"
RATES = (0.3, 0.7, 1.0)
"""Probabilities that a turn is answered rightly; a task has one of them."""


def rate(task_id: str) -> float:
    """The probability that a turn of the task is answered rightly."""
    return RATES[int(task_id, 16) % len(RATES)]


def right(step: int, sample: int, task_id: str, turn: int) -> bool:
    """Whether a rollout of a task answers the turn rightly; the same with every engine.

    Args:
        sample: number of the rollout among those of its group.
    """
    return random.Random(f"{step} {sample} {task_id} {turn}").random() < rate(task_id)


class Script:
    """Says the actions of episodes whose tasks are in the store of a run.

    Args:
        folder: of the run.
    """

    def __init__(self, tokenizer: Any, folder: Path) -> None:
        self._tokenizer, self._folder = tokenizer, folder
        self._tasks: dict[tuple[int, int], Task] = {}

    def action(self, request: str, prompt: list[int]) -> list[int]:
        """The next action of an episode, with the token that ends it.

        Args:
            request: name of the episode: random seed, step, place, sample, number.
        """
        said = self._tokenizer.decode(prompt).count(CUE) - 1
        if request.startswith("held-out"):
            text = "I do not know."
        else:
            _, step, place, sample, _ = map(int, request.split("-"))
            text = actions(self._task(step, place), step, sample)[said]
        return [*self._tokenizer.encode(text, add_special_tokens=False), self._end]

    def give(self, step: int, place: int, task: Task) -> None:
        """The task at this place of a step, if the store has gone on since."""
        self._tasks[step, place] = task

    @property
    def _end(self) -> int:
        return int(self._tokenizer.eos_token_id)

    def _task(self, step: int, place: int) -> Task:
        if (step, place) not in self._tasks:
            store = Store(self._folder, role="reader")
            try:
                epoch = store.epochs.last()
                assert epoch is not None
                ids = epoch.ids(step, 4)
                found = store.tasks(list(ids))
                self._tasks |= {(step, i): found[task_id] for i, task_id in enumerate(ids)}
            finally:
                store.close()
        return self._tasks[step, place]


def actions(task: Task, step: int, sample: int) -> list[str]:
    """All actions of an episode."""
    found = []
    for number, turn in enumerate(task.turns):
        if turn.ground_truth and right(step, sample, task.id, number):
            found.append(written(turn))
        found.append("I am done.")
    return found


def written(turn: Turn) -> str:
    """The ground truth of a turn, as Qwen2.5 writes calls."""
    calls = [{"name": c.name, "arguments": c.arguments} for c in turn.ground_truth]
    return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)
