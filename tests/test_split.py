"""The split is fixed, balanced, and keeps the variants of one base task on one side."""

import hashlib
import json
from collections import Counter, defaultdict

from rods.audit import benchmark_faults
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks, split
from rods.synthesis.inputs import benchmark_inputs

SIDES, TASKS = split(), benchmark_tasks()


def index(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def side(name: str) -> str:
    return "test" if SIDES[name] == "test" else "training"


def test_sizes() -> None:
    assert Counter(SIDES.values()) == {"train": 320, "validation": 80, "test": 400}
    assert SIDES.keys() == TASKS.keys()
    categories = Counter((side(name), task.category) for name, task in TASKS.items())
    assert categories == {(s, c): 100 for s in ("test", "training") for c in CATEGORIES}


def test_no_base_task_straddles_sides() -> None:
    seen = defaultdict(list)
    for name in TASKS:
        seen[index(name)].append(SIDES[name])
    assert all(len(sides) == 4 and len(set(sides)) == 1 for sides in seen.values())
    assert sorted(seen) == list(range(200))


def test_each_set_of_tool_classes_is_halved() -> None:
    strata: dict[tuple[str, frozenset[str]], Counter[str]] = defaultdict(Counter)
    for name, task in TASKS.items():
        strata[task.category, frozenset(task.classes)][side(name)] += 1
    assert len(strata) > 4 * 8
    for counts in strata.values():
        assert abs(counts["test"] - counts["training"]) <= 1


def test_it_never_changes() -> None:
    text = json.dumps(sorted(SIDES.items()))
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == "b215fc40af59"


def test_faulty_seeds_are_left_out() -> None:
    """The faults that people found in the data, and no others."""
    faults = benchmark_faults()
    found = {
        name.removeprefix("multi_turn_"): why.partition(":")[0] for name, why in faults.items()
    }
    assert found == {
        "miss_func_33": "withheld unused",
        "miss_func_133": "withheld unused",
        "miss_func_49": "withheld early",
        **{f"{category}_173": "wrong type" for category in CATEGORIES},
    }
    seeds = {task.source for task in benchmark_inputs().seeds}
    assert seeds == {n for n, s in SIDES.items() if s == "train"} - faults.keys()
