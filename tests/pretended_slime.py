"""Test double of the two classes of slime that a data source needs (slime needs GPUs to install).

The fields of `Sample` are those of slime's `slime/utils/types.py`, the first three in its order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass
class Sample:
    group_index: int | None = None
    index: int | None = None
    prompt: str = ""
    reward: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)

    class Status(Enum):
        PENDING = "pending"
        COMPLETED = "completed"
        ABORTED = "aborted"
        FAILED = "failed"

    status: Status = Status.PENDING

    def get_reward_value(self, args: Any) -> float:
        reward: float = self.reward[args.reward_key] if args.reward_key else self.reward
        return reward


class DataSource(ABC):
    @abstractmethod
    def get_samples(self, num_samples: int) -> list[list[Sample]]: ...

    @abstractmethod
    def add_samples(self, samples: list[list[Sample]]) -> None: ...

    @abstractmethod
    def save(self, rollout_id: int) -> None: ...

    @abstractmethod
    def load(self, rollout_id: int | None = None) -> None: ...

    @abstractmethod
    def __len__(self) -> int: ...
