"""BFCL's 800 tasks score as they must, and the calls that hang its simulators are refused."""

import importlib
import inspect
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.bfcl_mends import PACKAGE, SIMULATORS
from rods.envs.notation import parse_calls
from rods.reward import GoldTrace, gold_trace, progress
from rods.scoring import score
from rods.task import Call, Task, Turn

ENV, TOOLS = BfclEnvironment(), tool_specs()


@cache
def trace(name: str) -> GoldTrace:
    return gold_trace(benchmark_tasks()[name], ENV)


def test_every_ground_truth_scores_one() -> None:
    scores = {
        name: progress(
            list(score(task, ENV, [t.ground_truth for t in task.turns], trace(name))),
            len(task.turns),
        )
        for name, task in benchmark_tasks().items()
    }
    assert {name: p for name, p in scores.items() if p != 1.0} == {}
    assert len(scores) == 800


def test_silence_scores_the_empty_turns() -> None:
    for name, task in benchmark_tasks().items():
        empty = sum(not turn.ground_truth for turn in task.turns)
        verdicts = list(score(task, ENV, [], trace(name)))
        assert progress(verdicts, len(task.turns)) == empty / len(task.turns), name


def test_parameter_order_is_the_signatures() -> None:
    assert len(TOOLS) == 128
    for name, spec in TOOLS.items():
        module = importlib.import_module(f"{PACKAGE}.{SIMULATORS[spec.owner]}")
        method = getattr(getattr(module, spec.owner), name)
        _, *parameters = inspect.signature(method).parameters.values()
        assert list(spec.parameters) == [p.name for p in parameters], name
        needed = [p.name for p in parameters if p.default is p.empty]
        assert list(spec.required) == needed, name


def test_equal_responses_are_counted() -> None:
    """A response that the gold answer has twice is wanted twice, in whatever turn it was seen."""
    once, twice, three = (parse_calls(f"[{', '.join(['pwd()'] * n)}]", TOOLS) for n in (1, 2, 3))
    turns = tuple(Turn(user="-", ground_truth=calls) for calls in (twice, three))
    task = Task(category="base", classes=("GorillaFileSystem",), start={}, turns=turns)

    def passed(*answer: tuple[Call, ...]) -> list[bool]:
        return [verdict.passed for verdict in score(task, ENV, answer)]

    assert passed(twice, three) == passed(twice, once) == passed(three, once) == [True, True]
    assert passed(once, twice) == [False, True]
    assert passed(once, once) == [False, False]
    assert passed(three, ()) == [True, False]  # seen enough, but a silent turn never passes


# Run apart, in a process that can be killed should one of them hang after all.
HOSTILE = """
import json
from test_bfcl import run_hostile
numbers = [
    "power(base=10, exponent=1000000000)",
    "power(base=1000000000, exponent=1000)",
    "square_root(number=2, precision=10000000)",
    "logarithm(value=2, base=3, precision=10000000)",
    "round_number(number=5, decimal_places=-1000000000)",
    "divide(1e308, 1e-308)",
]
print(json.dumps({
    "math": [run_hostile("MathAPI", text, "add(1, 2)") for text in numbers],
    "files": [
        run_hostile("GorillaFileSystem", "mkdir('d')", f"{tool}('d', 'd')", "du()", "find()")
        for tool in ("cp", "mv")
    ],
}))
"""


def run_hostile(owner: str, *texts: str) -> list[tuple[str, bool]]:
    task = Task(category="base", classes=(owner,), start={}, turns=(Turn(user="-"),))
    session = ENV.open(task)
    seen = [session.call(call) for text in texts for call in parse_calls(text, TOOLS)]
    return [(o.text, o.raised) for o in seen]


def test_calls_that_would_hang_are_errors_and_the_session_works_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    for (text, raised), after in seen["math"]:
        assert raised and text.startswith("Error during execution"), text
        assert after == ['{"result": 3}', False]
    for made, (text, raised), usage, found in seen["files"]:
        assert raised and "into itself" in text
        assert not made[1] and not usage[1] and found == ['{"matches": ["./d"]}', False]
