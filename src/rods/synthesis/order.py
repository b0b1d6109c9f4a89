"""What is to be made offline, in a form that travels to worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rods import __version__
from rods.synthesis.factory import Batch, Maker, in_processes, in_threads
from rods.synthesis.world import World, of_category, world_of


@dataclass(frozen=True)
class Order:
    """Settings of `rods synth`; equal orders make equal files.

    Attributes:
        env: `bfcl`, or package.module:Class.
        tasks: file of seeds, for classes of the user's own.
        seeds: which of the benchmark's tasks are seeds.
        category: only this one.
        stories: whether a person with a purpose speaks.
        seed: of all randomness.
    """

    env: str = "bfcl"
    tasks: Path | None = None
    seeds: str = "train"
    category: str | None = None
    stories: bool = True
    seed: int = 0

    def world(self) -> World:
        """Where it is to be carried out.

        Raises:
            UserError: the order names something that is not there.
        """
        world = world_of(self.env, self.tasks, self.seeds)
        return replace(world, parents=of_category(world.seeds, self.category))

    def batches(self, workers: int) -> Callable[[int], Iterator[Batch]]:
        """The batches from a number on, made by that many processes.

        Raises:
            UserError: see `world`.
        """
        world = self.world()
        if workers == 1:
            return in_threads(_maker(self, world), 1)
        return in_processes(partial(_maker, self), workers)

    def settings(self) -> dict[str, Any]:
        """What decides the outcome, for a file that is taken up again.

        Raises:
            OSError: the file of seeds cannot be read.
        """
        content = hashlib.sha256(self.tasks.read_bytes()).hexdigest() if self.tasks else ""
        return {**asdict(self), "tasks": content, "rods": __version__}


def _maker(order: Order, world: World | None = None) -> Maker:
    world = world or order.world()
    return Maker(world.program(stories=order.stories).pipeline, world.parents, order.seed)
