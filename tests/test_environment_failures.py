"""An environment that stalls or breaks down is not mistaken for the task or for the agent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fragile import Fragile
from replay import Replay
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.evaluate import evaluate
from rods.group import Signal
from rods.micro.dialogues import demonstration
from rods.play import play
from rods.profile import profile
from rods.reward import TraceError, gold_trace, trusted_trace
from rods.rollout.episode import FAILED, Ending
from rods.rollout.rollout import group_of
from rods.rollout.runner import Runner
from rods.scoring import Scorer
from rods.synthesis import gates
from rods.synthesis.case import Case, TaskLimits
from rods.task import Task

LINE = {"task": "one", "turns": [["add(amount=2)"], ["add(amount=2)"]]}


def roll(runner: Runner, tools: Fragile, task: Task, count: int = 2) -> list:
    return runner.run([task] * count, Replay([tools.right()] * count))


def test_a_stall_in_the_ground_truth_is_forgotten(tools: Fragile) -> None:
    """The trace is taken while a call hangs; right answers are right from the first one on."""
    runner, task = Runner(tools.env, tools.renderer), tools.task("one")
    tools.mark("stall")
    assert [r.progress for r in roll(runner, tools, task)] == [1.0, 1.0]
    assert not (tools.folder / "stall").exists(), "nothing hung"
    assert [r.progress for r in roll(runner, tools, task)] == [1.0, 1.0]


def test_a_raw_trace_is_not_trusted(tools: Fragile) -> None:
    tools.mark("stall")
    trace = gold_trace(tools.task("one"), tools.env)
    assert not trace.clean
    assert trace.failed.startswith("turns.0.calls.0: fails: ")


def test_a_task_that_cannot_be_traced_is_an_environment_failure(tools: Fragile) -> None:
    """It has its name, judges nothing, and is tried again."""
    runner, task = Runner(tools.env, tools.renderer), tools.task("one")
    tools.mark("fail")
    rollouts = roll(runner, tools, task)
    assert {r.ending for r in rollouts} == {Ending.ENVIRONMENT_FAILURE}
    assert {"task one" in r.failure and "the database is away" in r.failure for r in rollouts} == {
        True
    }
    assert all(len(r.completion_ids) == len(r.mask) == 1 and not any(r.mask) for r in rollouts)
    group = group_of(rollouts, "progress").measured(task.category, 0, 1)
    assert (group.rewards, group.size, group.signal) == ((), 2, Signal.INCOMPLETE)
    tools.unmark("fail")
    assert [r.progress for r in roll(runner, tools, task)] == [1.0, 1.0]


def test_a_visit_has_one_trace(tools: Fragile) -> None:
    """All rollouts of a task share its result after three tries; no group is split."""
    runner, task = Runner(tools.env, tools.renderer), tools.task("one")
    for start in range(3):
        tools.mark(f"fail-{start}")
    rollouts = roll(runner, tools, task, 8)
    assert {r.ending for r in rollouts} == {Ending.ENVIRONMENT_FAILURE}
    assert tools.opened() == 3
    assert {r.ending for r in roll(runner, tools, task, 8)} == {Ending.ANSWERED}


def test_what_an_environment_says_is_harmless(
    tools: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It contains no control characters and no secret."""
    monkeypatch.setenv("DB_PASSWORD", "correct-horse")
    (tools.folder / "fail").write_text("\x1b[2J\x1b]0;owned\x07 correct-horse\n")
    (rollout,) = roll(Runner(tools.env, tools.renderer), tools, tools.task("one"), 1)
    last = rollout.conversation.messages[-1].text
    for text in (rollout.failure, last):
        assert "owned" in text and text.isprintable()
        assert "correct-horse" not in text
    assert last == FAILED + rollout.failure


def test_a_trace_repeats_the_record(tools: Fragile) -> None:
    task = tools.task("one")
    right = gold_trace(task, tools.env).record
    assert trusted_trace(task.model_copy(update={"record": right}), tools.env).record == right
    wrong = task.model_copy(update={"record": (right[1], right[0])})
    with pytest.raises(TraceError, match="task one: its record is not repeated"):
        trusted_trace(wrong, tools.env)
    (rollout,) = roll(Runner(tools.env, tools.renderer), tools, wrong, 1)
    assert rollout.ending is Ending.ENVIRONMENT_FAILURE


def written(tools: Fragile, calls: list[str]) -> Path:
    start = {"Tally": {"folder": str(tools.folder)}}
    path = tools.folder / "tasks.jsonl"
    row = {"id": "one", "start": start, "turns": [{"user": "add", "calls": calls}]}
    path.write_text(json.dumps(row) + "\n")
    return path


@pytest.mark.slow
def test_a_stall_while_a_file_is_read(tools: Fragile) -> None:
    path = written(tools, ["add(amount=2)"])
    tools.mark("stall")
    (task,) = read_task_file(path, tools.env)
    assert task.record == gold_trace(task, tools.env).record != ()
    with pytest.raises(UserError, match=r"task 'one': .*turns\.0\.calls\.0: fails: .*amount"):
        read_task_file(written(tools, ["add(amount='two')"]), tools.env)


