"""The questions of a model's self-test, about the seed tasks; see `probe`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from rods.envs.guard import guard
from rods.reward import trusted_trace
from rods.synthesis.augment import base_form
from rods.synthesis.failures import History
from rods.synthesis.inputs import SynthesisInputs
from rods.synthesis.llm.backend import with_model
from rods.synthesis.llm.executor import LlmExecutor
from rods.synthesis.llm.grounder import LlmGrounder
from rods.synthesis.llm.judge import LlmJudge
from rods.synthesis.llm.planner import LlmPlanner
from rods.synthesis.llm.prompts import Model
from rods.synthesis.stages import Executed, Plan
from rods.task import BASE, Call, Task

SIZE = 8  # questions of a role
DRAWN = 5  # tasks for each question, of which the clearest are asked about
USABLE = 0.5  # share of its answers that a role must have usable
RIGHT = 0.75  # share of right words that a judging role must accept
WRONG = 0.5  # share of planted faults that it must refuse
Ask = Callable[[random.Random], str]


class Question(NamedTuple):
    """One question of the test.

    Attributes:
        ask: returns "" if the answer passes, else a name for what is wrong.
    """

    role: str
    what: str
    least: float
    ask: Ask


class Spoken(NamedTuple):
    """A seed task in its base form, executed, with the words that people wrote."""

    task: Task
    executed: Executed

    @property
    def words(self) -> list[str]:
        """By turn."""
        return [turn.user for turn in self.task.turns]


def questions(model: Model, name: str, inputs: SynthesisInputs, seed: int) -> list[Question]:
    """All questions, role by role.

    Raises:
        UserError: the seed tasks cannot be run.
    """
    rng = random.Random(f"probe {seed}")
    pipeline = with_model(model, inputs.pipeline(), guard(inputs.env), name)
    planner, executor = pipeline.planner, pipeline.executor
    grounder, judge = pipeline.grounder, pipeline.judge
    assert isinstance(planner, LlmPlanner) and isinstance(executor, LlmExecutor)
    assert isinstance(grounder, LlmGrounder) and isinstance(judge, LlmJudge)
    planner.tries = executor.tries = grounder.tries = 1
    executor.patch = grounder.verify = False
    spoken = _drawn(inputs, grounder, rng)
    parents = [case.task for case in spoken]
    return [
        *(_plan(planner, parent) for parent in parents),
        *(_arguments(executor, planner, parent) for parent in parents),
        *_words(grounder, spoken, rng),
        *_verdicts(grounder, spoken, rng),
        *_judgements(judge, spoken, rng),
    ]


def _drawn(inputs: SynthesisInputs, grounder: LlmGrounder, rng: random.Random) -> list[Spoken]:
    """`SIZE` seed tasks, first those whose words state every value."""
    tasks = rng.sample(inputs.parents, len(inputs.parents))[: DRAWN * SIZE]
    spoken = [_spoken(task, inputs) for task in tasks]
    spoken.sort(key=lambda case: not _clear(case, grounder))
    return (spoken * SIZE)[:SIZE]


def _clear(case: Spoken, grounder: LlmGrounder) -> bool:
    words = case.words
    return not any(
        grounder.check.complaint(said, case.executed, index, words[:index])
        for index, said in enumerate(words)
    )


def _spoken(task: Task, inputs: SynthesisInputs) -> Spoken:
    base, _ = base_form(task)
    base = base.model_copy(update={"category": BASE})
    responses = trusted_trace(base, inputs.env).responses
    calls = tuple(turn.ground_truth for turn in base.turns)
    return Spoken(base, Executed(Plan(BASE, base.classes, ()), base.start, calls, responses))


def _plan(planner: LlmPlanner, parent: Task) -> Question:
    def ask(rng: random.Random) -> str:
        planner.plan(parent, History(), rng, keep=False)
        return ""

    return Question("plan", "plans that can be used", USABLE, ask)


def _arguments(executor: LlmExecutor, planner: LlmPlanner, parent: Task) -> Question:
    def ask(rng: random.Random) -> str:
        plan = planner.structure.plan(parent, History(), rng, keep=True)
        first = next(step for turn in plan.turns for step in turn)
        executor.execute(replace(plan, turns=((replace(first, sources={}),),)), History(), rng)
        return ""

    return Question("arguments", "calls that execute", USABLE, ask)


def _words(
    grounder: LlmGrounder, spoken: Sequence[Spoken], rng: random.Random
) -> Iterator[Question]:
    def query(case: Spoken, index: int) -> Ask:
        def ask(rng: random.Random) -> str:
            grounder.query(case.executed, index, case.words[:index], rng)
            return ""

        return ask

    def rewrite(case: Spoken) -> Ask:
        def ask(rng: random.Random) -> str:
            grounder.rewritten(case.executed, case.words, rng)
            return ""

        return ask

    for case in spoken:
        turn = rng.randrange(len(case.words))
        yield Question("query", "words that can be used", USABLE, query(case, turn))
    for case in spoken[: SIZE // 2]:
        yield Question("rewrite", "rewrites that can be used", USABLE, rewrite(case))


def _verdicts(
    grounder: LlmGrounder, spoken: Sequence[Spoken], rng: random.Random
) -> Iterator[Question]:
    def verdict(case: Spoken, index: int, words: str, right: bool) -> Ask:
        def ask(rng: random.Random) -> str:
            before = case.words[:index]
            found = grounder.verdict(case.executed, index, before, words, rng)
            return "" if (found == "yes") is right else f"said {found!r}"

        return ask

    for number, case in enumerate(spoken):
        index, right = rng.randrange(len(case.words)), number % 2 == 0
        words, what, least = case.words[index], "right words that are accepted", RIGHT
        if not right:
            what, least = "planted wrong words that are refused", WRONG
            strange = _strange(case.executed.calls[index], spoken, rng)
            words = strange if number % 4 == 1 else f"{words} And then: {strange}"
        yield Question("verify", what, least, verdict(case, index, words, right))


def _strange(calls: Sequence[Call], spoken: Sequence[Spoken], rng: random.Random) -> str:
    """Words that ask for calls of other tools, if there are any."""
    tools = {call.name for call in calls}
    others = [
        words
        for case in spoken
        for words, row in zip(case.words, case.executed.calls, strict=True)
        if tools.isdisjoint(call.name for call in row)
    ]
    return rng.choice(others or ["Please tell me what the weather will be tomorrow."])


def _judgements(
    judge: LlmJudge, spoken: Sequence[Spoken], rng: random.Random
) -> Iterator[Question]:
    def decision(task: Task, executed: Executed, right: bool) -> Ask:
        def ask(rng: random.Random) -> str:
            found = judge.verdict(task, executed, rng)
            return "" if (found.decision == "accept") is right else f"said {found.decision}"

        return ask

    for number, case in enumerate(spoken):
        task, right = case.task, number % 2 == 0
        what, least = "right tasks that are accepted", RIGHT
        if not right:
            what, least = "planted faults that are refused", WRONG
            index = rng.randrange(len(task.turns))
            strange = _strange(case.executed.calls[index], spoken, rng)
            turns = list(task.turns)
            turns[index] = turns[index].model_copy(update={"user": strange})
            task = task.model_copy(update={"turns": tuple(turns)})
        yield Question("judge", what, least, decision(task, case.executed, right))
