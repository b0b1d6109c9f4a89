"""The split is fixed, balanced, and keeps the variants of one base task on one side."""

import hashlib
import json
from collections import Counter, defaultdict

from rods.envs.bfcl_data import FAULTY, benchmark_tasks, split
from rods.synthesis.offline import seeds_of
from rods.task import Category

SIDES, TASKS = split(), benchmark_tasks()


def index(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def side(name: str) -> str:
    return "test" if SIDES[name] == "test" else "training"


def test_sizes() -> None:
    assert Counter(SIDES.values()) == {"train": 320, "validation": 80, "test": 400}
    assert SIDES.keys() == TASKS.keys()
    categories = Counter((side(name), task.category) for name, task in TASKS.items())
    assert categories == {(s, c): 100 for s in ("test", "training") for c in Category}


def test_no_base_task_straddles_sides() -> None:
    seen = defaultdict(list)
    for name in TASKS:
        seen[index(name)].append(SIDES[name])
    assert all(len(sides) == 4 and len(set(sides)) == 1 for sides in seen.values())
    assert sorted(seen) == list(range(200))


def test_each_set_of_tool_classes_is_halved() -> None:
    strata: dict[tuple[Category, frozenset[str]], Counter[str]] = defaultdict(Counter)
    for name, task in TASKS.items():
        strata[task.category, frozenset(task.classes)][side(name)] += 1
    assert len(strata) > 4 * 8
    for counts in strata.values():
        assert abs(counts["test"] - counts["training"]) <= 1


def test_it_never_changes() -> None:
    text = json.dumps(sorted(SIDES.items()))
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == "b215fc40af59"


def test_faulty_seeds_are_as_described_and_left_out() -> None:
    assert FAULTY.keys() <= TASKS.keys()
    unused, early = set(), set()
    for name, task in TASKS.items():
        withheld = set(task.withheld)
        for turn in task.turns:
            names = {call.name for call in turn.ground_truth}
            withheld -= set(turn.restores)
            if turn.restores and not names & set(turn.restores):
                unused.add(name)
            if names & withheld:
                early.add(name)
    assert {n for n, why in FAULTY.items() if "never uses" in why} == unused
    assert {n for n, why in FAULTY.items() if "before its release" in why} == early
    typed = [n for n, why in FAULTY.items() if "close_ticket" in why]
    assert all("close_ticket(ticket_id='ticket_001')" in map(str, TASKS[n].calls) for n in typed)
    seeds = {task.source for task in seeds_of()}
    assert seeds == {n for n, s in SIDES.items() if s == "train"} - FAULTY.keys()
