"""What is to be made offline, in a form that travels to worker processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rods import __version__
from rods.errors import UserError
from rods.extras import MODEL, require
from rods.files.reading import read_text
from rods.synthesis.maker import Batches, Maker, in_processes, in_threads
from rods.synthesis.world import SynthesisInputs, of_category, world_of

if TYPE_CHECKING:  # processes that work without a model need not load its client
    from rods.synthesis.llm.backend import ModelOrder

MODEL_PARENTS = 2  # seeds that a job of the model tries before it gives up


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
        model: what a model does, if there is one.
    """

    env: str = "bfcl"
    tasks: Path | None = None
    seeds: str = "train"
    category: str | None = None
    stories: bool = True
    seed: int = 0
    model: ModelOrder | None = None

    def world(self) -> SynthesisInputs:
        """Where it is to be carried out.

        Raises:
            UserError: the order names something that is not there.
        """
        world = world_of(self.env, self.tasks, self.seeds)
        return replace(world, parents=of_category(world.seeds, self.category))

    def batches(self, workers: int) -> Batches:
        """The batches made by that many processes.

        With a model there is one process, and as many threads as it takes requests at once.

        Raises:
            UserError: see `world`.
        """
        world = self.world()
        if self.model is not None:
            from rods.synthesis.llm.backend import jobs_at_once

            pipeline = self.model.pipeline(world, stories=self.stories)
            maker = Maker(pipeline, world.parents, self.seed, size=1, parents=MODEL_PARENTS)
            return in_threads(maker, jobs_at_once(self.model.endpoint), self.model.stop)
        if workers == 1:
            return in_threads(_maker(self, world), 1)
        return in_processes(partial(_maker, self), workers)

    def settings(self) -> dict[str, Any]:
        """What decides the outcome, for a file that is taken up again.

        Raises:
            UserError: the file of seeds cannot be read, or only once.
        """
        content = hashlib.sha256(_seeds(self.tasks).encode()).hexdigest() if self.tasks else ""
        own = {n: getattr(self, n) for n in ("env", "seeds", "category", "stories", "seed")}
        model = self.model.settings() if self.model else None
        return {**own, "tasks": content, "rods": __version__, "model": model}

    @property
    def patience(self) -> int:
        """Jobs without a task after which the seeds or the model are given up."""
        return 60 if self.model else 960

    def trouble(self) -> str:
        """What the model fails in, if it does for the most part; else ""."""
        return self.model.trouble if self.model else ""

    def usage(self) -> dict[str, Any]:
        """What the model was asked, if there is one."""
        return {"model": self.model.usage()} if self.model else {}


def model_order(
    order: Order,
    file: Path | None,
    url: str | None,
    model: str | None,
    stages: Sequence[str] | None,
    rewrite: bool,
    journal: Path | None,
    replay: bool,
    notice: Callable[[str], None],
) -> Order:
    """The order with a model in it, from what the command line says.

    Args:
        notice: called with one line that a person should see at once.

    Raises:
        UserError: no such stage, or the endpoint's settings are unusable.
    """
    from rods.synthesis.llm.backend import ModelOrder, read_endpoint, usable_stages

    if not replay:
        require(*MODEL)
    endpoint = read_endpoint(file, url, model)
    wanted = ModelOrder(endpoint, usable_stages(stages), rewrite, journal, replay, notice)
    return replace(order, model=wanted)


def _maker(order: Order, world: SynthesisInputs | None = None) -> Maker:
    world = world or order.world()
    return Maker(world.pipeline(stories=order.stories), world.parents, order.seed)


def _seeds(path: Path) -> str:
    """The text of the file; each worker reads it again."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise UserError(f"{path}: cannot be read more than once; write the seeds to a plain file")
    return read_text(path)
