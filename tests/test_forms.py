"""What an agent writes is read as docs/reward.md tells, beside the benchmark's own decoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from official import OfficialChecker, OfficialDecoder
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.calls import CallError
from rods.envs.notation import parse_calls, read_objects
from rods.scoring import Scorer
from rods.task import Call

PAGE = Path(__file__).parent.parent / "docs" / "reward.md"
TOOLS = tool_specs()
TASK = "multi_turn_miss_func_0"  # in its third turn the right answer is to call nothing
DECODER = OfficialDecoder()


class Row(NamedTuple):
    """A row of the table: a step as JSON, what it is read as, what the benchmark takes it for."""

    step: Any
    ours: str
    official: str
    why: str


def rows() -> list[Row]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [Row(json.loads(step.strip("`")), *rest) for step, *rest in cells]


def scored(step: Any, path: Path) -> tuple[Scorer, dict[str, Any]]:
    """The row of an episode whose third turn is the step."""
    scorer = Scorer(BfclEnvironment(), benchmark_tasks(), complain=pytest.fail)
    path.write_text(json.dumps({"id": TASK, "result": [[], [], [step], [], []]}) + "\n")
    (row,) = scorer.score(path)
    return scorer, row


def calls(step: Any) -> list[str]:
    """As `rods score` reads them.

    Raises:
        CallError: it reads none.
    """
    if isinstance(step, str):
        return list(map(str, parse_calls(step, TOOLS)))
    return list(map(str, read_objects(step if isinstance(step, list) else [step], TOOLS)))


def cell(found: list[str]) -> str:
    return ", ".join(f"`{call}`" for call in found)


@pytest.mark.parametrize("row", rows(), ids=lambda row: json.dumps(row.step)[:50])
def test_a_form_is_read_as_the_table_tells(row: Row, tmp_path: Path) -> None:
    scorer, result = scored(row.step, tmp_path / "log.jsonl")
    silent = result["turns"][2]["state"]
    if row.ours == "no call":
        assert silent and result["ending"] == "answered" and not scorer.refusals
    elif row.ours.startswith("failed: "):
        assert not silent and result["ending"] == "format failures"
        assert scorer.refusals == {row.ours.removeprefix("failed: "): 1}
    else:
        assert cell(calls(row.step)) == row.ours and not silent
    decode = DECODER.prompting if isinstance(row.step, str) else DECODER.function_calling
    assert cell(decode(row.step) or []) == ("" if row.official == "skipped" else row.official)
    alike = row.official == ("skipped" if row.ours == "no call" else row.ours)
    assert alike or row.why, "a difference needs its reason"


def test_the_table_has_each_kind_of_row() -> None:
    table = rows()
    assert len(table) > 30
    assert {type(row.step) for row in table} == {str, list, dict, type(None)}
    assert {row.ours[:7] for row in table} > {"no call", "failed:"}


MARKS = [
    "<tool_call>",
    "</tool_call>",
    "<tools>",
    "[THINK]",
    "[/THINK]",
    "```python",
    "`",
    "]",
    ")",
]
MARKS += ['{"name": "ls", "arguments": {}}', "ls(a=True)", "((((", "[[", "'", '"', "\\", "#", "\n"]
texts = st.lists(st.sampled_from([*MARKS, "a", " "]), max_size=6).map("".join)
scalars = st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.none() | texts
words = st.sampled_from(["a", "b c", "content"])
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(words, scalars, min_size=1)


@st.composite
def some_calls(draw: st.DrawFn) -> list[Call]:
    names = draw(st.lists(st.sampled_from(sorted(TOOLS)), min_size=1, max_size=3))
    return [
        Call(
            name=n, arguments={p: draw(values) for p in TOOLS[n].parameters if draw(st.booleans())}
        )
        for n in names
    ]


WAYS = ["{}", "[{}]", " [{}]\n", "```\n[{}]\n```", "`{}`", "[\n{}\n]", "[{},]", "{}, "]


@settings(max_examples=100)
@given(some_calls(), st.sampled_from(WAYS), st.sampled_from([", ", ",\n"]))
def test_what_the_benchmark_reads_of_text_is_read_alike(
    made: list[Call], way: str, between: str
) -> None:
    text = way.format(between.join(map(str, made)))
    assert calls(text) == DECODER.prompting(text) == list(map(str, made))


@settings(max_examples=200)
@given(some_calls(), st.data())
def test_where_both_read_a_damaged_text_they_read_the_same(
    made: list[Call], data: st.DataObject
) -> None:
    text = f"[{', '.join(map(str, made))}]"
    at = data.draw(st.integers(0, len(text)))
    new = data.draw(st.sampled_from(["", *"()[]{}'\"`,# \n<>", "<tool_call>"]))
    text = text[:at] + new + text[at + (not new) :]
    official = DECODER.prompting(text)
    try:
        found = calls(text)
    except CallError:
        return
    assert official in (None, found)


@settings(max_examples=100)
@given(some_calls(), st.booleans())
def test_function_call_logs_are_read_alike(made: list[Call], as_text: bool) -> None:
    step = [{c.name: json.dumps(c.arguments) if as_text else c.arguments} for c in made]
    official = DECODER.function_calling(step)
    assert official is not None
    assert calls(step) == [str(*parse_calls(text, TOOLS)) for text in official]
    assert calls(step) == list(map(str, made))


@pytest.mark.parametrize("function_calls", [True, False])
def test_result_files_get_the_benchmarks_verdict(function_calls: bool, tmp_path: Path) -> None:
    checker = OfficialChecker()
    decode = DECODER.function_calling if function_calls else DECODER.prompting
    tasks, lines, valid = list(benchmark_tasks().values())[::100], [], []
    for wrong in (False, True):
        for task in tasks:
            result = [[_step(turn.ground_truth, function_calls)] for turn in task.turns]
            result = [[*turn, "It is done (as far as I see)."] for turn in result]
            if wrong:
                result[0] = ["I would rather not."]
            lines.append(json.dumps({"id": task.source, "result": result, "latency": [[0.1]]}))
            decoded = [[c for step in turn for c in decode(step) or ()] for turn in result]
            checker.clean()
            valid.append(checker.verdict(task.source, decoded))
    path = tmp_path / "BFCL_v4_multi_turn_base_result.json"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = list(Scorer(BfclEnvironment(), benchmark_tasks(), complain=pytest.fail).score(path))
    assert [row["complete"] for row in found] == valid
    assert set(valid) == {True, False}


def _step(wanted: tuple[Call, ...], function_calls: bool) -> Any:
    if function_calls:
        return [{call.name: json.dumps(call.arguments)} for call in wanted]
    return f"[{', '.join(map(str, wanted))}]"
