"""The settings that only arms of a comparison use: what they change, and what they leave."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from doubles import make_config, make_seeds
from fragile import Fragile
from rods.config import Config, PoolConfig
from rods.curriculum.boundary import VarianceRule
from rods.curriculum.curriculum import Curriculum
from rods.curriculum.pool import Event
from rods.curriculum.retirement import Retirement
from rods.errors import UserError
from rods.group import Group
from rods.metrics import untimed
from rods.policies.registry import kind_of
from rods.policies.tasks import TaskSides, choose_seeds, pipeline_of, with_spare, with_structure
from rods.presets import load_config
from rods.store.store import Store
from rods.synthesis.failures import History
from rods.task import Turn
from rods.trainers.dynamic import DynamicSampling, Row
from runs import SETTINGS, Runs
from small_training import Harness


def row(reward: float | None) -> Row:
    return Row([1], [2, 3], [-0.5, -0.25], [1, 1], reward)


GOOD, SAME, LOST = [row(0.0), row(1.0)], [row(0.5), row(0.5)], [row(None), row(0.5)]


def test_groups_with_signal_are_held_until_they_fill_a_batch(tmp_path: Path) -> None:
    held = DynamicSampling(groups=3, most=9)
    assert held.add([GOOD, SAME, LOST]) is None
    held.save(tmp_path)
    other = DynamicSampling(groups=3, most=9)
    other.load(tmp_path)
    for each in (held, other):
        assert each.add([SAME, GOOD, GOOD]) == GOOD * 3
        assert each.add([GOOD, GOOD, GOOD]) == GOOD * 3, "nothing was held"


def test_groups_beyond_a_batch_are_dropped() -> None:
    held = DynamicSampling(groups=2, most=9)
    assert held.add([GOOD, GOOD, GOOD]) == GOOD * 2
    assert held.add([GOOD, SAME]) is None


def test_after_the_most_batches_others_fill_it() -> None:
    held = DynamicSampling(groups=2, most=2)
    assert held.add([SAME, LOST]) is None
    assert held.add([LOST, GOOD]) == GOOD + LOST
    assert DynamicSampling(groups=2, most=1).add([SAME, LOST]) == SAME + LOST


def trained(tools: Fragile, folder: Path, steps: int) -> Harness:
    """Two tasks a step, of which one always has signal and one never; two batches an update."""
    add = tools.task("one").turns[0].ground_truth[0]
    never = tools.task("never", (Turn(user="add much", ground_truth=(add,) * 3),))
    scripts = [tools.right(turns) for turns in (0, 1, 2, 0)]
    tasks = [tools.task("one"), never]
    made = Harness(tools, tasks, scripts, folder, steps=steps, rollout={"dynamic": 2})
    made.train()
    return made


def test_the_weights_change_only_with_a_full_batch(tools: Fragile, tmp_path: Path) -> None:
    found = [trained(tools, tmp_path / f"{n}", n) for n in (1, 2, 3)]
    start = Harness(tools, [tools.task("one")], [tools.right()] * 2, tmp_path / "start").weights()
    one, two, three = (made.weights() for made in found)
    assert all(torch.equal(start[name], one[name]) for name in one)
    assert any(not torch.equal(one[name], two[name]) for name in one)
    assert all(torch.equal(two[name], three[name]) for name in one), "an optimizer's momentum"
    assert [len(made.rollouts) for made in found] == [1, 2, 3], "each batch is a training step"
    assert [sum(map(len, made.rollouts)) for made in found] == [8, 16, 24]
    update = torch.cat(found[1].advantages[1:])
    assert update.ne(0).sum() == 2 * 4, "the two groups with signal, which two steps have played"


def test_several_processes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rollout\.dynamic works in one process"):
        make_config(rollout={"dynamic": 2}, hardware={"gpus": 2})


@pytest.mark.slow
def test_dynamic_sampling_resumes_inside_an_update(runs: Runs) -> None:
    more = ("--arm", "static", "--set", "rollout.dynamic=3", "--set", "checkpoint_steps=1")
    names = {name: (runs.root / name) for name in ("dynamic", "dynamic-broken")}
    for name in names:
        assert runs.call([*runs.command(name, *more), "--set", "steps=4"]).code == 0
    for name, steps in (("dynamic-broken", (5, 6, 7, 8)), ("dynamic", (8,))):
        for last in steps:
            assert runs.call([*runs.command(name, *more), "--set", f"steps={last}"]).code == 0
    assert untimed(runs.summary("dynamic"))["signal"] == runs.summary("dynamic-broken")["signal"]
    assert runs.lines("dynamic") == runs.lines("dynamic-broken")
    held = list((runs.root / "dynamic-broken").rglob("held_groups.json"))
    assert any(json.loads(path.read_text())["batches"] for path in held)


SIZE = 4


def drawn(curriculum: Curriculum, epochs: int) -> Counter[str]:
    return Counter(task_id for epoch in range(epochs) for task_id in curriculum.sample(epoch))


def test_tasks_are_drawn_by_priority() -> None:
    config = make_config(SIZE, pool={"sampling": "priority"}, boundary={"rule": "variance"})
    curriculum = Curriculum(config)
    tasks = [task.id for task in make_seeds(8)]
    curriculum.apply([Event(0, 0, i, "seeded") for i in tasks], dict.fromkeys(tasks, "base"))
    assert len(curriculum.sample(0)) == 8
    even = drawn(curriculum, 400)
    assert min(even.values()) > 300, "tasks without a group are alike"
    outcomes = [(0.0, 1.0)] * 2 + [(1.0, 1.0)] * 6
    curriculum.observe(
        [Group(i, "base", found, 0, 1) for i, found in zip(tasks, outcomes, strict=True)]
    )
    found = drawn(curriculum, 400)
    assert found.total() == even.total()
    assert sum(found[i] for i in tasks[:2]) > 0.8 * found.total()
    assert all(found[i] for i in tasks), "each is drawn at times"
    again = Curriculum(config)
    again.pool, again.rule = curriculum.pool, curriculum.rule
    assert drawn(again, 400) == found


def test_without_retirement_variants_stay() -> None:
    for retire, gone in ((True, ["retired"]), (False, ["passed"])):
        pool, rule = Curriculum(make_config()).pool, VarianceRule()
        pool.apply(Event(1, 0, "v", "injected"), "base")
        judge = Retirement(PoolConfig(retire=retire), rule)
        group = Group("v", "base", (0.0, 0.0), 0, 1)
        rule.observe(group)
        judge.observe([group], pool)
        assert [event.kind for event in judge.end(pool, 2, 0)] == gone


@pytest.fixture(scope="module")
def sides() -> tuple[Config, TaskSides]:
    config = load_config("micro", ["pool.seeds=16"])
    return config, kind_of("micro").tasks(config, lambda what, share: None)


def with_synthesis(config: Config, **settings: Any) -> Config:
    synthesis = config.synthesis.model_copy(update=settings)
    return config.model_copy(update={"synthesis": synthesis})


def test_synthesis_knows_only_the_seed_tasks_of_the_run(sides: tuple[Config, TaskSides]) -> None:
    config, tasks = sides
    seeds = choose_seeds(tasks.train, config)
    own = pipeline_of(config, tasks)
    assert [task.id for task in own.program.seeds] == [task.id for task in seeds]
    every = pipeline_of(with_synthesis(config, sources="train"), tasks)
    assert len(every.program.seeds) == len(tasks.train) > len(seeds)
    words = {word for task in seeds for word in json.dumps(task.start).split('"')}
    rng = random.Random(0)
    made = [task for s in seeds for _ in range(4) if (task := own.vary(s, rng, 0)) is not None]
    assert len(made) > len(seeds)
    classes = {frozenset(task.classes) for task in seeds}
    assert {frozenset(task.classes) for task in made} <= classes
    other = {word for t in tasks.train for word in json.dumps(t.start).split('"')} - words
    taken = {word for t in made for word in json.dumps(t.start).split('"') if len(word) > 12}
    assert not taken & other, "start states of tasks that the run does not have"
    for critic in (own.critic, every.critic):
        assert critic.review(tasks.test[0]) == "critique: near a held-out task"
        assert critic.review(tasks.train[0]) == "critique: duplicate"


def test_variants_without_new_plans_have_the_tools_of_their_parents(
    sides: tuple[Config, TaskSides],
) -> None:
    config, tasks = sides
    shares = []
    for replan in (True, False):
        pipeline = pipeline_of(with_synthesis(config, replan=replan), tasks)
        rng, same = random.Random(1), []
        for seed in choose_seeds(tasks.train, config) * 2:
            if variant := pipeline.vary(seed, rng, 0):
                names = [[call.name for call in task.calls] for task in (seed, variant)]
                same.append(names[0] == names[1])
        assert len(same) > 8
        shares.append(sum(same) / len(same))
    assert shares[1] == 1.0 > shares[0] + 0.3


def test_without_feedback_no_attempt_knows_another(
    sides: tuple[Config, TaskSides], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tasks = sides
    seed = choose_seeds(tasks.train, config)[0]
    for feedback, known in ((True, [0, 1, 2]), (False, [0, 0, 0])):
        pipeline, seen = pipeline_of(with_synthesis(config, feedback=feedback), tasks), []

        def plan(parent: object, history: History, *_: object, seen=seen, **__: object) -> None:
            seen.append(len(history.summary()))
            raise pipeline_error()

        monkeypatch.setattr(pipeline.planner, "plan", plan)
        assert pipeline.vary(seed, random.Random(0), 0) is None
        assert seen == known


def pipeline_error() -> Exception:
    from rods.synthesis.failures import Kind, SynthesisError

    return SynthesisError(Kind.NO_PATTERN, "none")


def test_offline_tasks_are_made_before_training(rods: Any, tmp_path: Path) -> None:
    settings = [p for k, v in SETTINGS.items() for p in ("--set", f"{k}={v}")]
    settings += ["--set", "steps=2", "--set", "pool.offline=9", "--set", "evaluation.tasks=0"]
    for name in ("one", "two"):
        run = ("train", "--preset", "tiny", "--arm", "static", "--run", tmp_path / name)
        assert rods(*run, *settings).code == 0
    first, second = (Store(tmp_path / name, role="reader") for name in ("one", "two"))
    tasks = first.tasks()
    assert tasks.keys() == second.tasks().keys()
    made = [task for task in tasks.values() if task.parent]
    assert len(made) == 9 and all(task.parent in tasks for task in made)
    assert Counter(event.kind for event in first.events()) == {"seeded": len(tasks)}
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    assert summary["offline"]["attempts"]["admitted"] == 9
    assert summary["synthesis_s"] >= summary["offline"]["seconds"] > 0
    for store in (first, second):
        store.close()


def test_an_offline_pool_needs_synthesis() -> None:
    from rods.policies.tasks import check_synthesis

    bare = TaskSides((), (), (), None, {})  # type: ignore[arg-type]
    check_synthesis(make_config(arm="static"), bare)
    with pytest.raises(UserError, match="have no synthesis"):
        check_synthesis(make_config(arm="static", pool={"offline": 3}), bare)


def test_spare_training_tasks_validate(sides: tuple[Config, TaskSides]) -> None:
    config, tasks = sides
    found = with_spare(config, tasks)
    seeds = {task.id for task in choose_seeds(found.train, config)}
    known = [task.id for task in found.validation]
    assert len(set(known)) == len(known) == len(tasks.validation) + len(tasks.train) - 16
    assert seeds.isdisjoint(known) and {task.id for task in tasks.test}.isdisjoint(known)
    with pytest.raises(ValueError, match=r"evaluation\.spare needs synthesis\.sources=seeds"):
        make_config(evaluation={"spare": True}, synthesis={"sources": "train"})


def test_tasks_with_new_combinations_of_tools(sides: tuple[Config, TaskSides]) -> None:
    config, tasks = sides
    settings = config.evaluation.model_copy(update={"structure": 10})
    wanted = config.model_copy(update={"evaluation": settings, "seed": 7})
    found = with_structure(wanted, tasks).structure
    assert Counter(t.category for t in found) == Counter({t.category: 3 for t in found})
    assert len({t.id for t in found} | {t.id for side in tasks.sides.values() for t in side}) == (
        len(found) + sum(map(len, tasks.sides.values()))
    )
    known = {frozenset(c.name for c in u.ground_truth) for t in tasks.train for u in t.turns}
    for task in found:
        own = {frozenset(c.name for c in u.ground_truth) for u in task.turns}
        assert any(len(tools) > 1 and tools not in known for tools in own)
    again = wanted.model_copy(update={"seed": 8})
    assert [t.id for t in with_structure(again, tasks).structure] == [t.id for t in found]


def test_without_samples_the_test_side_is_not_read(rods: Any, tmp_path: Path) -> None:
    settings = [p for k, v in SETTINGS.items() for p in ("--set", f"{k}={v}")]
    settings += ["--set", "steps=2", "--set", "evaluation={test_samples: 0, tasks: 4}"]
    done = rods("train", "--preset", "tiny", "--arm", "static", "--run", tmp_path / "r", *settings)
    assert done.code == 0, done.err
    store = Store(tmp_path / "r", role="reader")
    assert {row.side for row in store.measures.heldout()} == {"validation"}
    store.close()
