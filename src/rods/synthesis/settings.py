"""The settings of `rods synth`, which are also sent to worker processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rods import __version__
from rods.envs.base import Environment, InterruptibleEnvironment
from rods.envs.bfcl_data import tool_specs
from rods.envs.calls import CallLimits
from rods.envs.guard import is_apart
from rods.errors import UserError, log_notice
from rods.extras import MODEL, require
from rods.files.reading import read_text
from rods.review import rejected, review_path
from rods.synthesis.batches import SIZE, Batches, JobRunner, in_processes, in_threads
from rods.synthesis.cold.inputs import ColdStart, cold_inputs, cold_start
from rods.synthesis.cold.ladder import Rung
from rods.synthesis.cold.survey import Survey
from rods.synthesis.inputs import SynthesisInputs, inputs_of, of_category
from rods.synthesis.pipeline import Pipeline
from rods.task import Task

if TYPE_CHECKING:  # processes that work without a model do not load its client
    from rods.synthesis.llm.backend import ModelBackend

COLD_PATIENCE = 96  # jobs: walks find soon what there is
PLAN = "plan"
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
        cold: begin with start states and no task, see `rods.synthesis.cold`.
        start: the file of these; without one the state of new objects.
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
    cold: bool = False
    start: Path | None = None

    def inputs(self) -> SynthesisInputs:
        """The environment and the tasks that these settings name.

        Raises:
            UserError: the settings name something that does not exist.
        """
        if self.env != "bfcl" and self.tasks is None:
            message = "name its seed tasks with --tasks FILE, or begin without any with --cold"
            raise UserError(f"--env {self.env}: {message}")
        inputs = inputs_of(self.env, self.tasks, self.seeds, self.limits)
        return replace(inputs, parents=of_category(inputs.seeds, self.category))

    def batches(self, workers: int, notice: Callable[[str], None] = log_notice) -> Batches:
        """The batches, made by that many worker processes.

        With a model there is one process, with enough threads to use all requests at once.

        Args:
            notice: called with each line that a person should see before any task is made.

        Raises:
            UserError: see `inputs`.
        """
        if self.cold:
            return self._cold_batches(workers, notice)
        inputs = self.inputs()
        if slow := inputs.slowness():
            notice(slow)
        if self.model is not None:
            return self._by_model(self._program(inputs), inputs.parents, inputs)
        if workers == 1:
            return in_threads(self.runner(inputs), 1, interruption(inputs.env))
        if is_apart(inputs.env):
            inputs.env.close()  # each worker has its own
        return in_processes(self.runner, workers)

    def runner(self, inputs: SynthesisInputs | None = None) -> JobRunner:
        """A runner by program.

        Raises:
            UserError: see `inputs`.
        """
        inputs = inputs or self.inputs()
        size = 1 if is_apart(inputs.env) else SIZE  # its calls may hang
        return JobRunner(self._program(inputs), inputs.parents, self.seed, size=size)

    def _by_model(
        self, program: Pipeline, parents: Sequence[Task], inputs: SynthesisInputs
    ) -> Batches:
        from rods.synthesis.llm.backend import jobs_at_once

        assert self.model is not None
        program.keep_refused = self.keep_refused
        pipeline = self.model.pipeline(program, inputs.env)
        kind = attrgetter("note" if self.cold else "category")
        runner = JobRunner(pipeline, parents, self.seed, size=1, tries=MODEL_TRIES, kind=kind)
        return in_threads(runner, jobs_at_once(self.model.config), self.model.stop)

    def _cold_batches(self, workers: int, notice: Callable[[str], None]) -> Batches:
        found = cold_start(self.env, self.start, self.limits)
        for line in found.notices():
            notice(line)
        if self.model is not None:
            return self._by_model(found.pipeline(stories=self.stories), found.parents, found.inputs)
        if workers == 1:
            return in_threads(self._cold_runner(found), 1, interruption(found.inputs.env))
        if is_apart(found.inputs.env):
            found.inputs.env.close()  # each worker has its own
        return in_processes(partial(_resumed_cold, self, found.found, found.rungs), workers)

    def _cold_runner(self, found: ColdStart) -> JobRunner:
        pipeline = found.pipeline(stories=self.stories)
        pipeline.keep_refused = self.keep_refused
        return JobRunner(pipeline, found.parents, self.seed, size=1, kind=attrgetter("note"))

    def _program(self, inputs: SynthesisInputs) -> Pipeline:
        pipeline = inputs.pipeline(stories=self.stories)
        pipeline.keep_refused = self.keep_refused
        return pipeline

    def recorded(self) -> dict[str, Any]:
        """All settings that decide the outcome, to be compared when a file is resumed.

        Raises:
            UserError: the file of seed tasks cannot be read, or only once.
        """
        content = _digest(self.tasks)
        own = {n: getattr(self, n) for n in ("env", "seeds", "category", "stories", "seed")}
        own["limits"] = self.limits.model_dump()
        model = self.model.settings() if self.model else None
        found = {**own, "tasks": content, "rods": __version__, "model": model}
        return found | ({"cold": _digest(self.start)} if self.cold else {})

    def rejected(self, out: Path) -> dict[str, Task]:
        """The tasks that a review beside the output rejects, by their id.

        Raises:
            UserError: the review or the environment is unusable.
        """
        path = review_path(out)
        if not os.path.exists(path):  # False, and no error, for a name that no file can have
            return {}
        tools = tool_specs() if self.env == "bfcl" else inputs_of(self.env, None, bare=True).tools
        return rejected(path, tools)

    @property
    def patience(self) -> int:
        """Jobs in a row without a task after which the command ends."""
        return 60 if self.model else COLD_PATIENCE if self.cold else 960

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
    chosen = usable_stages(stages)
    if settings.cold:
        if stages and PLAN in stages:
            raise UserError("--stage plan: with --cold a program plans; leave this stage out")
        chosen = tuple(stage for stage in chosen if stage != PLAN)
    backend = ModelBackend(endpoint, chosen, rewrite, verify, journal, replay, notice)
    return replace(settings, model=backend)


def _resumed_cold(settings: SynthSettings, found: Survey, rungs: tuple[Rung, ...]) -> JobRunner:
    """The runner of a worker process, with what the first process found out."""
    inputs = cold_inputs(settings.env, settings.start, settings.limits)
    return settings._cold_runner(ColdStart(inputs, found, rungs))


def _digest(path: Path | None) -> str:
    """Of the text of a file; "" without one."""
    return hashlib.sha256(_seeds(path).encode()).hexdigest() if path else ""


def _seeds(path: Path) -> str:
    """The text of the file; each worker reads it again."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise UserError(f"{path}: cannot be read more than once; write the tasks to a plain file")
    return read_text(path)
