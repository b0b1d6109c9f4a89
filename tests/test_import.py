"""`rods import`: tasks of tau2-bench, and rows of verifiers and NeMo Gym that carry calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

KIT = '''
class Kit:
    """A shop's toolkit over one database."""

    def __init__(self) -> None:
        self.db: dict[str, dict] = {}

    def get_order(self, order: str) -> dict:
        """Look up an order.

        Args:
            order: Its number.
        """
        return self.db["orders"][order]

    def debug(self) -> str:
        """Tell nothing."""
        return ""

    def cancel(self, order: str) -> dict:
        """Cancel an order.

        Args:
            order: Its number.
        """
        self.db["orders"][order]["status"] = "cancelled"
        return self.db["orders"][order]
'''
CALL = {"name": "set_opening", "arguments": {"day": "mon", "at": "8:00"}}
LATER = {"name": "set_opening", "arguments": {"day": "tue", "at": "10:00"}}
SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Open at eight."}]
ROWS: list[tuple[dict[str, Any], str]] = [  # each with the reason if it is refused
    ({"responses_create_params": {"input": SAID}, "ground_truth": [CALL]}, ""),
    (
        {
            "responses_create_params": {"input": "Open at nine."},
            "expected_answers": [{**CALL, "arguments": '{"day": "mon", "at": "9:00"}'}],
        },
        "",
    ),
    (
        {
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "Open at ten."}]}],
            "info": json.dumps({"calls": [{"function": LATER}]}),
        },
        "",
    ),
    (
        {
            "question": "When do you open on Monday?",
            "start": {"Shop": {"opens": {"mon": "7:00"}}},
            "answer": '{"name": "opening", "arguments": {"day": "mon"}}',
        },
        "",
    ),
    ({"prompt": "What is two and two?", "answer": "4"}, "carries no calls"),
    ({"prompt": "Say [1, 2].", "answer": "[1, 2]"}, "carries no calls"),
    ({"prompt": "Nothing is right.", "ground_truth": []}, "carries no calls"),
    ({"ground_truth": [CALL]}, "has no prompt"),
    (
        {"prompt": [*SAID, {"role": "assistant", "content": "Yes?"}, SAID[1]], "calls": [CALL]},
        "its prompt is no single request: it has earlier answers",
    ),
    ({"prompt": "Buy it.", "calls": [{"name": "buy", "arguments": {}}]}, "unknown tool 'buy'"),
    ({"responses_create_params": {"input": SAID}, "ground_truth": [CALL]}, "same task as row 1"),
]  # fmt: skip


@pytest.mark.parametrize("form", ["nemo-gym", "verifiers"])
def test_rows_that_carry_calls_become_tasks_and_the_others_are_named(
    rods, shop: Path, form: str
) -> None:
    (shop / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row, _ in ROWS), "utf-8")
    done = rods("import", form, "rows.jsonl", "--env", "shop:Shop", "--out", "made.jsonl", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    refused = {f"row {i}": why for i, (_, why) in enumerate(ROWS, 1) if why}
    assert told["tasks"] == len(ROWS) - len(refused) == 4
    assert told["left_out"].keys() == refused.keys()
    for row, why in refused.items():
        assert why in told["left_out"][row]
    made = [json.loads(line) for line in (shop / "made.jsonl").read_text("utf-8").splitlines()]
    turn = {"user": "Open at eight.", "calls": [CALL]}
    assert made[0] == {"id": "rows_1", "system": "Be brief.", "turns": [turn]}
    assert [entry["turns"][0]["user"] for entry in made[1:3]] == ["Open at nine.", "Open at ten."]
    checked = rods("envs", "check", "shop:Shop", "--tasks", "made.jsonl")
    assert "4 ground truths played" in checked.out


def test_rows_without_any_calls_are_refused_with_their_count(rods, shop: Path) -> None:
    row = json.dumps({"prompt": "What is two and two?", "answer": "4"})
    (shop / "rows.jsonl").write_text(f"{row}\n{row}\n", "utf-8")
    done = rods("import", "verifiers", "rows.jsonl", "--env", "shop:Shop", "--out", "made.jsonl")
    assert done.code == 2
    assert done.err == "rods: rows.jsonl: no task; 2 left out: carries no calls\n"
    assert not (shop / "made.jsonl").exists()


def test_unusable_options(rods, shop: Path) -> None:
    done = rods("import", "csv", "rows.jsonl", "--out", "made.jsonl")
    assert (done.code, "tau2, verifiers, nemo-gym" in done.err) == (2, True)
    done = rods("import", "verifiers", "rows.jsonl", "--out", "made.jsonl")
    assert (done.code, "--env: name the class" in done.err) == (2, True)
    done = rods("import", "tau2", "clone", "--out", "made.jsonl")
    assert (done.code, "--domain retail" in done.err) == (2, True)


@pytest.fixture
def clone(shop: Path) -> Path:
    """A clone of tau2-bench with a domain of two orders, and its toolkit."""
    (shop / "kit.py").write_text(KIT, "utf-8")
    folder = shop / "clone" / "data" / "tau2" / "domains" / "retail"
    folder.mkdir(parents=True)
    orders = {
        f"W{i}": {"order": f"W{i}", "user": f"u{i}", "status": "pending"} for i in range(1, 9)
    }
    users = {f"u{i}": {"orders": [f"W{i}"]} for i in range(1, 9)}
    (folder / "db.json").write_text(json.dumps({"orders": orders, "users": users}), "utf-8")
    (folder / "policy.md").write_text("# Policy\nAsk before you cancel.\n", "utf-8")
    lookup, cancel, wrong = (
        {"name": name, "arguments": {"order": order}}
        for name, order in (("get_order", "W1"), ("cancel", "W1"), ("get_order", "W99"))
    )
    wants = {"instructions": {"reason_for_call": "Cancel W1.", "known_info": "You are u1."}}
    tasks = [
        {"id": str(i), "user_scenario": wants, "evaluation_criteria": {"actions": actions}}
        for i, actions in enumerate([[lookup, wrong, cancel], []])
    ]
    (folder / "tasks.json").write_text(json.dumps(tasks), "utf-8")
    return shop / "clone"


def test_tasks_of_tau2_bench(rods, clone: Path) -> None:
    spec = "kit:Kit[-debug]"
    done = rods("import", "tau2", clone, "--env", spec, "--out", "made.jsonl")
    assert done.code == 0, done.err
    assert "left out: 1: no reference call" in done.out
    assert "failed calls dropped from 0: get_order: " in done.out
    assert "made.jsonl: 1 tasks; 1 left out" in done.out
    head, entry = map(json.loads, Path("made.jsonl").read_text("utf-8").splitlines())
    assert head == {"system": "# Policy\nAsk before you cancel.", "tools": ["-debug"]}
    assert entry["turns"][0]["user"] == "You are u1. Cancel W1."
    assert [call["name"] for call in entry["turns"][0]["calls"]] == ["get_order", "cancel"]
    kept = entry["start"]["Kit"]["db"]["orders"]
    assert "W1" in kept and len(kept) < 8, "the part that the calls need, and two strangers"
    scored = {"task": "retail_0", "turns": [["get_order(order='W1')", "cancel(order='W1')"]]}
    silent = {"task": "retail_0", "turns": [[]]}
    Path("log.jsonl").write_text(f"{json.dumps(scored)}\n{json.dumps(silent)}\n", "utf-8")
    done = rods("score", "log.jsonl", "--env", "kit:Kit", "--tasks", "made.jsonl", "--json")
    assert [json.loads(line)["progress"] for line in done.out.splitlines()] == [1.0, 0.0]


def test_serving_without_openenv_names_the_package(rods, shop: Path) -> None:
    done = rods("serve", "--env", "shop:Shop", "--tasks", "tasks.jsonl")
    assert (done.code, done.err) == (2, "rods: openenv is not installed: pip install openenv\n")
