"""Forecasts of a task's next group: what they learn, and what they leave unchanged."""

from __future__ import annotations

import random
from collections import Counter
from math import comb
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import begin, go, make_config, make_task
from rods.curriculum.curriculum import Curriculum
from rods.curriculum.forecast import Calibration, Forecaster, TurnModel, _counts, features
from rods.curriculum.pool import Event, Pool
from rods.group import Group, GroupRewards
from rods.task import Call, Task, Turn

K = 8
SKILL = {"easy": 0.98, "even": 0.5, "hard": 0.02}


def task_of(*turns: tuple[str, ...], name: str = "t") -> Task:
    calls = [tuple(Call(name=tool, arguments={}) for tool in turn) for turn in turns]
    found = tuple(Turn(user=f"{name} {i}", ground_truth=c) for i, c in enumerate(calls))
    return make_task(name).model_copy(update={"turns": found})


def played(task: Task, rng: random.Random, size: int = K) -> tuple[int, ...]:
    """How many rollouts pass each turn, by the skill of its tools."""
    return tuple(
        sum(all(rng.random() < SKILL[c.name] for c in turn.ground_truth) for _ in range(size))
        for turn in task.turns
    )


def taught(count: int = 200) -> TurnModel:
    model, rng = TurnModel(), random.Random(0)
    for step in range(1, count + 1):
        turns = [(rng.choice(sorted(SKILL)),) for _ in range(rng.randrange(1, 4))]
        task = task_of(*turns)
        model.observe(features(task, f"f{step % 5}"), played(task, rng), K, step)
    return model


def test_it_learns_what_is_hard() -> None:
    model = taught()
    found = {
        name: model.forecast(features(task_of((name,)), "new"), K, 200) for name in sorted(SKILL)
    }
    assert found["easy"].mean > 0.85 and found["hard"].mean < 0.15
    assert 0.4 < found["even"].mean < 0.6
    assert found["even"].signal > 0.7 > 0.6 > max(found["easy"].signal, found["hard"].signal)


def test_a_family_tells_of_its_variants() -> None:
    model, task = TurnModel(), task_of(("easy",))
    for step in range(1, 30):
        model.observe(features(task, "able"), (K,), K, step)
        model.observe(features(task, "unable"), (0,), K, step)
    able, unable = (model.forecast(features(task, f), K, 30).mean for f in ("able", "unable"))
    assert able > 0.7 > 0.3 > unable


def test_old_evidence_fades() -> None:
    model = taught()
    turn = features(task_of(("hard",)), "f0")
    for name in turn[0]:
        sooner, later = (model._weight(name, step)[1] for step in (200, 600))
        assert sooner < later <= 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_the_numbers_of_passed_turns(chances: list[float]) -> None:
    found = _counts(chances)
    assert len(found) == len(chances) + 1 and sum(found) == pytest.approx(1)
    assert sum(i * share for i, share in enumerate(found)) == pytest.approx(sum(chances))
    if len(set(chances)) == 1:
        p, n = chances[0], len(chances)
        binomial = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        assert found == pytest.approx(binomial)


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(sorted(SKILL)), min_size=1, max_size=4),
                  st.integers(0, K), st.integers(0, 50)),
        max_size=30,
    ),
    st.integers(2, 16),
)  # fmt: skip
def test_forecasts_are_probabilities(rows: list[tuple[list[str], int, int]], size: int) -> None:
    model, step = TurnModel(), 0
    for tools, passed, later in rows:
        step += later
        model.observe(features(task_of(*[(tool,) for tool in tools]), "f"), [passed] * len(tools),
                      K, step)  # fmt: skip
    for tools in (["easy"], ["even", "hard"]):
        task = task_of(*[(tool,) for tool in tools])
        found = model.forecast(features(task, "f"), size, step)
        assert 0 <= found.mean <= 1 and 0 <= found.signal <= 1
        if size > 2:
            assert found.signal >= model.forecast(features(task, "f"), size - 1, step).signal
    assert all(0 < v <= 1 for _, v, _ in model.weights.values())


def test_the_bias_is_corrected() -> None:
    """What is forecast with 0.9 happens in 6 of 10."""
    rng, calibration = random.Random(1), Calibration()
    assert calibration.correct(0.9) == pytest.approx(0.9)
    for _ in range(600):
        calibration.observe(0.9, rng.random() < 0.6)
    assert calibration.correct(0.9) == pytest.approx(0.6, abs=0.06)


def pool_with(tasks: dict[str, str]) -> Pool:
    pool = Pool()
    for task_id, parent in tasks.items():
        pool.apply(Event(1, 1, task_id, "injected" if parent else "seeded", parent), "base")
    return pool


