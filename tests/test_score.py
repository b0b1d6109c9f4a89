"""Logged episodes are scored as they were played, and a line that is none is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.errors import UserError
from rods.scoring import Scorer

TASK = "multi_turn_miss_func_102"  # six turns; in the third the right answer is to call nothing
GOLD = [[str(call) for call in turn.ground_truth] for turn in benchmark_tasks()[TASK].turns]

complaints: list[str] = []


def scorer() -> Scorer:
    return Scorer(BfclEnvironment(), benchmark_tasks(), complaints.append)


@pytest.fixture
def score(tmp_path: Path) -> Any:
    def run(*lines: Any) -> list[dict[str, Any]]:
        path = tmp_path / "log.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts), encoding="utf-8")
        complaints.clear()
        return list(scorer().score(path))

    return run


def episode(*turns: list[str]) -> dict[str, Any]:
    return {"task": TASK, "turns": list(turns)}


def test_gold_scores_one_in_every_category(score: Any) -> None:
    tasks = list(benchmark_tasks().values())[::50]
    gold = [[[str(c) for c in turn.ground_truth] for turn in task.turns] for task in tasks]
    rows = score(*({"task": t.source, "turns": g} for t, g in zip(tasks, gold, strict=True)))
    assert [row["task"] for row in rows] == [task.source for task in tasks]
    for row, task in zip(rows, tasks, strict=True):
        assert (row["progress"], row["complete"], row["ending"]) == (1.0, True, "answered")
        assert [turn["empty"] for turn in row["turns"]] == [not t.ground_truth for t in task.turns]
        assert all(turn["state"] and turn["exec"] for turn in row["turns"])


def test_silence_and_half_an_answer(score: Any) -> None:
    silent, short, half = score(episode(*[[]] * 6), episode(), "", episode(*GOLD[:2]))
    assert silent == short
    assert silent["progress"] == pytest.approx(1 / 6) and not silent["complete"]
    assert half["progress"] == pytest.approx(3 / 6)


def test_bfcl_lists_and_positional_arguments_are_read(score: Any) -> None:
    joined = [[f"[{', '.join(calls)}]"] if calls else ["[]"] for calls in GOLD]
    order = "place_order('Buy', 'TSLA', price=700, amount=100)"
    first, second = score(episode(*joined), episode([order], *GOLD[1:]))
    assert first["progress"] == second["progress"] == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch X')",
        "get_watchlist(",
        "no_such_tool()",
        "[no_such_tool(a=",
        '["get_watchlist"]',
        "cd('a')",
        "get_watchlist()" * 10_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_call_that_cannot_be_read_is_a_failed_call(
    score: Any, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    beside = episode([*GOLD[0], text], *GOLD[1:])
    instead = episode([text], *GOLD[1:])
    unasked = episode(*GOLD[:2], [text], *GOLD[3:])
    rows = score(beside, instead, unasked)
    assert [row["ending"] for row in rows] == ["format failures"] * 3
    assert rows[0]["progress"] == 1.0  # an extra call that changes nothing does no harm
    assert not rows[1]["turns"][0]["exec"] and rows[1]["progress"] < 1.0
    assert rows[2]["turns"][2] == {"state": False, "exec": False, "empty": True}
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "[]",
        "I would rather not",
        "File(s) are (9).",
        "9" * 5_000,
        "\ud800",
        "no (" * 10_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_text_without_a_call_is_silence(score: Any, text: str) -> None:
    beside = episode([*GOLD[0], text], *GOLD[1:])
    instead = episode([text], *GOLD[1:])
    unasked = episode(*GOLD[:2], [text], *GOLD[3:])
    assert score(beside, instead, unasked) == score(
        episode(*GOLD), episode([], *GOLD[1:]), episode(*GOLD)
    )


def test_an_object_of_any_depth_is_at_most_a_failed_call(rods: Any, tmp_path: Path) -> None:
    path, deep = tmp_path / "log.jsonl", "[" * 900 + "]" * 900
    path.write_text("".join(
        f'{{"task": "{TASK}", "turns": [[{item}]]}}\n'
        for item in (
            f'{{"name": "get_watchlist", "arguments": {{"folder": {deep}}}}}',
            f'{{"get_watchlist": {{"folder": {deep}}}}}',
            f'{{"function": {{"name": "get_watchlist", "arguments": {{"folder": {deep}}}}}}}',
            f'{{"get_watchlist": {deep}}}',
        )
    ))  # fmt: skip
    done = rods("score", path)
    assert done.code == 0 and done.out.count("format failures") == 4
    assert "calls stopped: 3 nested too deep, 1 not calls" in done.out


def test_a_call_that_nobody_asked_for_is_not_executed(score: Any) -> None:
    (row,) = score(episode(*GOLD[:2], GOLD[5], *GOLD[3:]))  # a ticket would change the state
    assert [turn["state"] for turn in row["turns"]] == [True, True, False, True, True, True]


@pytest.mark.parametrize(
    "call",
    [
        f"place_order('Buy', 'TSLA', {'9' * 400}, 1)",
        "place_order('Buy', 'TSLA', 1e999, 1)",
        "place_order(*['Buy', 'TSLA', 1, 1])",
        "place_order(**{'amount': 1})",
        "place_order([], {}, None, ...)",
        "place_order()",
    ],
    ids=lambda call: repr(call[:30]),
)
def test_a_hostile_call_is_a_failed_call(score: Any, call: str) -> None:
    (row,) = score(episode([*GOLD[0], call], *GOLD[1:]))
    assert row["progress"] == 1.0


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"task": ' + "9" * 5_000 + "}", "not JSON"),
        ("[]", "task"),
        ("7", "task"),
        ({"turns": []}, "task"),
        ({"task": "multi_turn_base_200", "turns": []}, "task"),
        ({"task": None, "turns": []}, "task"),
        ({"task": [TASK], "turns": []}, "task"),
        ({"task": {}, "turns": []}, "task"),
        ({"task": TASK}, "turns"),
        ({"task": TASK, "turns": {}}, "turns"),
        ({"task": TASK, "turns": "ls()"}, "turns"),
        ({"task": TASK, "turns": ["ls()"]}, "turns"),
        ({"task": TASK, "turns": [[["ls()"]]]}, "turns"),
        ({"task": TASK, "turns": [[None]]}, "turns"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_line_that_is_no_episode_is_named(score: Any, line: Any, field: str) -> None:
    rows = score(episode(), "", line, episode())
    assert len(rows) == 2
    (complaint,) = complaints
    assert f"log.jsonl: line 3: {field}" in complaint


def test_a_line_that_is_not_utf_8_is_named_and_the_others_are_scored(tmp_path: Path) -> None:
    complaints.clear()
    path = tmp_path / "log.jsonl"
    good = json.dumps(episode(*GOLD)).encode()
    path.write_bytes(good + b'\n{"task": "\xe9"}\n' + good + b'\n{"task": "multi')
    assert [row["progress"] for row in scorer().score(path)] == [1.0, 1.0]
    assert [c.split(": ", 1)[1] for c in complaints] == [
        "line 2: not UTF-8 at byte 10; save it as UTF-8",
        "line 4: not JSON at character 10: Unterminated string starting at",
    ]


def test_calls_may_be_written_in_any_notation(score: Any) -> None:
    from rods.envs.notation import parse_calls
    from writers import write_blocks, write_json, write_objects

    tools = BfclEnvironment().tools(benchmark_tasks()[TASK])
    turns = [[call for text in turn for call in parse_calls(text, tools)] for turn in GOLD]
    rows = score(
        episode(*[[write_json(turn)] if turn else [] for turn in turns]),
        episode(*[[write_blocks(turn)] if turn else [] for turn in turns]),
        {"task": TASK, "turns": [write_objects(turn) for turn in turns]},
    )
    assert [row["progress"] for row in rows] == [1.0, 1.0, 1.0]


def test_byte_order_marks_are_passed_over(tmp_path: Path) -> None:
    complaints.clear()
    path = tmp_path / "log.jsonl"
    line = "\ufeff" + json.dumps(episode(*GOLD)) + "\r\n"
    path.write_bytes((line * 2).encode())
    assert [row["progress"] for row in scorer().score(path)] == [1.0, 1.0] and not complaints
    path.write_bytes(line.encode("utf-16"))
    assert list(scorer().score(path)) == []
    assert "line 1: begins with the byte order mark of UTF-16; save it as UTF-8" in complaints[0]


def test_an_episode_that_says_two_things_is_refused(score: Any) -> None:
    good = json.dumps(episode(*GOLD))
    twice = good[:-1] + ', "turns": []}'
    inner = json.dumps(episode([{"name": "cd", "arguments": {}}])).replace("{}", '{"a": 1, "a": 2}')
    assert [row["progress"] for row in score(good, twice, inner)] == [1.0]
    assert "line 2: the key 'turns' appears twice" in complaints[0]
    assert "line 3: turns.0.0.arguments: the key 'a' appears twice" in complaints[1]


@pytest.mark.parametrize("value", ["1" + "0" * 30, "NaN", "1e999", '"\\ud800"'])
def test_a_value_that_no_tool_takes_is_a_failed_call(score: Any, value: str) -> None:
    call = {"name": "get_stock_info", "arguments": {"symbol": "VALUE"}}
    line = json.dumps(episode([*GOLD[0], call], *GOLD[1:])).replace('"VALUE"', value)
    (row,) = score(line)
    assert row["progress"] == 1.0 and not complaints


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029", "\x1c", "\x0b"])
def test_only_line_feeds_end_a_line(score: Any, mark: str) -> None:
    ticket = [GOLD[5][0].replace("not displaying", f"not{mark}displaying")]
    line = json.dumps(episode(*GOLD[:5], ticket), ensure_ascii=False)
    (row,) = score(line)
    assert (row["progress"], row["ending"]) == (pytest.approx(5 / 6), "answered")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name in ("none.jsonl", "."):
        with pytest.raises(UserError, match=str(tmp_path / name)):
            list(scorer().score(tmp_path / name))


RESULT = {"id": TASK, "result": [[call] for call in GOLD], "latency": [[0.5]]}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({**RESULT, "id": "multi_turn_base_200"}, "id: no task"),
        ({**RESULT, "id": 7}, "id: no name"),
        ({**RESULT, "result": "Error during inference: 503"}, "result: must be a list"),
        ({**RESULT, "result": ["ls()"]}, "result: must be a list"),
        ({**RESULT, "result": [[[["ls()"]]]]}, "result: must be a list"),
        ({**RESULT, "result": [[7]]}, "result: must be a list"),
        ({**RESULT, "result": [[[None]]]}, "result: must be a list"),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_a_line_that_is_no_result_is_named(score: Any, line: Any, field: str) -> None:
    assert score(RESULT, line) == score(RESULT)
    score(RESULT, line)
    (complaint,) = complaints
    assert f"log.jsonl: line 2: {field}" in complaint


def test_turns_of_prose_are_counted(rods: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    said = {"id": TASK, "result": [[*GOLD[0], "Done."], ["Why?"], ["Why?", ["No."]], [""], [None]]}
    path.write_text(json.dumps(said) + "\n")
    assert "\nturns with text and no call: 2\n" in rods("score", path).out
    assert "turns with text" not in rods("score", path, "--json").out


def test_turns_that_an_episode_did_not_reach_failed(score: Any) -> None:
    """Also where no call is right, and whatever was called there."""
    whole = {**episode(*GOLD), "judged": 6}
    cut, none = {**episode(*GOLD[:2]), "judged": 2}, {**episode(*GOLD), "judged": 0}
    found = score(whole, cut, none)
    assert [row["progress"] for row in found] == [1.0, pytest.approx(2 / 6), 0.0]
    assert found[1]["turns"][2] == {"state": False, "exec": False, "empty": True}
    for wrong in (-1, 7, "2", True, None, 1.0):
        assert not score({**episode(*GOLD), "judged": wrong})
        assert "judged: must be a number of turns" in complaints[0]
