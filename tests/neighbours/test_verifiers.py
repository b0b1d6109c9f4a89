"""verifiers' own `vf-eval` plays our tasks against a scripted endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from chat_script import endpoint

from contract import ENV, FILE, TASKS, expected, oracle, plausible, silent
from rods.neighbours.tasks import Tasks
from scripted_endpoint import Reply, ScriptedEndpoint

pytestmark = pytest.mark.neighbours
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tasks() -> Tasks:
    return Tasks(ENV, ROOT / FILE)


def evaluate(out: Path, url: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rollouts of an evaluation by the command line, by the names of their tasks."""
    programs = Path(sys.executable).parent
    command = [
        programs / "vf-eval", "rods-tasks", "--no-rich", "--no-push",
        "--env.taskset.environment", ENV, "--env.taskset.file", FILE,
        "--select.include.names", json.dumps(names), "--model", "scripted",
        "--client.base-url", url, "--client.api-key-var", "NO_KEY", "--output-dir", out,
    ]  # fmt: skip
    path = f"{programs}:{os.environ['PATH']}"  # of uv
    environ = {**os.environ, "NO_KEY": "none", "PATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (traces,) = out.rglob("traces.jsonl")
    episodes = [json.loads(line) for line in traces.read_text("utf-8").splitlines()]
    found = {episode["task"]["data"]["name"]: episode["traces"][0] for episode in episodes}
    assert sorted(found) == sorted(names)
    return found


@pytest.mark.parametrize("agent", [oracle, plausible, silent])
def test_the_contract(agent: Callable[..., Any], tasks: Tasks, tmp_path: Path) -> None:
    offered: dict[str, list[bool]] = defaultdict(list)  # by the first words of the user
    play = endpoint(tasks.by_name, agent)

    def reply(request: dict[str, Any]) -> Reply:
        first = next(m["content"] for m in request["messages"] if m["role"] == "user")
        names = {tool["function"]["name"] for tool in request["tools"]}
        assert "list_free_slots" in names
        offered[str(first)].append("cancel_appointment" in names)
        return play(request)

    names = [*TASKS, "no-way-to-cancel"]
    with ScriptedEndpoint(reply) as server:
        found = evaluate(tmp_path, server.url, names)
    for name in names:
        wanted = expected(agent, tasks.by_name[name])
        assert found[name]["rewards"]["progress"]["score"] == pytest.approx(wanted)
    (shown,) = (each for each in offered.values() if not all(each))
    turns = [len(turn) + 1 for turn in agent(tasks.by_name["no-way-to-cancel"])]
    assert shown == [False] * sum(turns[:2]) + [True] * turns[2], "a turn restores the tool"
