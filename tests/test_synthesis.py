"""What synthesis admits is sound, keeps its parent's profile, and is the same every time."""

import json
import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks, split
from rods.envs.python import PythonEnvironment
from rods.grounding import says
from rods.profile import distance, profile
from rods.provenance import leaves
from rods.reward import gold_trace, progress
from rods.scoring import score
from rods.synthesis.case import TaskLimits
from rods.synthesis.critique import Critic
from rods.synthesis.gates import wrong_answers
from rods.synthesis.ground import as_text
from rods.synthesis.inputs import benchmark_inputs, of_category
from rods.synthesis.near import signature
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.state_values import StateValues
from rods.synthesis.values import EXCERPT_WORDS
from rods.task import Call, Task, Turn

ENV = BfclEnvironment()
WORLD = benchmark_inputs()
SEEDS = [seed for c in CATEGORIES for seed in of_category(WORLD.seeds, c)[::5][:15]]


@cache
def varied() -> tuple[Pipeline, list[tuple[Task, Task]]]:
    """A pipeline by program, and its variants by their seeds."""
    pipeline, pairs = WORLD.pipeline(), []
    for seed in SEEDS:
        task = pipeline.vary(seed, random.Random(seed.source), epoch=3)
        if task is not None:
            pipeline.learn(task)
            pairs.append((seed, task))
    return pipeline, pairs


def variants(*categories: str) -> list[Task]:
    return [task for _, task in varied()[1] if not categories or task.category in categories]


def reward(task: Task, answer: list[list[Call]]) -> float:
    return progress(list(score(task, ENV, answer)), len(task.turns))


def seen_before(task: Task, turn: int) -> str:
    """All that the user said and the tools showed before a turn."""
    responses = gold_trace(task, ENV).responses[:turn]
    said = [t.user for t in task.turns[:turn]]
    return "\n".join(said + [text for shown in responses for text in shown])


def test_every_category_is_varied_and_every_attempt_counted() -> None:
    pipeline, pairs = varied()
    for category in CATEGORIES:
        assert len(variants(category)) >= 3
    counts = dict(pipeline.funnel)
    assert counts["admitted"] == len(pairs)
    assert counts.pop("tried") == sum(counts.values())


def test_a_variant_keeps_the_profile_and_knows_its_parent() -> None:
    for seed, task in varied()[1]:
        assert distance(profile(task, ENV), profile(seed, ENV)) <= TaskLimits().distance
        assert len(task.turns) <= TaskLimits().turns
        assert (task.parent, task.category, task.classes) == (seed.id, seed.category, seed.classes)
        assert (task.origin, task.born, task.source) == ("program", 3, "")


def test_a_variant_is_new() -> None:
    pipeline, pairs = varied()
    tasks, sides = variants(), split()
    assert len({task.id for task in tasks}) == len(tasks)
    held_out = {signature(t) for n, t in benchmark_tasks().items() if sides[n] != "train"}
    assert not held_out & {signature(task) for task in tasks}
    assert all(signature(task) != signature(seed) for seed, task in pairs)
    assert all(pipeline.critic.review(task) == "critique: duplicate" for task in tasks)


def test_only_the_right_answer_is_rewarded_in_full() -> None:
    for task in variants():
        assert reward(task, [list(turn.ground_truth) for turn in task.turns]) == 1.0
        wrong = list(wrong_answers(task))
        assert len(wrong) >= 3
        assert all(reward(task, answer) < 1.0 for answer in wrong)


def test_a_missing_value_stands_nowhere_before_it_is_given() -> None:
    for task in variants("miss_param"):
        (empty,) = (i for i, turn in enumerate(task.turns) if not turn.ground_truth)
        answer, seen = task.turns[empty + 1], seen_before(task, empty + 1)
        values = [v for c in answer.ground_truth for a in c.arguments.values() for v in leaves(a)]
        told = [v for v in values if says(answer.user, as_text(v))]
        assert told and any(not says(seen, as_text(v)) for v in told)


def test_a_missing_tool_is_needed_on_its_release() -> None:
    for task in variants("miss_func"):
        (withheld,) = task.withheld
        (release,) = (i for i, turn in enumerate(task.turns) if turn.restores)
        assert task.turns[release].restores == (withheld,)
        assert not task.turns[release].user
        assert task.turns[release - 1].user and not task.turns[release - 1].ground_truth
        gold = [list(turn.ground_truth) for turn in task.turns]
        assert withheld not in {c.name for turn in gold[:release] for c in turn}
        gold[release] = [c for c in gold[release] if c.name != withheld]
        assert len(gold[release]) < len(task.turns[release].ground_truth)
        assert reward(task, gold) < 1.0


def test_a_fresh_task_has_the_structure_of_a_seed_and_no_parent() -> None:
    pipeline, _ = varied()
    kinds = {(seed.category, seed.classes) for seed in pipeline.program.seeds}
    for number in range(8):
        task = pipeline.fresh(random.Random(number), 4)
        assert (task.born, task.parent) == (4, "")
        assert (task.category, task.classes) in kinds and len(task.turns) <= TaskLimits().turns
        assert Critic(ENV).review(task) == "" == pipeline.critic.review(task)
        pipeline.learn(task)
        assert pipeline.critic.review(task) == "critique: duplicate"


def test_an_excerpt_stands_in_some_text_of_a_seed() -> None:
    pipeline, _ = varied()
    calls = [call for task in pipeline.program.seeds for call in task.calls]
    texts = [" ".join(str(v).split()) for c in calls for v in c.arguments.values()]
    excerpts = {pipeline.program.bank.excerpt(random.Random(number)) for number in range(50)}
    assert len(excerpts) > 20 and all(excerpts)
    assert all(any(e in text for text in texts) for e in excerpts)
    assert max(len(e.split()) for e in excerpts) == EXCERPT_WORDS[1]


@pytest.mark.slow
def test_equal_draws_make_equal_tasks_in_any_process() -> None:
    code = "import json, test_synthesis as t; print(json.dumps([x.id for x in t.variants()]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [task.id for task in variants()]


class Desk:
    """Its state has keys without a word."""

    def __init__(self) -> None:
        self.kept = {"*": 5, "box": "b1"}


def test_names_without_words_tell_no_values() -> None:
    env = PythonEnvironment(Desk)
    turns = (Turn(user="-"),)
    session = env.open(Task(category="base", classes=("Desk",), start={}, turns=turns))
    facts = StateValues(session)
    assert facts.of("to", "to") == [] and facts.of("old_box", "old_box") == ["b1"]
