"""MCP servers through the commands: a choice of tools, episodes that are counted, a cold start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commandline import refused
from mcp_files import LIBRARY, called, odd, opened, task_of, written
from rods.envs.load import load_environment
from rods.envs.mcp.environment import McpEnvironment
from rods.files.tasks import read_tasks

FILES: dict[str, Any] = {"state": {"files": ["**"]}}
TASK = {"id": "seven", "turns": [{"user": "Write seven.", "calls": ["write(text='seven')"]}]}
ROOT = LIBRARY.parents[1]
ENV = ("--env", "mcp:examples/lending/servers.json")


@pytest.mark.parametrize(
    ("words", "tools"),
    [
        ("read", ["read"]),
        ("-act", ["read", "write"]),
        ("odd,-w*", ["read", "act"]),
    ],
)
def test_tools_are_chosen_as_those_of_classes(tmp_path: Path, words: str, tools: list[str]) -> None:
    path = written(tmp_path, odd("is sound"), **FILES)
    env = load_environment(f"mcp:{path}[{words}]")
    assert isinstance(env, McpEnvironment)
    assert list(env.specs) == list(env.tools(task_of(env))) == tools
    assert set(env.left_out) == {"read", "write", "act"} - {*tools}
    assert env.name == f"mcp:{path}[{words}]"
    assert env.open(task_of(env)).call(called("act")).ok == ("act" in tools)
    env.close()


def test_a_choice_of_what_no_server_has(tmp_path: Path, rods: Any) -> None:
    path = written(tmp_path, odd("is sound"), **FILES)
    refused(rods("envs", "check", f"mcp:{path}[none]"), "'none' is no tool and no server")
    refused(rods("envs", "check", f"mcp:{path}", "--limits", "seconds=5"), "rods.limits")


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("dies", "calls stopped: 1 process ended"),
        ("hangs", "calls stopped: 1 time limit"),
        ("writes an endless line", "calls stopped: 1 process ended"),
        ("answers no JSON", "calls stopped: 1 time limit"),
        ("changes its tools when it acts", "odd: its list of tools changed: new"),
        ("fills its folder", "more than 5000 files or 64 MB"),
    ],
)
def test_an_episode_with_trouble_is_counted_and_others_are_scored(
    tmp_path: Path, rods: Any, mode: str, line: str
) -> None:
    path, tasks = written(tmp_path, odd(mode), **FILES), tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps(TASK))
    logged = tmp_path / "episodes.jsonl"
    calls = (["write(text='seven')", "act()"], ["write(text='seven')"])
    rows = [{"task": "seven", "turns": [episode]} for episode in calls]
    logged.write_text("\n".join(map(json.dumps, rows)))
    done = rods("score", logged, "--env", f"mcp:{path}", "--tasks", tasks)
    assert done.code == 0 and done.err == ""
    first, second, *rest = done.out.splitlines()
    assert second.startswith("seven: progress 1.000")
    assert sum(line in each for each in (first, *rest)) == 1
    lost = "not scored" in first
    assert lost == (mode.startswith(("changes", "fills")))
    assert rest[0].startswith(f"{2 - lost} episodes: mean progress 1.000")
    assert ("1 episodes are not scored: the environment failed in them" in rest) == lost


OPERATIONS = st.tuples(st.integers(0, 3), st.sampled_from(["write", "read", "fork", "close"]))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPERATIONS, min_size=4, max_size=16))
def test_each_session_sees_its_own_writes_only(
    sound: McpEnvironment, operations: list[tuple[int, str]]
) -> None:
    """Four sessions take turns on two servers, which are reset and evicted in between."""
    sessions = [sound.open(task_of(sound)) for _ in range(4)]
    texts = [""] * 4
    for number, (place, operation) in enumerate(operations):
        if operation == "write":
            texts[place] = str(number)
            assert sessions[place].call(called("write", text=str(number))).ok
        elif operation == "fork":
            fork, other = sessions[place].fork(), (place + 1) % 4
            sessions[other].close()
            sessions[other], texts[other] = fork, texts[place]
        elif operation == "close":
            sessions[place].close()
            sessions[place], texts[place] = sound.open(task_of(sound)), ""
        assert [session.call(called("read")).text for session in sessions] == texts
    for session in sessions:
        session.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sound")
    (folder / "start").mkdir()
    env = opened(folder, odd("is sound"), {"servers": 2}, template="start", reset="folder")
    yield env
    env.close()


def test_tasks_without_a_human_task(
    tmp_path: Path, rods: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "first.jsonl"
    done = rods("synth", "--cold", *ENV, "--count", 6, "--workers", 1, "--out", out)
    assert done.code == 0, done.err
    made = read_tasks(out)
    assert {task.environment for task in made} == {ENV[1]}
    assert {task.note for task in made} >= {"one call", "two calls in one turn", "two turns"}
    assert rods("verify", out, *ENV).out.endswith("6 of 6 tasks pass every gate\n")
