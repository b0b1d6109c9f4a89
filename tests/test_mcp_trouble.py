"""MCP servers that misbehave: one line, the episode counted, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mcp_files import called, odd, opened, task_of, written
from rods.envs.base import Observation, Work
from rods.envs.mcp.environment import McpEnvironment
from rods.errors import NoProcessError, UserError

WRITE, READ, ACT = called("write", text="seven"), called("read"), called("act")
Open = Callable[..., McpEnvironment]


@pytest.fixture
def env_of(tmp_path: Path) -> Iterator[Open]:
    made: list[McpEnvironment] = []

    def make(mode: str, *more: str, **settings: Any) -> McpEnvironment:
        made.append(opened(tmp_path, odd(mode, *more), **settings))
        return made[-1]

    yield make
    for env in made:
        env.close()
        assert not list(env._root.iterdir())


@pytest.mark.parametrize(
    ("mode", "refusal", "said"),
    [
        ("dies", "process ended", "out of luck"),
        ("hangs", "time limit", "more than 1 s"),
        ("writes an endless line", "process ended", "a line of more than 16 MB"),
        ("writes endless messages", "process ended", "more than 64 MB in one call"),
        ("answers no JSON", "time limit", "more than 1 s"),
    ],
)
def test_a_call_that_ends_its_server_is_undone(
    env_of: Open, mode: str, refusal: str, said: str
) -> None:
    env = env_of(mode, limits={"call_seconds": 10 if "messages" in mode else 1})
    session, other = env.open(task_of(env)), env.open(task_of(env))
    session.call(WRITE)
    before = session.state()
    seen = session.call(ACT)
    assert (seen.ok, seen.raised, seen.refused) == (False, True, refusal)
    assert said in seen.text and "undone" in seen.text
    assert session.state() == before and session.call(READ).text == "seven"
    assert other.call(READ).text == ""
    session.close()
    other.close()


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("ends at once", "ended with status 1: no licence"),
        ("never starts", "not ready in 1 s"),
        ("is of another version", "another version of the protocol"),
        ("has no tools", "the server has no tools"),
        ("has a schema that leads nowhere", "leads nowhere"),
        ("lists no schema", "no list of tools: "),
        ("writes when it reads", "a second look at the state differs"),
    ],
)
def test_a_server_that_cannot_be_used_is_refused(env_of: Open, mode: str, said: str) -> None:
    limits = {"start_seconds": 1} if mode == "never starts" else {}
    with pytest.raises(UserError, match=said) as refused:
        env_of(mode, limits=limits, state={"calls": ["read()"]})
    assert str(refused.value).count("\n") == 0 and "servers.json: odd" in str(refused.value)


def test_a_server_that_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no-such-server is not installed"):
        opened(tmp_path, {"command": "no-such-server"})


def test_tools_that_change_lose_the_episode(env_of: Open) -> None:
    env = env_of("changes its tools")
    session = env.open(task_of(env))
    first, second = env.execute([Work(session, (WRITE,)), Work(session, (READ,))])
    assert first.observations[0].ok
    assert "its list of tools changed: new" in second.lost
    fresh = env.open(task_of(env))
    assert fresh.call(WRITE).ok


def test_tools_that_differ_at_each_start(env_of: Open) -> None:
    env = env_of("has other tools at each start", limits={"servers": 2})
    first, second = env.open(task_of(env)), env.open(task_of(env))
    assert first.call(WRITE).ok  # on the server that was started to list the tools
    (outcome,) = env.execute([Work(second, (WRITE,))])
    assert "its list of tools changed" in outcome.lost


def test_a_reset_that_does_not_reset(env_of: Open, tmp_path: Path) -> None:
    shared = tmp_path / "shared.txt"
    env = env_of("writes elsewhere", str(shared), state={"calls": ["read()"]})
    session = env.open(task_of(env))
    session.call(WRITE)
    (outcome,) = env.execute([Work(env.open(task_of(env)), (READ,))])
    assert "reset process: a fresh server has another state" in outcome.lost
    assert "seven" in outcome.lost and "\n" not in outcome.lost


def test_a_folder_is_put_back_and_memory_is_not(env_of: Open, tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    env = env_of("is sound", template="start", reset="folder", limits={"servers": 1})
    one = env.open(task_of(env))
    one.call(WRITE)
    one.close()
    assert env.open(task_of(env)).call(READ).text == ""
    assert env.pools["odd"].kind.started == 1
    state = {"calls": ["read()"]}
    env = env_of("keeps it in memory", template="start", reset="folder", state=state)
    one = env.open(task_of(env))
    one.call(WRITE)
    one.close()
    env.execute([Work(env.open(task_of(env)), (READ,))])
    (outcome,) = env.execute([Work(env.open(task_of(env)), (READ,))])
    assert "reset folder: a fresh server has another state" in outcome.lost


def test_a_server_that_is_killed_costs_nothing_but_its_calls(env_of: Open) -> None:
    """The calls are repeated in another server."""
    env = env_of("is sound")
    one, two = env.open(task_of(env)), env.open(task_of(env))
    for session, text in ((one, "first"), (two, "second")):
        assert session.call(called("write", text=text)).ok
    pid = one._seats["odd"].server.pid
    os.kill(pid, signal.SIGKILL)
    assert one.call(READ).text == "first"
    assert one._seats["odd"].server.pid != pid
    assert two.call(READ).text == "second"


def test_a_server_that_ends_between_calls(env_of: Open, tmp_path: Path) -> None:
    """No call is the cause, so none fails, and an idle server that ended is not given away."""
    (tmp_path / "start").mkdir()
    env = env_of("is sound", template="start", reset="folder")
    session = env.open(task_of(env))
    session.call(WRITE)
    os.kill(session._seats["odd"].server.pid, signal.SIGTERM)
    time.sleep(0.5)
    assert session.call(READ).text == "seven"
    pid = session._seats["odd"].server.pid
    session.close()
    time.sleep(0.5)
    os.kill(pid, signal.SIGTERM)
    time.sleep(0.5)
    assert env.open(task_of(env)).call(READ) == Observation("", True)


def test_a_server_that_is_not_repeatable_loses_only_its_episode(env_of: Open) -> None:
    env = env_of("tells the time")
    one, two = env.open(task_of(env)), env.open(task_of(env))
    one.call(ACT)
    os.kill(one._seats["odd"].server.pid, signal.SIGKILL)
    lost, kept = env.execute([Work(one, (READ,)), Work(two, (READ,))])
    assert "gave another result when it was repeated" in lost.lost and not kept.lost


def test_no_server_can_be_started_any_more(env_of: Open, monkeypatch: Any) -> None:
    env = env_of("is sound")
    session = env.open(task_of(env))
    assert session.call(WRITE).ok
    session.close()
    env.close()
    monkeypatch.setattr("rods.envs.mcp.pipe.Pipe.streams", lambda self: 1 / 0)
    with pytest.raises(NoProcessError, match="tried 3 times"):
        env.open(task_of(env)).call(READ)


def test_what_a_server_says_is_bounded_and_made_fit(env_of: Open) -> None:
    env = env_of("answers at length")
    assert len(env.open(task_of(env)).call(ACT).text) == 20_000
    env = env_of("refers to itself")
    node = env.specs["walk"].parameters["node"]
    assert node["properties"]["next"]["properties"]["next"] == {"type": "object"}
    env = env_of("takes nothing or a text")
    assert env.specs["walk_about"].parameters["text"] == {"type": "string"}
    env = env_of("refuses calls")
    seen = env.open(task_of(env)).call(ACT)
    assert (seen.ok, seen.raised) == (False, True) and "not today" in seen.text
    env = env_of("prints at its start")
    assert env.open(task_of(env)).call(WRITE).ok
    env = env_of("stays after its end")
    assert env.open(task_of(env)).call(WRITE).ok


def test_a_state_that_is_too_large_or_leads_out(env_of: Open) -> None:
    env = env_of("fills its folder")
    session = env.open(task_of(env))
    (outcome,) = env.execute([Work(session, (ACT,), None, True)])
    assert "more than 5000 files or 64 MB" in outcome.lost
    env = env_of("links out")
    session = env.open(task_of(env))
    session.call(ACT)
    state = session.state().data
    assert state == {"odd": {"files": {"out": {"path": "out", "link": "/etc/passwd"}}}}


def test_secrets_do_not_reach_a_server_or_its_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_LIBRARY_PIN", "12345-secret")
    monkeypatch.setenv("OTHER_TOKEN", "not-for-servers")
    env = opened(tmp_path, odd("tells a secret", env={"TOKEN": "${MY_LIBRARY_PIN}"}))
    text = env.open(task_of(env)).call(ACT).text
    env.close()
    assert text == "token ***, other None"
    monkeypatch.delenv("MY_LIBRARY_PIN")
    with pytest.raises(UserError, match=r"\$\{MY_LIBRARY_PIN\}: this environment variable"):
        McpEnvironment(tmp_path / "servers.json")


def test_an_interrupted_call_ends(env_of: Open) -> None:
    env = env_of("hangs", limits={"call_seconds": 60})
    session = env.open(task_of(env))
    session.call(WRITE)
    threading.Timer(0.3, env.interrupt).start()
    with pytest.raises(InterruptedError):
        session.call(ACT)
    assert session.call(READ).text == "seven"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("{}", "mcpServers: Field required"),
        ('{"servers": {}}', 'rename it to "mcpServers"'),
        ('{"mcpServers": {}}', "mcpServers"),
        ('{"mcpServers": {"a": {}}}', "name one of command, url, factory"),
        ('{"mcpServers": {"a": {"command": "x", "url": "http://x"}}}', "name one of"),
        ('{"mcpServers": {"a b": {"command": "x"}}}', "letters, digits"),
        ('{"mcpServers": {"a": {"command": "x", "disabled": true}}}', "all are disabled"),
        ('{"mcpServers": {"a": {"type": "sse", "url": "http://x"}}}', "sse is not supported"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "must begin with http"),
        ('{"mcpServers": {"a": {"url": "http://x"}}}', "reset: is missing"),
        ('{"mcpServers": {"a": {"command": "x"}, "b": {"factory": "m:f"}}}', "use two files"),
        (
            '{"mcpServers": {"a": {"command": "x"}}, "rods": {"servers": {"b": {}}}}',
            "rods.servers.b: mcpServers has no such server",
        ),
        (
            '{"mcpServers": {"a": {"command": "x"}}, "rods": {"servers": {"a": {"resets": 1}}}}',
            "rods.servers.a.resets",
        ),
        (
            '{"mcpServers": {"a": {"command": "x"}},'
            ' "rods": {"servers": {"a": {"mask": {"t": "("}}}}}',
            "no regular expression",
        ),
        (
            '{"mcpServers": {"a": {"command": "x"}}, "rods": {"servers": {"a": {"reset": "no"}}}}',
            "must be one of process, folder, session, or a call",
        ),
        (
            '{"mcpServers": {"a": {"command": "x"}},'
            ' "rods": {"servers": {"a": {"template": "none"}}}}',
            "none does not exist",
        ),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "servers.json"
    path.write_text(content)
    with pytest.raises(UserError) as refused:
        McpEnvironment(path)
    message = str(refused.value)
    assert said in message and str(path) in message and "\n" not in message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tools": ["none"]}, "has no tool 'none'; it has read, write, act"),
        ({"state": {"calls": ["nothing()"]}}, "state.calls: unknown tool 'nothing'"),
        ({"reset": "clear()"}, "reset: unknown tool 'clear'"),
    ],
)
def test_settings_that_do_not_fit_the_server(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        opened(tmp_path, odd("is sound"), **settings)


def test_templates_that_are_refused(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / "kept").symlink_to("text.txt")
    (start / "text.txt").write_text("one")
    env = opened(tmp_path, odd("is sound"), template="start")
    session = env.open(task_of(env))
    assert session.call(READ).text == "one"
    env.close()
    (start / "out").symlink_to("/etc/passwd")
    path = written(tmp_path, odd("is sound"), template="start")
    with pytest.raises(UserError, match=r"out is a link out of it \(/etc/passwd\)"):
        McpEnvironment(path)
    (start / "out").unlink()
    os.mkfifo(start / "pipe")
    with pytest.raises(UserError, match="pipe is no file, folder or link"):
        McpEnvironment(path)
    (start / "pipe").unlink()
    with (start / "big").open("wb") as file:
        file.truncate(65_000_000)
    with pytest.raises(UserError, match="more than 5000 files or 64 MB"):
        McpEnvironment(path)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"files": {"../x": "y"}}, "must be a path in the session's folder"),
        ({"files": {"/x": "y"}}, "must be a path in the session's folder"),
        ({"folders": {}}, "write {files: {path: text}, calls: [text]}"),
    ],
)
def test_start_states_that_are_refused(env_of: Open, start: Any, said: str) -> None:
    env = env_of("is sound")
    with pytest.raises(UserError) as refused:
        env.open(task_of(env, **start))
    assert said in str(refused.value)


def test_start_states(env_of: Open) -> None:
    env = env_of("is sound")
    session = env.open(task_of(env, files={"text.txt": "one", "more/two.txt": "two"}))
    assert session.call(READ).text == "one"
    assert "more/two.txt" in session.state().data["odd"]["files"]
    session = env.open(task_of(env, calls=["write(text='three')"]))
    assert session.call(READ).text == "three"
    (outcome,) = env.execute([Work(env.open(task_of(env, calls=["none()"])), (READ,))])
    assert "start: calls: unknown tool" in outcome.lost


class _Login(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


def test_a_server_that_needs_a_login_or_is_not_there(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Login)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/mcp"
    with pytest.raises(UserError, match=r"needs a login \(HTTP 401\); put its token into headers"):
        opened(tmp_path, {"url": address}, reset="session")
    server.shutdown()
    server.server_close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/mcp"
    with pytest.raises(UserError, match=r"servers\.json: odd: "):
        opened(tmp_path, {"url": address}, reset="session")


def test_tool_names_of_two_servers_must_differ(tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    path.write_text(json.dumps({"mcpServers": {"a": odd("is sound"), "b": odd("is sound")}}))
    with pytest.raises(UserError, match="has one of that name too; leave one out with tools"):
        McpEnvironment(path)
