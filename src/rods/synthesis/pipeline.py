"""The pipeline: plan -> execute -> ground -> augment -> critique, with every failure counted.

What does a stage, a program or a model, is a matter of which object stands there. A failed attempt
teaches the next one (`failures`); after its attempts a seed is given up.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from rods.job_result import Spent
from rods.synthesis.augment import augment
from rods.synthesis.critique import Critic
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.stages import Executor, Grounder, Judge, Plan, Planner
from rods.task import Task

if TYPE_CHECKING:
    from rods.synthesis.program import ProgramStages

T = TypeVar("T")
ATTEMPTS = 3  # at a seed (paper, appendix J)
FRESH_SEEDS = 20
FRESH_ATTEMPTS = 5  # at each seed, before another is drawn: small ones succeed more easily
MAX_GIVEN_UP = 1_000


def _failures() -> deque[dict[str, Any]]:
    return deque(maxlen=MAX_GIVEN_UP)


@dataclass
class Pipeline:
    """Makes verified tasks; a `jobs.Synthesis`.

    `program.program_pipeline` has all stages by program, `llm.backend.with_model` some by a model.

    Args:
        program: the stages by program, for whatever nobody else does.
        critic: the gates.
        fits: whether the agent can carry a task at all.
        origin: who made the tasks.
        judge: who looks at what has passed the gates.
        signature: of whoever does the stages, for each task's lineage.
        learns: whether a variant counts among those that exist as soon as it is made.
        used: what a model was used for so far.
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
    learns: bool = True
    used: Callable[[], Spent] = Spent
    funnel: Counter[str] = field(default_factory=Counter)
    """Attempts by outcome: "tried", "admitted" or the cause of the failure."""
    passed: Counter[str] = field(default_factory=Counter)
    """Attempts that got through each stage."""
    given_up: deque[dict[str, Any]] = field(default_factory=_failures)
    """Seeds whose attempts all failed, each with its history; the latest ones."""

    def with_own_counters(self, **changes: Any) -> Pipeline:
        """The same with counters of its own, and with other fields changed."""
        own = replace(self, funnel=Counter(), passed=Counter(), given_up=_failures())
        return replace(own, **changes)

    @property
    def spent(self) -> Spent:
        """What a model was used for so far."""
        return self.used()

    def learn(self, task: Task) -> None:
        """From now on the task counts among those that exist."""
        self.critic.admit(task)

    def forget(self, task_ids: Collection[str]) -> None:
        """These tasks do not exist any more."""
        self.critic.forget(task_ids)

    def take_failures(self) -> list[dict[str, Any]]:
        """Histories of the seeds that were given up since this was last asked."""
        taken = list(self.given_up)
        self.given_up.clear()
        return taken

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        """A verified variant with the parent's profile, or None after all attempts failed."""
        history = History()
        for attempt in range(ATTEMPTS):
            keep = attempt == ATTEMPTS - 1
            task = self.attempt(parent, history, rng, keep=keep)
            if task is not None:
                return self._with_epoch(task, epoch)
        lost: dict[str, Any] = {"parent": parent.id, "failures": history.summary()}
        if history.patches:
            lost["patches"] = list(history.patches)
        self.given_up.append(lost)
        return None

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A verified new task with the structure of a random seed, tools redrawn half of the time.

        It is made by program, whoever does the stages of variants.

        Raises:
            RuntimeError: no attempt succeeded, which means that the seeds are unusable.
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
                    return self._with_epoch(task, epoch)
        raise RuntimeError("no fresh task in many attempts: the seeds are unusable")

    def attempt(
        self, like: Task, history: History, rng: random.Random, *, keep: bool, fresh: bool = False
    ) -> Task | None:
        """One way through all stages; a failure goes into the history and the funnel.

        Args:
            like: the task with the profile that is wanted.
            keep: take its own sequence of tools.
            fresh: it is no parent.
        """
        self.funnel["tried"] += 1
        plan: Plan | None = None
        try:
            plan = self._passed("planned", self.planner.plan(like, history, rng, keep=keep))
            if fresh:
                task = self._finish(replace(plan, parent=""), None, history, rng)
            else:
                task = self._finish(plan, like, history, rng)
        except SynthesisError as failure:
            history.add(failure, plan.tools if plan else ())
            self.funnel[failure.cause] += 1
            return None
        self.funnel["admitted"] += 1
        return task

    def _finish(
        self, plan: Plan, parent: Task | None, history: History, rng: random.Random
    ) -> Task:
        """A plan's way through the other stages.

        Raises:
            SynthesisError: with the cause.
        """
        executed = self._passed("executed", self.executor.execute(plan, history, rng))
        words = self.grounder.ground(executed, rng)
        made = augment(executed, words, self.critic.env.name, rng)
        task = self._passed("grounded", self._with_lineage(made, plan, history))
        self._review(task, parent)
        if self.judge is not None:
            judged = self.judge.judge(task, executed, rng)
            if judged.id != task.id:
                self._review(judged, parent)
            task = self._passed("judged", judged)
        return task

    def _review(self, task: Task, parent: Task | None) -> None:
        fault = "" if self.fits(task) else "does not fit the agent"
        if fault := fault or self.critic.review(task, parent):
            raise SynthesisError(Kind.CRITIQUE, fault)

    def _with_lineage(self, task: Task, plan: Plan, history: History) -> Task:
        lineage: dict[str, Any] = {"attempts": len(history.failures) + 1, **self.signature}
        if history.failures:
            lineage["failures"] = history.summary()
        if history.patches:
            lineage["patches"] = list(history.patches)
        if plan.narrative:
            lineage["narrative"] = plan.narrative
        return task.model_copy(update={"origin": self.origin, "lineage": lineage})

    def _with_epoch(self, task: Task, epoch: int) -> Task:
        born = task.model_copy(update={"born": epoch})
        if self.learns:
            self.learn(born)
        return born

    def _passed(self, stage: str, made: T) -> T:
        self.passed[stage] += 1
        return made
