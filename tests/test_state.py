"""Snapshots are equal in one process exactly where they are equal through the guard."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rods.envs.base import Work
from rods.envs.bfcl import BfclEnvironment
from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.envs.state import State, decode, encode
from rods.reward import gold_trace
from rods.scoring import score
from rods.task import Call, Task, Turn

NAN = math.nan
numbers = st.sampled_from([0, 1, -1, 0.0, -0.0, 1.0, 0.1, True, False, math.inf, NAN, -NAN, 10**20])
scalars = st.one_of(numbers, st.none(), st.sampled_from(["", "a", "NaN", "\0map", "\ud800"]))
keys = st.one_of(scalars, st.tuples(scalars))
data = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.sets(keys, max_size=3),
    ),
    max_leaves=8,
)


@given(data, data)
def test_equal_here_is_equal_by_digest(one: object, other: object) -> None:
    for left, right in ((one, other), (one, copy.deepcopy(one)), (other, decode(encode(other)))):
        here, there = State({"x": left}), State({"x": right})
        apart = State(None, here.digest) == State(None, there.digest)
        assert (here == there) is (there == here) is apart
    assert State({"x": one}) == State({"x": copy.deepcopy(one)})


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (NAN, -NAN, True),
        (NAN, 0.0, False),
        ([NAN, 1], [NAN, 1.0], True),
        ([NAN, 1], [NAN, 2], False),
        ([NAN], (NAN,), False),
        ({"a": NAN}, {"a": NAN}, True),
        ({"a": NAN}, {"b": NAN}, False),
        ({NAN: 1}, {float("nan"): 1}, True),
        ({NAN, 1}, {float("nan"), 1}, True),
        ({NAN, 1}, {float("nan"), 2}, False),
        (NAN, None, False),
    ],
)
def test_nan_equals_nan_and_nothing_else(one: object, other: object, equal: bool) -> None:
    assert (State({"x": one}) == State({"x": other})) is equal


GAUGE = '''
class Gauge:
    """A gauge that may read nothing."""

    def __init__(self):
        self.level = 0.0

    def clear(self) -> str:
        """Read nothing."""
        self.level = float("inf") - float("inf")
        return "cleared"

    def fill(self) -> str:
        """Read one."""
        self.level = 1.0
        return "cleared"
'''


def test_a_right_answer_that_leads_to_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gauge.py").write_text(GAUGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    here = load_environment("gauge:Gauge")
    clear, fill = (Call(name=name, arguments={}) for name in ("clear", "fill"))
    turns = (Turn(user="clear it", ground_truth=(clear,)),)
    task = Task(category="base", classes=("Gauge",), start={}, turns=turns, environment=here.name)
    apart = GuardedEnvironment(here)
    for env in (here, apart):
        assert gold_trace(task, env) == gold_trace(task, env)
        assert [v.passed for v in score(task, env, [[clear]])] == [True]
        assert [v.passed for v in score(task, env, [[fill]])] == [False]
    apart.close()


def test_nan_in_a_simulator() -> None:
    """Arguments of the benchmark's tools may be anything that a float is."""
    env = BfclEnvironment()
    call = Call(name="fillFuelTank", arguments={"fuelAmount": 1.0})
    start = {"VehicleControlAPI": {"fuelLevel": NAN}}
    turns = (Turn(user="fill", ground_truth=(call,)),)
    task = Task(category="base", classes=("VehicleControlAPI",), start=start, turns=turns)
    session = env.open(task)
    (before,) = env.execute([Work(session, (), None, True)])
    assert before.state is not None
    assert session.matches(before.state) and env.open(task).matches(before.state)
    assert not env.open(task.model_copy(update={"start": {}})).matches(before.state)
