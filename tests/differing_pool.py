"""`rods`, whose second process changes the tasks of its pool before the second epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator

from rods.cli import main
from rods.trainers.trl import TrlTrainer

stream = TrlTrainer.stream


def changed(training: TrlTrainer) -> Iterator[dict[str, str]]:
    if os.environ["RANK"] == "1":
        for task_id, task in training._tasks.items():  # none before the first epoch
            turns = (task.turns[0].model_copy(update={"user": "Another."}), *task.turns[1:])
            training._tasks[task_id] = task.model_copy(update={"turns": turns})
    yield from stream(training)


TrlTrainer.stream = changed
main()
