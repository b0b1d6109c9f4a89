"""verl's training data: the tasks of the next step, drawn from the live pool by the driver.

The data set is one training step long, and each pass over it draws the next step. So an epoch of
verl is a step of ours, our epochs are exact, and the position of verl's reader means nothing: it is
not stored with a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from torch.utils.data import Dataset

from rods.errors import UserError
from rods.trainers.verl.driver import the_driver
from rods.trainers.verl.row import TRAIN


class StepTasks(Dataset[dict[str, Any]]):
    """The rows of one training step.

    verl makes it with the arguments of its own data sets.

    Raises:
        UserError: this process is not the driver.
    """

    def __init__(self, data_files: str | Sequence[str], **_: Any) -> None:
        self._driver = the_driver() if data_files == TRAIN else None
        self._rows: list[dict[str, Any]] = []
        self._next = 0

    def __len__(self) -> int:
        return self._driver.config.rollout.tasks_per_step if self._driver else 0

    def __getitem__(self, place: int) -> dict[str, Any]:
        """A row of the step; the first one draws the step.

        Raises:
            UserError: the rows are read in another order.
        """
        if self._driver is None:
            raise IndexError(place)
        if place != self._next:
            raise UserError("the tasks of a step are read in order: set data.shuffle=False")
        if place == 0:
            self._rows = [order.row() for order in self._driver.orders()]
        self._next = (place + 1) % len(self)
        return self._rows[place]

    def __reduce__(self) -> NoReturn:
        raise UserError("the tasks are drawn in the driver only: set dataloader_num_workers=0")
