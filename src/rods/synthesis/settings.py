"""The settings of `rods synth`, which are also sent to worker processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rods import __version__
from rods.envs.base import Environment, InterruptibleEnvironment
from rods.envs.calls import CallLimits
from rods.envs.guard import GuardedEnvironment
from rods.errors import UserError, log_notice
from rods.extras import MODEL, require
from rods.files.reading import read_text
from rods.synthesis.batches import SIZE, Batches, JobRunner, in_processes, in_threads
from rods.synthesis.inputs import SynthesisInputs, inputs_of, of_category
from rods.synthesis.pipeline import Pipeline

if TYPE_CHECKING:  # processes that work without a model do not load its client
    from rods.synthesis.llm.backend import ModelBackend

MODEL_TRIES = 2  # parents that a job with a model tries before it gives up


@dataclass(frozen=True)
class SynthSettings:
    """Settings of `rods synth`; equal settings make equal files.

    Attributes:
        env: `bfcl`, or package.module:Class.
        tasks: file of seed tasks, for the user's own classes.
        seeds: which of the benchmark's tasks are seed tasks.
        category: only tasks of this one are varied.
        stories: whether the user is a person with a purpose.
        seed: the random seed.
        model: the model that does some stages; without one, programs do all.
        keep_refused: whether refused tasks are kept with their reasons.
        limits: of calls of the user's own tools.
    """

    env: str = "bfcl"
    tasks: Path | None = None
    seeds: str = "train"
    category: str | None = None
    stories: bool = True
    seed: int = 0
    model: ModelBackend | None = None
    keep_refused: bool = False
    limits: CallLimits = field(default_factory=CallLimits)

    def inputs(self) -> SynthesisInputs:
        """The environment and the tasks that these settings name.

        Raises:
            UserError: the settings name something that does not exist.
        """
        inputs = inputs_of(self.env, self.tasks, self.seeds, self.limits)
        return replace(inputs, parents=of_category(inputs.seeds, self.category))

    def batches(self, workers: int, notice: Callable[[str], None] = log_notice) -> Batches:
        """The batches, made by that many worker processes.

        With a model there is one process, with enough threads to use all requests at once.

        Args:
            notice: called with a line if the work will be slow.

        Raises:
            UserError: see `inputs`.
        """
        inputs = self.inputs()
        if slow := inputs.slowness():
            notice(slow)
        if self.model is not None:
            from rods.synthesis.llm.backend import jobs_at_once

            pipeline = self.model.pipeline(self._program(inputs), inputs.env)
            runner = JobRunner(pipeline, inputs.parents, self.seed, size=1, tries=MODEL_TRIES)
            return in_threads(runner, jobs_at_once(self.model.config), self.model.stop)
        if workers == 1:
            return in_threads(self.runner(inputs), 1, interruption(inputs.env))
        if isinstance(inputs.env, GuardedEnvironment):
            inputs.env.close()  # each worker has its own
        return in_processes(self.runner, workers)

    def runner(self, inputs: SynthesisInputs | None = None) -> JobRunner:
        """A runner by program.

        Raises:
            UserError: see `inputs`.
        """
        inputs = inputs or self.inputs()
        size = 1 if isinstance(inputs.env, GuardedEnvironment) else SIZE  # its calls may hang
        return JobRunner(self._program(inputs), inputs.parents, self.seed, size=size)

    def _program(self, inputs: SynthesisInputs) -> Pipeline:
        pipeline = inputs.pipeline(stories=self.stories)
        pipeline.keep_refused = self.keep_refused
        return pipeline

    def recorded(self) -> dict[str, Any]:
        """All settings that decide the outcome, to be compared when a file is resumed.

        Raises:
            UserError: the file of seed tasks cannot be read, or only once.
        """
        content = hashlib.sha256(_seeds(self.tasks).encode()).hexdigest() if self.tasks else ""
        own = {n: getattr(self, n) for n in ("env", "seeds", "category", "stories", "seed")}
        own["limits"] = self.limits.model_dump()
        model = self.model.settings() if self.model else None
        return {**own, "tasks": content, "rods": __version__, "model": model}

    @property
    def patience(self) -> int:
        """Jobs in a row without a task after which the command ends."""
        return 60 if self.model else 960

    def trouble(self) -> str:
        """The model's latest failure, if most of its questions failed; else ""."""
        return self.model.trouble if self.model else ""

    def usage(self) -> dict[str, Any]:
        """Requests, tokens and cost of the model; empty without one."""
        return {"model": self.model.usage()} if self.model else {}


def interruption(env: Environment) -> Callable[[], None]:
    """Ends the calls of an environment that are under way, if they can be ended."""
    return env.interrupt if isinstance(env, InterruptibleEnvironment) else lambda: None


def settings_with_model(
    settings: SynthSettings,
    file: Path | None,
    url: str | None,
    model: str | None,
    stages: Sequence[str] | None,
    rewrite: bool,
    verify: bool,
    journal: Path | None,
    replay: bool,
    notice: Callable[[str], None],
) -> SynthSettings:
    """The settings with a model added, as the command line names it.

    Args:
        rewrite, verify: see `LlmGrounder`.
        notice: called with one line that a person should see at once.

    Raises:
        UserError: no such stage, or the endpoint's settings are unusable.
    """
    from rods.endpoint.config import read_endpoint
    from rods.synthesis.llm.backend import ModelBackend, usable_stages

    if not replay:
        require(*MODEL)
    endpoint = read_endpoint(file, url, model)
    backend = ModelBackend(
        endpoint, usable_stages(stages), rewrite, verify, journal, replay, notice
    )
    return replace(settings, model=backend)


def _seeds(path: Path) -> str:
    """The text of the file; each worker reads it again."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise UserError(f"{path}: cannot be read more than once; write the tasks to a plain file")
    return read_text(path)
