"""Ctrl-C ends `rods synth` with jobs under way, and the same command continues the file."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commandline import RODS
from competent import competent
from scripted_endpoint import Reply, ScriptedEndpoint
from small_shop import OPTIONS

PATIENCE = 60.0  # seconds until a test says that something never happens
ENDLESS = "1000000"


def interrupted(command: list[str], ready: Callable[[], bool], number: int) -> tuple[int, str]:
    """Exit code and words of a command that the whole group of a terminal is signalled in."""
    job = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + PATIENCE
    while not ready():
        assert job.poll() is None and time.monotonic() < end, job.communicate()
        time.sleep(0.01)
    os.killpg(job.pid, number)
    out, err = job.communicate(timeout=PATIENCE)
    assert out == ""
    while alive(job.pid):  # a helper of Python's own ends a moment later
        assert time.monotonic() < end
        time.sleep(0.01)
    return job.returncode, err


def alive(session: int) -> list[str]:
    """Processes of a session that have not ended."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "sess=,stat="], capture_output=True, text=True
    ).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [state for number, state in rows if number == str(session) and state[0] != "Z"]


def synth(count: str, *more: str) -> list[str]:
    return [RODS, "synth", "--count", count, "--seed", "5", *OPTIONS, "--out", "t.jsonl", *more]


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        ("1", signal.SIGINT),
        pytest.param("1", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("2", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("2", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_by_program(shop: Path, workers: str, number: int) -> None:
    part = shop / "t.jsonl.part"

    def ready() -> bool:
        return part.exists() and b'"batches"' in part.read_bytes()

    code, err = interrupted(synth(ENDLESS, "--workers", workers), ready, number)
    assert code == 128 + number
    assert len(err.splitlines()) == 1 and "tasks are kept. Continue with: rods synth" in err
    kept = part.read_bytes()
    assert kept.count(b'"category"')
    code, _ = interrupted(
        synth(ENDLESS, "--workers", workers), lambda: len(part.read_bytes()) > len(kept), number
    )
    assert code == 128 + number
    assert part.read_bytes().startswith(kept)


@pytest.mark.parametrize(
    "reply", [Reply(hang=True), pytest.param(Reply("x", drip=0.5), marks=pytest.mark.slow)]
)
def test_with_a_slow_model(shop: Path, reply: Reply) -> None:
    """The requests under way, whose time limit is an hour, do not hold it."""
    (shop / "endpoint.yaml").write_text("timeout: 3600\nparallel: 8\n")
    with ScriptedEndpoint(lambda request: reply) as server:
        model = ["--backend", "llm", "--url", server.url, "--model", "m"]
        command = synth("3", *model, "--endpoint", "endpoint.yaml")
        code, err = interrupted(command, lambda: server.requests > 0, signal.SIGINT)
    assert code == 130
    assert len(err.splitlines()) == 1 and "Continue with: rods synth" in err
    assert not list(shop.glob("t.jsonl*")), "nothing was made, so nothing is left"


@pytest.mark.slow
def test_with_a_model_whose_answers_are_kept(shop: Path, rods: Any) -> None:
    """What was answered before is not asked again, and the file is that of a run without end."""
    asked: list[int] = []

    def script(request: dict[str, Any]) -> Reply:
        asked.append(1)
        system, *_, user = (message["content"] for message in request["messages"])
        words = competent(system, user, random.Random(system + user))
        return Reply(json.dumps(words), delay=0.02)

    with ScriptedEndpoint(script) as server:
        model = ["--backend", "llm", "--url", server.url, "--model", "m", "--stage", "ground"]
        code, _ = interrupted(synth(ENDLESS, *model), lambda: len(asked) > 40, signal.SIGINT)
        assert code == 130
        log = shop / "t.jsonl.calls.jsonl"
        kept = log.read_bytes().count(b"\n")
        assert kept
        (shop / "t.jsonl.part").unlink(missing_ok=True)
        before = len(asked)
        assert rods(*synth("2", *model)[1:]).code == 0
        whole = (shop / "t.jsonl").read_bytes()
        assert len(asked) - before < before
        for path in (*shop.glob("t.jsonl*"),):
            path.unlink()
        assert rods(*synth("2", *model)[1:]).code == 0
        assert (shop / "t.jsonl").read_bytes() == whole


# Sends Ctrl-C to its own process when a module is looked for.
WHILE_LOADING = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background

class Interrupt:
    def find_spec(self, name, *rest):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from rods.cli import main
main()
"""


@pytest.mark.parametrize("module", ["typer", "pydantic", "rods.cli.training"])
def test_while_the_commands_are_loaded(module: str) -> None:
    """Nothing is said, whatever is being imported at the time."""
    job = subprocess.run([sys.executable, "-c", WHILE_LOADING, module], capture_output=True)
    assert (job.returncode, job.stdout, job.stderr) == (130, b"", b"")
