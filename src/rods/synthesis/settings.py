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
from rods.reading import read_text
from rods.synthesis.batches import Batches, JobRunner, in_processes, in_threads
from rods.synthesis.inputs import SynthesisInputs, inputs_of, of_category

if TYPE_CHECKING:  # processes that work without a model need not load its client
    from rods.synthesis.llm.backend import ModelBackend

MODEL_PARENTS = 2  # seeds that a job of the model tries before it gives up


@dataclass(frozen=True)
class SynthSettings:
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
    model: ModelBackend | None = None

    def inputs(self) -> SynthesisInputs:
        """Where it is to be carried out.

        Raises:
            UserError: the order names something that is not there.
        """
        world = inputs_of(self.env, self.tasks, self.seeds)
        return replace(world, parents=of_category(world.seeds, self.category))

    def batches(self, workers: int) -> Batches:
        """The batches made by that many processes.

        With a model there is one process, and as many threads as it takes requests at once.

        Raises:
            UserError: see `world`.
        """
        world = self.inputs()
        if self.model is not None:
            from rods.synthesis.llm.backend import jobs_at_once

            program = world.pipeline(stories=self.stories)
            pipeline = self.model.pipeline(program, world.env)
            maker = JobRunner(pipeline, world.parents, self.seed, size=1, parents=MODEL_PARENTS)
            return in_threads(maker, jobs_at_once(self.model.config), self.model.stop)
        if workers == 1:
            return in_threads(_maker(self, world), 1)
        return in_processes(partial(_maker, self), workers)

    def recorded(self) -> dict[str, Any]:
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


def settings_with_model(
    order: SynthSettings,
    file: Path | None,
    url: str | None,
    model: str | None,
    stages: Sequence[str] | None,
    rewrite: bool,
    journal: Path | None,
    replay: bool,
    notice: Callable[[str], None],
) -> SynthSettings:
    """The order with a model in it, from what the command line says.

    Args:
        notice: called with one line that a person should see at once.

    Raises:
        UserError: no such stage, or the endpoint's settings are unusable.
    """
    from rods.synthesis.llm.backend import ModelBackend, usable_stages
    from rods.synthesis.llm.config import read_endpoint

    if not replay:
        require(*MODEL)
    endpoint = read_endpoint(file, url, model)
    wanted = ModelBackend(endpoint, usable_stages(stages), rewrite, journal, replay, notice)
    return replace(order, model=wanted)


def _maker(order: SynthSettings, world: SynthesisInputs | None = None) -> JobRunner:
    world = world or order.inputs()
    return JobRunner(world.pipeline(stories=order.stories), world.parents, order.seed)


def _seeds(path: Path) -> str:
    """The text of the file; each worker reads it again."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise UserError(f"{path}: cannot be read more than once; write the seeds to a plain file")
    return read_text(path)
