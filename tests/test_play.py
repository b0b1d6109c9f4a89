"""`rods play` from a pipe: the right calls win, and nothing reaches the terminal raw."""

import io
from types import SimpleNamespace
from typing import Any

import pytest

from commandline import Done, refused
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.play import play

TASK = benchmark_tasks()["multi_turn_base_1"]


@pytest.fixture
def typed(rods: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(content: bytes, name: str = TASK.source) -> Done:
        stdin = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", stdin)
        return rods("play", name)

    return run


def test_the_ground_truth_wins(typed: Any) -> None:
    lines = [str(line) for turn in TASK.turns for line in (*turn.ground_truth, "")]
    done = typed("\n".join([*lines, "", ""]).encode())
    assert done.code == 0 and done.out.endswith("[answered]\n[progress 1.000, complete]\n")
    assert done.out.count("state ok, responses ok") == len(TASK.turns)


def test_silence_and_an_early_end_are_told(typed: Any) -> None:
    assert "[given up: turns not reached count as failed]\n[progress 0.000]" in typed(b"").out
    done = typed(b"\n\n\n\n")
    assert done.out.endswith("[answered]\n[progress 0.000]\n")


def test_a_turn_has_room_for_many_calls_and_mistakes(typed: Any) -> None:
    """More than an agent is given: a person types call by call."""
    lines = [str(line) for turn in TASK.turns for line in (*turn.ground_truth, "")]
    done = typed("\n".join([*["ls()"] * 12, *["ls("] * 5, *lines, ""]).encode())
    assert done.out.endswith("[answered]\n[progress 1.000, complete]\n")


def test_what_is_typed_and_answered_is_harmless() -> None:
    shown: list[str] = []
    hostile = ["[touch('a'), echo('\x1b[2Jx', 'a')]", "cat('a')", "ls(", "__import__('os')"]
    play(TASK, BfclEnvironment(), hostile, shown.append)
    assert any("\\x1b[2J" in line or "\\u001b[2J" in line for line in shown)
    assert all(line.isprintable() for line in shown)
    assert any(line.startswith("!: not a list of calls") for line in shown)


def test_bytes_that_are_no_text_and_unknown_tasks(typed: Any) -> None:
    assert typed(b"\xff\xfe\n").code == 0
    refused(typed(b"", "multi_turn_base_900"), "multi_turn_base_900")
