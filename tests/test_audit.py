"""The audit finds each kind of fault where it was put, and tells the evidence."""

import json
from typing import Any

import pytest

from commandline import refused
from rods.audit import audit
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.task import Call, Task

ENV, TASKS = BfclEnvironment(), benchmark_tasks()
TASK = TASKS["multi_turn_miss_func_102"]  # cancel_order comes with the fourth turn


def with_calls(index: int, *calls: Call) -> Task:
    turns = list(TASK.turns)
    turns[index] = turns[index].model_copy(update={"ground_truth": calls})
    return TASK.model_copy(update={"turns": tuple(turns)})


CANCEL = TASK.turns[3].ground_truth[0]


def cancel(order: object) -> Task:
    return with_calls(3, CANCEL.model_copy(update={"arguments": {"order_id": order}}))


FAULTS = {
    "withheld unused": (with_calls(3, Call(name="get_watchlist")), "turn 3 releases cancel_order"),
    "withheld early": (with_calls(0, CANCEL), "turn 0 calls cancel_order"),
    "wrong type": (cancel("x"), "'x'"),
    "unreachable": (with_calls(3, Call(name="cancel_order")), "turn 3"),
    "call fails": (cancel(77), "77"),
    "ungrounded": (cancel(77), "order_id"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_found_where_it_was_put(kind: str) -> None:
    task, evidence = FAULTS[kind]
    before = audit(TASK, ENV)
    (found,) = [f for f in audit(task, ENV) if f.kind == kind and f not in before]
    assert evidence in found.evidence and found.task == TASK.source
    assert found.faulty == (kind not in ("call fails", "ungrounded"))


def test_the_command_lists_faults_and_notes(rods: Any) -> None:
    done = rods("audit", "--json", "--category", "miss_func")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0 and len(rows) == 5
    assert {r["task"][-4:] for r in rows if r["task"]} == {"c_33", "c_49", "_133", "_173"}
    assert [r["kind"] for r in rows if not r["task"]] == ["doc order"]
    more = rods("audit", "--notes", "--category", "miss_func").out.splitlines()
    assert len(more) > len(rows) + 50 and "4 of 200 tasks have faults" in more[-1]
    refused(rods("audit", "--category", "easy"), "--category easy", "miss_func")
