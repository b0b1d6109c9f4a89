"""OpenEnv's own client plays our tasks, which its own server offers in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from openenv import GenericEnvClient

from contract import AGENTS, ENV, FILE, expected, oracle
from rods.neighbours.tasks import Tasks
from rods.task import Call, Task

pytestmark = pytest.mark.neighbours
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tasks() -> Tasks:
    return Tasks(ENV, ROOT / FILE)


SERVE = [sys.executable, "-m", "rods", "serve", "--env", ENV, "--tasks", FILE, "--port"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The server's address, as the command says it; requests wait until it serves."""
    process = subprocess.Popen([*SERVE, "0"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        url = next(line for line in process.stderr if line.startswith("http://")).strip()
        with urlopen(f"{url}/health", timeout=60):
            yield url
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken(server: str) -> None:
    port = server.rpartition(":")[2]
    done = subprocess.run([*SERVE, port], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "choose another port with --port" in done.stderr


def act(client: Any, call: Call | None) -> Any:
    if call is None:
        return client.step({"text": "Done."})
    return client.step({"tool": call.name, "arguments": call.arguments})


def play(url: str, task: Task, agent: Callable[..., Any]) -> list[Any]:
    """The results of all steps of an episode, beginning with the reset."""
    with GenericEnvClient(base_url=url).sync() as client:
        results = [client.reset(task=task.label)]
        for call in (action for turn in agent(task) for action in (*turn, None)):
            if not results[-1].done:
                results.append(act(client, call))
        assert client.state()["progress"] == pytest.approx(sum(r.reward for r in results))
    return results


@pytest.mark.parametrize(("name", "agent"), AGENTS)
def test_the_contract(name: str, agent: Callable[..., Any], server: str, tasks: Tasks) -> None:
    task = tasks.by_name[name]
    results = play(server, task, agent)
    assert sum(result.reward for result in results) == pytest.approx(expected(agent, task))
    assert results[-1].done and not any(result.done for result in results[:-1])
    opening = results[0].observation
    assert [message["role"] for message in opening["messages"]] == ["system", "user"]
    assert opening["messages"][1]["content"] == task.turns[0].user
    said = "\n".join(result.observation["text"] for result in results)
    assert all(turn.user in said for turn in task.turns[1:])


def test_tools_that_a_turn_restores_are_offered_then(server: str, tasks: Tasks) -> None:
    results = play(server, tasks.by_name["no-way-to-cancel"], oracle)
    assert sum(result.reward for result in results) == pytest.approx(1.0)
    offered = [{t["function"]["name"] for t in r.observation["tools"]} for r in results]
    assert ["cancel_appointment" in names for names in offered[:-1]] == [False] * 4 + [True] * 2


def test_unreadable_calls_end_an_episode(server: str, tasks: Tasks) -> None:
    with GenericEnvClient(base_url=server).sync() as client:
        client.reset(task="momo-checkup")
        results = [client.step({"tool": "no_such_tool", "arguments": {}}) for _ in range(3)]
    assert "unknown tool 'no_such_tool'" in results[0].observation["text"]
    assert [result.done for result in results] == [False, False, True]
    assert sum(result.reward for result in results) == 0


def test_tasks_are_listed(server: str, tasks: Tasks) -> None:
    def read(path: str) -> Any:
        with urlopen(f"{server}/rods/{path}", timeout=30) as answer:
            return json.load(answer)

    assert [split["name"] for split in read("splits")] == ["train"]


def test_tasks_are_chosen_by_position_or_seed(server: str, tasks: Tasks) -> None:
    names = list(tasks.by_name)
    with GenericEnvClient(base_url=server).sync() as client:
        client.reset(index=3)
        assert client.state()["task"] == names[3]
        client.reset(seed=7)
        first = client.state()["task"]
        client.reset(seed=7)
        assert client.state()["task"] == first in names


def test_two_sessions_at_once_share_nothing(server: str, tasks: Tasks) -> None:
    task = tasks.by_name["momo-checkup"]
    with (
        GenericEnvClient(base_url=server).sync() as one,
        GenericEnvClient(base_url=server).sync() as two,
    ):
        totals = [one.reset(task=task.label).reward, two.reset(task=task.label).reward]
        for call in (action for turn in oracle(task) for action in (*turn, None)):
            totals[0] += act(one, call).reward
            totals[1] += act(two, call).reward
    assert totals == [pytest.approx(1.0)] * 2
