"""The pipeline: plan -> execute -> ground -> augment -> critique, with every failure counted.

Each stage is an object; it may work by program or by a model. What a failed attempt showed is used
by the next one (`failures`). After its last attempt a parent is given up.

Open in the paper: whether a task is augmented before or after its critique. Here it is before, so
that the task that was judged is the one that is trained on.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rods.job_result import Spent
from rods.synthesis.augment import augment, base_form
from rods.synthesis.critique import Critic, Question
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.stages import Executed, Executor, Grounder, Judge, Plan, Planner
from rods.task import Task

if TYPE_CHECKING:
    from rods.synthesis.program import ProgramStages

T = TypeVar("T")
ATTEMPTS = 3  # for one parent (paper, appendix J)
FRESH_SEEDS = 20
FRESH_ATTEMPTS = 5  # for one seed task; small ones succeed more easily, so another is drawn then
MAX_GIVEN_UP = 1_000
OF_CALLS = (
    "plan:", "execute:", "augment: withheld", "critique: reward", "critique: official",
)  # fmt: skip
"""The beginnings of faults that do not depend on the words."""


def _failures() -> deque[dict[str, Any]]:
    return deque(maxlen=MAX_GIVEN_UP)


@dataclass
class Pipeline:
    """Makes verified tasks; a `jobs.Synthesis`.

    `program.program_pipeline` has all stages by program, `llm.backend.with_model` some by a model.

    Args:
        program: all stages by program; fresh tasks are always made by these.
        critic: the gates.
        fits: whether a task fits the agent's limits, such as its context.
        origin: stored with each task: "program" or "llm".
        judge: sees the tasks that have passed the gates.
        signature: what did the stages, for each task's lineage.
        rewind: called when a run goes back to an earlier state.
        used: returns what a model was used for so far.
        replan: whether a variant may have other tools than its parent.
        feedback: whether an attempt learns from the failed ones before it.
        cold: the parents are start states only; a task has its own structure and names no parent.
    """

    program: ProgramStages
    critic: Critic
    planner: Planner
    executor: Executor
    grounder: Grounder
    fits: Callable[[Task], bool] = lambda task: True
    origin: str = "program"
    judge: Judge | None = None
    signature: Mapping[str, Any] = field(default_factory=dict)
    rewind: Callable[[], None] = lambda: None
    used: Callable[[], Spent] = Spent
    replan: bool = True
    feedback: bool = True
    cold: bool = False
    funnel: Counter[str] = field(default_factory=Counter)
    """Attempts by outcome: "tried", "admitted" or the cause of the failure."""
    passed: Counter[str] = field(default_factory=Counter)
    """Attempts that passed each stage."""
    given_up: deque[dict[str, Any]] = field(default_factory=_failures)
    """The latest parents whose attempts all failed, each with its history."""
    keep_refused: bool = False
    refused: deque[dict[str, Any]] = field(default_factory=_failures)
    """The latest tasks that a gate or the judge refused, with the reason, if they are kept."""

    def with_own_counters(self, **changes: Any) -> Pipeline:
        """The same pipeline with its own counters, and with some fields changed."""
        own = replace(self, funnel=Counter(), passed=Counter())
        own = replace(own, given_up=_failures(), refused=_failures())
        return replace(own, **changes)

    @property
    def spent(self) -> Spent:
        """What a model was used for so far."""
        return self.used()

    def learn(self, task: Task) -> None:
        """Add a task to those that exist."""
        self.critic.admit(task)

    def fault(self, task: Task) -> str:
        """Why a task is too near to those that exist, or ""; see `ahead.Checked`."""
        return self.critic.siblings.fault(task)

    @contextmanager
    def questions(self) -> Iterator[list[Question]]:
        """A list to which all questions about the tasks that exist are added."""
        siblings = self.critic.siblings
        siblings.asked = asked = list[Question]()
        try:
            yield asked
        finally:
            siblings.asked = None

    def forget(self, task_ids: Collection[str]) -> None:
        """Remove tasks from those that exist, since the run goes back."""
        self.critic.forget(task_ids)
        self.rewind()

    def take_failures(self) -> list[dict[str, Any]]:
        """Histories of the parents that were given up since the last call."""
        taken = list(self.given_up)
        self.given_up.clear()
        return taken

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        """A verified variant with the parent's profile; None if all attempts failed."""
        history = History()
        for attempt in range(ATTEMPTS):
            keep = attempt == ATTEMPTS - 1 or not self.replan
            known = history if self.feedback else History()
            task = self.attempt(parent, known, rng, keep=keep, fresh=self.cold)
            if task is not None:
                return task.model_copy(update={"born": epoch})
        lost: dict[str, Any] = {"parent": parent.id, "failures": history.summary()}
        if history.patches:
            lost["patches"] = list(history.patches)
        self.given_up.append(lost)
        return None

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A verified new task with the structure of a seed task that is drawn at random.

        In half of the attempts its tools are drawn anew. It is made by program, even if a
        model makes the variants.

        Raises:
            RuntimeError: no attempt succeeded, so the seed tasks are unusable.
        """
        stages = self.program
        maker = replace(
            self,
            planner=stages.planner,
            executor=stages.executor,
            grounder=stages.grounder,
            origin="program",
            judge=None,
            signature={},
        )
        for _ in range(FRESH_SEEDS):
            like = rng.choice(stages.seeds)
            for _ in range(FRESH_ATTEMPTS):
                keep = rng.random() < 0.5
                task = maker.attempt(like, History(), rng, keep=keep, fresh=True)
                if task is not None:
                    return task.model_copy(update={"born": epoch})
        raise RuntimeError("no fresh task in many attempts: the seed tasks are unusable")

    def attempt(
        self, like: Task, history: History, rng: random.Random, *, keep: bool, fresh: bool = False
    ) -> Task | None:
        """One pass through all stages; a failure is added to the history and the funnel.

        Args:
            like: the task whose profile the new task must have.
            keep: use its sequence of tools.
            fresh: the new task has no parent, and its profile is not compared.
        """
        self.funnel["tried"] += 1
        plan: Plan | None = None
        try:
            plan = self._passed("planned", self.planner.plan(like, history, rng, keep=keep))
            said = tuple(turn.user for turn in base_form(like)[0].turns)
            plan = replace(plan, said=said, system=like.system)
            if fresh:
                task = self._finish(replace(plan, parent=""), None, history, rng)
            else:
                task = self._finish(plan, like, history, rng)
        except SynthesisError as failure:
            history.add(failure, plan.tools if plan else ())
            if self.keep_refused and failure.task is not None:
                self.refused.append(refused_row(failure.cause, failure.task, failure.detail))
            self.funnel[failure.cause] += 1
            return None
        self.funnel["admitted"] += 1
        return task

    def _finish(
        self, plan: Plan, parent: Task | None, history: History, rng: random.Random
    ) -> Task:
        """Take a plan through the other stages.

        Raises:
            SynthesisError: with the cause.
        """
        executed = self._passed("executed", self.executor.execute(plan, history, rng))
        if self.grounder is not self.program.grounder:
            self._passed("sound", self._examined(executed, parent, rng))
        words = self.grounder.ground(executed, rng)
        made = augment(executed, words, self.critic.env.name, rng)
        task = self._passed("grounded", self._with_lineage(made, plan, history))
        self._review(task, parent)
        if self.judge is not None:
            review = partial(self._review, parent=parent)
            judged = self._judged(task, executed, rng, review)
            task = self._passed("judged", judged)
        return task

    def _examined(self, executed: Executed, parent: Task | None, rng: random.Random) -> Executed:
        """Refuse calls that no words could save, before a model is asked for words.

        Words by program stand in for the model's, and faults that depend on them do not count.

        Raises:
            SynthesisError: with the cause.
        """
        words = self.program.grounder.ground(executed, random.Random(rng.getrandbits(64)))
        task = augment(executed, words, self.critic.env.name, rng)
        fault = self.critic.review(task, parent)
        if fault and fault.startswith(OF_CALLS):
            raise SynthesisError(Kind.CRITIQUE, fault, task=task)
        return executed

    def _judged(
        self, task: Task, executed: Executed, rng: random.Random, review: Callable[[Task], None]
    ) -> Task:
        assert self.judge is not None
        try:
            judged = self.judge.judge(task, executed, rng, review)
        except SynthesisError as failure:
            failure.task = failure.task or task
            raise
        if judged.id != task.id:
            review(judged)
        return judged

    def _review(self, task: Task, parent: Task | None) -> None:
        fault = "" if self.fits(task) else "does not fit the agent"
        if fault := fault or self.critic.review(task, parent):
            raise SynthesisError(Kind.CRITIQUE, fault, task=task)

    def _with_lineage(self, task: Task, plan: Plan, history: History) -> Task:
        lineage: dict[str, Any] = {"attempts": len(history.failures) + 1, **self.signature}
        if history.failures:
            lineage["failures"] = history.summary()
        if history.patches:
            lineage["patches"] = list(history.patches)
        if plan.narrative:
            lineage["narrative"] = plan.narrative
        return task.model_copy(update={"origin": self.origin, "lineage": lineage})

    def _passed(self, stage: str, made: T) -> T:
        self.passed[stage] += 1
        return made


def refused_row(cause: str, task: Task, detail: str = "") -> dict[str, Any]:
    """A refused task with the reason, as plain data."""
    return {"refused": cause, "detail": detail, "task": task.model_dump(mode="json")}