def test_candidates_are_ranked_by_their_signal() -> None:
    tasks = {name: task_of((name,), name=name) for name in SKILL}

    class Candidate:
        category, parent = "base", "s"

        def __init__(self, task_id: str) -> None:
            self.task_id = task_id

    forecaster = Forecaster(K, tasks.__getitem__)
    forecaster.model = taught()
    waiting = [Candidate(name) for name in sorted(SKILL)]
    found = [c.task_id for c in forecaster.ranked(waiting, pool_with({"s": ""}), 200)]
    assert found[0] == "even"


def test_only_first_groups_of_variants_are_forecast() -> None:
    tasks = {name: task_of(("even",), name=name) for name in ("s", "v")}
    config = make_config(pool={"forecast": True})
    curriculum = Curriculum(config, tasks.__getitem__)
    curriculum.pool = pool_with({"s": "", "v": "s"})

    def group(name: str, step: int) -> Group:
        return Group(name, "base", (0.0, 1.0), step, step, passes=(1,))

    curriculum.observe([group("s", 1)])
    assert curriculum.metrics()["forecasts"] == {}
    curriculum.observe([group("v", 2)])
    assert [*curriculum.metrics()["forecasts"]] == ["v"]
    curriculum.observe([group("v", 3)])
    assert curriculum.metrics()["forecasts"] == {}
    bare = Group("s", "base", (0.0, 1.0), 4, 4)
    before = curriculum.state()
    curriculum.forecaster.observe([bare], curriculum.pool)
    assert curriculum.state() == before, "a trainer that gives no turns teaches nothing"


def test_passed_turns_are_counted() -> None:
    turns = ([True, True], [True], [], [True, False])
    found = GroupRewards("t", (1.0, 0.5, None, 0.5), turns=turns).measured("base", 0, 1)
    assert found.passes == (3, 1), "of the rollouts that were not lost"
    assert GroupRewards("t", (1.0, 0.5)).measured("base", 0, 1).passes is None
    assert "turns of 1 rollouts" in GroupRewards("t", (1.0, 0.5), turns=([True],)).fault(2)


def test_the_surplus_is_made_and_the_best_are_admitted(tmp_path: Path) -> None:
    sections = {"boundary": {"rule": "random", "quota": 8, "cooldown": 0}}
    counted = []
    for surplus in (1.0, 2.0):
        pool = {"beta": 0.5, "p_max": 40, "forecast": True, "burn_in": 0.0, "hard": 0.0}
        config = make_config(
            2, pool=pool, synthesis={"surplus": surplus, "patience": 9}, **sections
        )
        loop = begin(config, tmp_path / f"{surplus}")
        go(loop, 9)
        counted.append((loop.store.funnel()["admitted"], loop.curriculum.pool.injected))
        loop.store.close()
    (made, joined), (more, still) = counted
    assert joined == still and more > made


def test_few_parent_tasks_have_several_variants(tmp_path: Path) -> None:
    """Of two parent tasks at most four variants each are made; the runs are the same again."""
    found = []
    for name, surplus in (("one", 4.0), ("two", 4.0), ("few", 1.0)):
        config = make_config(
            1,
            boundary={"rule": "random", "quota": 2, "cooldown": 0},
            pool={"beta": 1.0, "p_max": 40, "forecast": True, "burn_in": 0.0, "hard": 0.0},
            synthesis={"surplus": surplus, "patience": 9},
        )
        loop = begin(config, tmp_path / name)
        go(loop, 9)
        parents = Counter(t.parent for t in loop.store.tasks().values() if t.parent)
        jobs = Counter(job for (job,) in loop.store.db.read("SELECT task_id FROM jobs"))
        found.append((sorted(loop.store.tasks()), max(parents[p] / jobs[p] for p in parents)))
        loop.store.close()
    assert found[0] == found[1]
    assert found[2][1] == 1 < found[0][1] <= 4


def test_forecasts_are_of_use() -> None:
    """Variants that it ranks first have signal more often than others."""
    model, rng = taught(400), random.Random(5)
    shares: dict[bool, list[bool]] = {True: [], False: []}
    for _ in range(200):
        pair = [task_of((rng.choice(sorted(SKILL)),)) for _ in range(2)]
        pair.sort(key=lambda task: -model.forecast(features(task, "n"), K, 400).signal)
        for best, task in zip((True, False), pair, strict=True):
            shares[best].append(0 < played(task, rng)[0] < K)
    assert fmean(shares[True]) > fmean(shares[False]) + 0.2