def test_a_stall_while_an_episode_is_scored(tools: Fragile, tmp_path: Path) -> None:
    """The first line's trace stalls; later one cannot be traced at all and has no score."""
    tasks = {name: tools.task(name) for name in ("one", "two")}
    scorer = Scorer(tools.env, tasks, complain=pytest.fail)
    file = tmp_path / "episodes.jsonl"
    file.write_text(json.dumps(LINE))
    tools.mark("stall")
    assert [row["progress"] for row in scorer.score(file)] == [1.0]
    tools.mark("fail")
    file.write_text(json.dumps(LINE | {"task": "two"}))
    (row,) = scorer.score(file)
    assert (row["progress"], row["complete"], row["ending"]) == (None, None, "environment failure")
    assert "the database is away" in row["failure"]


def test_each_line_has_its_own_score(tools: Fragile, tmp_path: Path) -> None:
    """One task of the batch cannot be traced at its first try; nobody gets another one's score."""
    tasks = {name: tools.task(name) for name in ("one", "two")}
    scorer = Scorer(tools.env, tasks, complain=pytest.fail)
    file = tmp_path / "episodes.jsonl"
    wrong = {"task": "two", "turns": [["add(amount=1)"], []]}
    lines = [LINE, LINE, wrong, LINE | {"task": "two"}]
    file.write_text("\n".join(map(json.dumps, lines)))
    for start in range(3):
        tools.mark(f"fail-{start}")
    assert [row["progress"] for row in scorer.score(file)] == [None, None, 0.0, 1.0]
    assert [row["progress"] for row in scorer.score(file)] == [1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("session", "what"),
    [
        pytest.param(0, "stall", marks=pytest.mark.slow),
        pytest.param(1, "stall", marks=pytest.mark.slow),
        pytest.param(3, "stall", marks=pytest.mark.slow),
        (0, "fail"),
        (1, "fail"),
        (3, "fail"),
    ],
)
def test_a_stall_while_a_profile_is_taken(tools: Fragile, session: int, what: str) -> None:
    """In the ground truth, where a call is left out, or where the state is watched."""
    task = tools.task("one")
    right = profile(task, tools.env)
    assert tools.opened() == 4
    tools.mark(f"{what}-{4 + session}")
    assert profile(task, tools.env) == right
    assert tools.opened() > 8, "nothing was tried again"


@pytest.mark.parametrize(
    ("what", "session"),
    [
        pytest.param("stall", 0, marks=pytest.mark.slow),
        pytest.param("stall", 1, marks=pytest.mark.slow),
        ("fail", 1),
    ],
)
def test_a_stall_while_an_example_is_made(tools: Fragile, what: str, session: int) -> None:
    """What the small policy is pretrained on shows no time limit that nothing had to do with."""
    task = tools.task("one")
    right = demonstration(task, tools.env, tools.renderer)
    tools.mark(f"{what}-{tools.opened() + session}")
    assert demonstration(task, tools.env, tools.renderer) == right
    tools.mark("fail")
    with pytest.raises(UserError, match="the database is away"):
        demonstration(task, tools.env, tools.renderer)


@pytest.mark.parametrize("what", ["stall", "fail"])
def test_a_stall_makes_no_wrong_answer_wrong(
    tools: Fragile, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The gate plays an answer that the reward cannot tell from the right one."""
    task = tools.task("one")
    right = [list(turn.ground_truth) for turn in task.turns]
    monkeypatch.setattr(gates, "wrong_answers", lambda task: [right])
    case = Case(task, tools.env, TaskLimits())
    assert case.gold.clean
    assert not gates.reward_separates(case)
    tools.mark(f"{what}-{tools.opened() + 1}")  # the right answer's session comes first
    assert not gates.reward_separates(case)


@pytest.mark.slow
def test_a_stall_while_a_person_plays(tools: Fragile) -> None:
    tools.mark("stall")
    said = ["add(amount=2)", "", "add(amount=2)", ""]
    assert play(tools.task("one"), tools.env, said, lambda line: None) == 1.0


def test_held_out_figures_leave_out_what_was_lost(tools: Fragile) -> None:
    tools.mark("fail-2")
    runner, task = Runner(tools.env, tools.renderer), tools.task("one")
    settings = {"rows": 4, "step": 0, "side": "test"}
    found = evaluate(runner, [task], Replay([tools.right()] * 3), samples=3, **settings)
    assert {(e.progress, e.complete, e.episodes) for e in found} == {(1.0, 1.0, 2)}
    tools.mark("fail")
    with pytest.raises(UserError, match="test tasks, base: the environment lost every episode"):
        evaluate(runner, [task], Replay([tools.right()] * 3), samples=3, **settings)
