"""The user's own classes behave as sessions do, here and behind the guard."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from rods.envs.base import Environment, Work
from rods.envs.bfcl_data import CATEGORIES
from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.envs.python import PythonEnvironment
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.reward import gold_trace, progress
from rods.scoring import score
from rods.task import Call, Task, Turn

ROOT = Path(__file__).parent.parent


class Point(BaseModel):
    x: int
    y: int = 0


@dataclass
class Item:
    label: str


class Tools:
    """Tools with all kinds of parameters."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.tags: set[str] = set()
        self._hidden = 0

    def put(
        self,
        point: Point,
        kind: Literal["a", "b"] = "a",
        tags: list[str] = [],  # noqa: B006
        weight: float | None = None,
    ) -> dict[str, Any]:
        """Put a thing.

        Args:
            point: where.
            kind: which kind.
        """
        tags.append(kind)
        self.tags |= set(tags)
        self.items.append(Item(f"{point.x},{point.y}"))
        return {"tags": tags, "weight": weight}

    @staticmethod
    def double(number: int) -> int:
        """Double."""
        return 2 * number

    def fail(self, how: str) -> dict[str, str]:
        """Fail."""
        if how == "softly":
            return {"error": "softly"}
        raise ValueError("hard")

    def _private(self) -> None: ...


class Stateful:
    """Offers its own state."""

    def __init__(self) -> None:
        self._n = 1

    def get_state(self) -> dict[str, int]:
        return {"n": self._n}

    def set_state(self, state: dict[str, int]) -> None:
        self._n = state["n"]

    def add(self) -> int:
        """Add one."""
        self._n += 1
        return self._n


ENV = PythonEnvironment(Tools, Stateful)


def task(**start: Any) -> Task:
    turns = (Turn(user="-"),)
    return Task(category="base", classes=("Tools", "Stateful"), start=start, turns=turns)


def call(name: str, **arguments: Any) -> Call:
    return Call.model_construct(name=name, arguments=arguments)


def test_schemas_come_from_hints_and_docstrings() -> None:
    tools = ENV.tools(task())
    assert list(tools) == ["put", "double", "fail", "add"]
    put = tools["put"]
    assert (put.owner, put.description, put.required) == ("Tools", "Put a thing.", ("point",))
    assert put.parameters["kind"]["enum"] == ["a", "b"]
    assert put.parameters["kind"]["description"] == "which kind."
    assert put.parameters["point"]["properties"]["x"]["type"] == "integer"
    assert "$ref" not in json.dumps(put.parameters)
    assert put.parameters["weight"]["default"] is None


def test_arguments_are_validated_and_errors_are_observations() -> None:
    session = ENV.open(task())
    good = session.call(call("put", point={"x": 1}, tags=["t"]))
    assert (good.text, good.ok) == ('{"tags": ["t", "a"], "weight": null}', True)
    for bad in (
        call("put", point={"y": 1}),
        call("put", point={"x": 1}, kind="c"),
        call("double", number="many"),
        call("fail", how="hard"),
        call("_private"),
        call("get_state"),
        call("put"),
    ):
        seen = session.call(bad)
        assert seen.raised and not seen.ok and seen.text.startswith("Error during execution: "), bad
    soft = session.call(call("fail", how="softly"))
    assert (soft.ok, soft.raised) == (False, False)


def test_default_arguments_do_not_leak_and_forks_are_apart() -> None:
    session = ENV.open(task())
    for _ in range(2):
        assert session.call(call("put", point={"x": 1})).text.startswith('{"tags": ["a"]')
    fork, before = session.fork(), session.state()
    fork.call(call("put", point={"x": 2}, kind="b"))
    fork.call(call("add"))
    assert session.state() == before != fork.state()
    assert before.data == {
        "Tools": {"items": [{"label": "1,0"}, {"label": "1,0"}], "tags": ["a"]},
        "Stateful": {"n": 1},
    }


def test_start_states() -> None:
    session = ENV.open(task(Tools={"tags": ["x"]}, Stateful={"n": 5}))
    assert session.call(call("add")).text == "6"
    for start in ({"Tools": {"none": 1}}, {"Tools": {"_hidden": 1}}, {"Stateful": {}}):
        with pytest.raises(UserError, match="start state of"):
            ENV.open(task(**start))
    with pytest.raises(UserError, match="another class has a tool of that name"):
        PythonEnvironment(Tools, type("Other", (Tools,), {}))


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("Exits", "process ended"),
        ("Hangs", "time limit"),
        ("Eats", "memory limit"),
        ("Recurses", ""),
        ("Raises", ""),
        ("Prints", None),
    ],
)
def test_a_method_that_misbehaves_harms_its_own_call_only(
    name: str, refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests"))
    env = GuardedEnvironment(load_environment(f"broken_classes:Sound,broken_classes:{name}"))
    turns = (Turn(user="-"),)
    world = Task(category="base", classes=("Sound", name), start={}, turns=turns)
    sessions = [env.open(world) for _ in range(3)]
    calls = [call("add"), call("act"), call("add", amount=5)]
    outcomes = env.execute(
        [
            Work(sessions[0], [call("add", amount=7)]),
            Work(sessions[1], calls),
            Work(sessions[2], [call("add", amount=2)]),
            Work(sessions[0], [call("add")]),
        ]
    )
    env.close()
    values = [[seen.text for seen in outcome.observations] for outcome in outcomes]
    assert values[0] == ["7"] and values[2] == ["2"] and values[3] == ["8"]
    first, odd, last = outcomes[1].observations
    assert (first.text, last.text) == ("1", "6")
    if refused is None:
        assert odd.text == "1"
    else:
        assert (odd.raised, odd.refused) == (True, refused)
        assert len(odd.text) < 400


def test_the_examples_ground_truths_score_one_here_and_guarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    plain = load_environment("examples.clinic.tools:Clinic")
    apart = GuardedEnvironment(plain)
    tasks = read_task_file(ROOT / "examples/clinic/tasks.yaml", plain)
    assert len(tasks) == 12
    assert {t.category for t in tasks} == set(CATEGORIES) - {"long_context"}
    env: Environment
    for env in (plain, apart):
        for found in tasks:
            gold = gold_trace(found, env)
            assert gold.clean
            right = [turn.ground_truth for turn in found.turns]
            assert progress(score(found, env, right, gold), len(right)) == 1.0
            wrong = [turn[:-1] for turn in right]
            assert progress(score(found, env, wrong, gold), len(right)) < 1.0
    apart.close()
