"""What a cold start begins with, and its pipeline."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rods.envs.calls import CallLimits
from rods.envs.guard import guard
from rods.envs.load import load_environment
from rods.errors import UserError
from rods.synthesis.case import Case, Gate
from rods.synthesis.cold.ladder import LADDER, Rung
from rods.synthesis.cold.planner import ColdPlanner, WalkedExecutor
from rods.synthesis.cold.starts import start_tasks
from rods.synthesis.cold.survey import Survey
from rods.synthesis.cold.trial import survey
from rods.synthesis.cold.walk import Walker
from rods.synthesis.failures import History, SynthesisError
from rods.synthesis.inputs import SynthesisInputs
from rods.synthesis.meaning.purpose import reads_for_nothing
from rods.synthesis.pipeline import Pipeline
from rods.task import Task

PROBES = 40  # plans of a rung after which it counts as out of reach


@dataclass(frozen=True)
class ColdStart:
    """Tools and start states with what was found out about them.

    Attributes:
        inputs: its seeds are the start states, as tasks without turns.
        found: the survey of the tools.
        rungs: those that the tools reach.
    """

    inputs: SynthesisInputs
    found: Survey
    rungs: tuple[Rung, ...]

    @property
    def parents(self) -> tuple[Task, ...]:
        """Each start state on each rung."""
        return tuple(
            start.model_copy(update={"note": rung.name})
            for rung in self.rungs
            for start in self.inputs.seeds
        )

    def pipeline(self, *, stories: bool = True) -> Pipeline:
        """Walks that are told and pass the gates."""
        return replace(
            self.inputs.pipeline(stories=stories),
            planner=_planner(self.inputs, self.found),
            executor=WalkedExecutor(self.inputs.env),
            cold=True,
        )

    def notices(self) -> list[str]:
        """What a person should know about the tools, a line each."""
        lines = []
        if failures := self.found.failures():
            named = "; ".join(f"{name} ({why})" for name, why in failures.items())
            lines.append(f"no task calls these tools, since no call succeeded: {named}")
        if missing := [rung.name for rung in LADDER if rung not in self.rungs]:
            lines.append(f"these tools reach no tasks with {', '.join(missing)}")
        return lines


def cold_inputs(spec: str, path: Path | None, limits: CallLimits | None = None) -> SynthesisInputs:
    """Tools with their start states and no task; calls run behind a guard.

    Raises:
        UserError: the classes or the start states are unusable.
    """
    if spec == "bfcl":
        raise UserError(
            "--cold: name your own classes or servers with --env package.module:Class or mcp:FILE"
        )
    plain = load_environment(spec)
    env = guard(plain, limits)
    classes = tuple(plain.classes)
    starts = tuple(start_tasks(path, env, classes))
    purpose = Gate("plan", "read for nothing", _reads_have_a_purpose)
    tools = plain.specs
    return SynthesisInputs(env, tools, starts, (), (), (), (purpose,))


def cold_start(spec: str, path: Path | None, limits: CallLimits | None = None) -> ColdStart:
    """Read the start states, and find out what the tools do and which rungs they reach.

    Raises:
        UserError: see `cold_inputs`, and no call of any tool succeeds.
    """
    inputs = cold_inputs(spec, path, limits)
    found = survey(inputs.env, inputs.tools, inputs.seeds, inputs.learned.ranges)
    planner = _planner(inputs, found)
    rungs = tuple(rung for rung in LADDER if _reached(rung, inputs.seeds, planner))
    if not rungs:
        raise UserError(
            f"environment {inputs.env.name}: no call of a tool shows or changes anything"
        )
    return ColdStart(inputs, found, rungs)


def _planner(inputs: SynthesisInputs, found: Survey) -> ColdPlanner:
    return ColdPlanner(Walker(inputs.env, found, inputs.learned.ranges))


def _reached(rung: Rung, starts: Sequence[Task], planner: ColdPlanner) -> bool:
    """Whether one of some plans of a rung succeeds."""
    if rung.depth > max(planner.walker.survey.reach().values()):
        return False
    rng = random.Random(f"cold {rung.name}")
    for _ in range(PROBES):
        start = rng.choice(starts).model_copy(update={"note": rung.name})
        try:
            planner.plan(start, History(), rng, keep=False)
        except SynthesisError:
            continue
        return True
    return False


def _reads_have_a_purpose(case: Case) -> bool:
    """Every read feeds a later call, or the words ask for it."""
    return not reads_for_nothing(case)
