"""Synthesis beside the trainer: with the real commands, the tiny policy and real processes."""

from __future__ import annotations

import html
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commandline import refused
from hostile import Hostile
from rods.store.queue import Queue
from rods.store.store import Store
from runs import RODS, Runs
from scripted_endpoint import ScriptedEndpoint

BESIDE = ("--set", "synthesis.mode=background")


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait; a test that waits in vain fails."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def look(folder: Path) -> tuple[dict[str, int], list[str], list[str]]:
    """Jobs by outcome, candidates, and the tasks that were injected."""
    store = Store(folder, role="reader")
    queue = Queue(store, 0)
    injected = [e.task_id for e in store.events() if e.kind == "injected"]
    found = queue.outcomes(), [t.id for t in queue.candidates()], injected
    store.close()
    return found


@pytest.fixture(scope="module")
def beside(runs: Runs) -> Path:
    """A run with a worker beside it, of more steps than a worker needs to come up."""
    command = runs.command("beside", *BESIDE)
    command[command.index("steps=8")] = "steps=30"
    done = runs.call(command)
    assert done.code == 0, done.err
    return runs.root / "beside"


def test_a_worker_makes_what_the_trainer_injects(runs: Runs, beside: Path) -> None:
    outcomes, candidates, injected = look(beside)
    assert outcomes.get("made", 0) == len(candidates) > 0
    assert injected, "this run tests no injection"
    assert set(injected) <= set(candidates)
    assert len(set(injected)) == len(injected)
    summary = json.loads((beside / "summary.json").read_text())
    assert summary["worker"]["gave_up"] == ""
    fates, page = summary["synthesis"]["candidates"], (beside / "report.html").read_text("utf-8")
    assert (fates["made"], fates["injected"]) == (len(candidates), len(injected))
    assert f"{len(candidates)} variants were made: {len(injected)} joined the pool" in page
    done = runs.call([RODS, "doctor", str(beside)])
    assert (done.code, "BAD" in done.out) == (0, False)
    assert runs.call([RODS, "verify", str(beside)]).code == 0


def test_no_worker_outlives_its_run(beside: Path) -> None:
    lines = subprocess.run(["ps", "-ef"], capture_output=True, text=True, check=True).stdout
    assert str(beside) not in lines
    Store(beside, role="worker").close()  # the lease is free


def test_a_run_goes_on_without_a_worker_that_cannot_start(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its endpoint's key is unusable: it dies at every start, and the trainer does not."""
    monkeypatch.setitem(runs.env, "OPENAI_API_KEY", "a key\nof two lines")
    file = runs.root / "unusable.yaml"
    file.write_text("url: http://127.0.0.1:9/v1\nmodel: none\n")
    more = ("--set", f"synthesis.endpoint={file}", "--set", "synthesis.restarts=0")
    command = runs.command("unaided", *BESIDE, *more)
    command[command.index("steps=8")] = "steps=40"  # longer than a worker takes to start and die
    done = runs.call(command)
    assert done.code == 0, done.err
    summary = runs.summary("unaided")
    told = "OPENAI_API_KEY"
    assert told in summary["worker"]["gave_up"]
    assert told in " ".join(done.out.split())
    assert summary["steps"] == 40
    assert look(runs.root / "unaided")[1] == []


BROKEN = """
import rods.synthesis.pipeline

def vary(*_):
    raise LookupError("no [bold]such</pre> stage, asked with sk-this-must-never-be-written")

rods.synthesis.pipeline.Pipeline.vary = vary
"""


@pytest.mark.parametrize("mode", ["inline", "background"])
def test_a_broken_synthesis_is_seen_by_whoever_looks(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """In the terminal, the metrics, the summary, the report and by the doctor; not in the key."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    monkeypatch.setitem(runs.env, "PYTHONPATH", path)
    monkeypatch.setitem(runs.env, "OPENAI_API_KEY", "sk-this-must-never-be-written")
    told = ("--set", f"synthesis.mode={mode}", "--set", "synthesis.errors=3")
    command = runs.command(f"broken {mode}", *told)
    command[command.index("steps=8")] = "steps=40"  # longer than a worker takes to start
    done = runs.call(command)
    assert done.code == 0, done.err
    folder, summary = runs.root / f"broken {mode}", runs.summary(f"broken {mode}")
    error = "LookupError: no [bold]such</pre> stage, asked with ***"
    gave_up = f"3 errors in a row; last: {error}"
    assert f"an error in synthesis: {error}" in " ".join(done.out.split())
    assert f"synthesis is given up: {gave_up}" in " ".join(done.out.split())
    found = summary["synthesis"]
    assert (found["errors"], found["first_error"], found["gave_up"]) == (3, error, gave_up)
    if mode == "background":
        assert summary["worker"] == {"restarts": 0, "gave_up": gave_up}
    assert runs.lines(f"broken {mode}")[-1]["synthesis"] == {"errors": 3, "gave_up": gave_up}
    page = (folder / "report.html").read_text("utf-8")
    assert html.escape(f"Synthesis was given up: {gave_up}") in page
    assert "in vary\n" in page
    doctor = runs.call([RODS, "doctor", str(folder)])
    assert doctor.code == 2
    assert f"{error}; `rods report`" in doctor.out
    written = "".join(p.read_text("utf-8", "replace") for p in folder.iterdir() if p.is_file())
    assert "sk-this" not in written + done.out + done.err + doctor.out


def test_a_follower_in_another_terminal(runs: Runs, beside: Path) -> None:
    """It takes up the jobs of a run whose trainer is gone, and ends at a safe point."""
    folder = runs.root / "followed"
    command = runs.command("followed", *BESIDE)
    command[command.index("steps=8")] = "steps=400"  # the epoch in which it is killed has an end
    runs.call(command, signal.SIGKILL, 4)
    until(lambda: _free(folder))  # the trainer's own worker ends with it
    command = [sys.executable, "-m", "rods", "synth", "--follow", str(folder), "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=runs.env, text=True) as job:
        assert job.stdout is not None
        for line in job.stdout:
            count = json.loads(line)
            if not count["open"] or count["waiting"] >= count["bound"] > 0:
                break
        second = runs.call(command)
        job.send_signal(signal.SIGTERM)
        _, err = job.communicate(timeout=60)
    refused(second, "another worker is at work here", str(job.pid))
    assert (job.returncode, err) == (128 + signal.SIGTERM, "")
    assert look(folder)[1], "it made nothing"
    assert runs.call([RODS, "doctor", str(folder)]).code == 0


def _free(folder: Path) -> bool:
    try:
        Store(folder, role="worker").close()
    except Exception:
        return False
    return True


def test_what_cannot_be_followed(rods, runs: Runs, tmp_path: Path) -> None:
    refused(rods("synth", "--follow", tmp_path), str(tmp_path), "run.sqlite is missing")
    assert not list(tmp_path.iterdir())
    refused(rods("synth", "--follow", runs.root / "whole"), "makes its variants itself")
    refused(rods("synth"), "--count N")
    refused(rods("synth", "--count", 3), "--out FILE")


def test_an_unusable_endpoint_begins_no_run(runs: Runs) -> None:
    file = runs.root / "nowhere.yaml"
    file.write_text("url: nowhere\nmodel: none\n")
    done = runs.call(runs.command("nowhere", *BESIDE, "--set", f"synthesis.endpoint={file}"))
    assert done.code == 2
    assert done.err.endswith("nowhere.yaml: url: write it as http://host:port/v1\n")
    assert not (runs.root / "nowhere").exists()


def test_a_model_does_the_stages_of_a_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inline, by an endpoint that also fails and lies; nothing unverified gets in."""
    monkeypatch.setitem(runs.env, "OPENAI_API_KEY", "sk-this-must-never-be-written")
    with ScriptedEndpoint(Hostile(seed=1, faults=0.05, lies=0.05)) as server:
        file = runs.root / "endpoint.yaml"
        file.write_text(json.dumps({"url": server.url, "model": "scripted", "timeout": 0.5}))
        more = ("--set", f"synthesis.endpoint={file}", "--set", "synthesis.stages=[plan, judge]")
        done = runs.call(runs.command("told", *more))
        assert done.code == 0, done.err
        assert server.requests
    folder = runs.root / "told"
    assert runs.call([RODS, "verify", str(folder)]).code == 0
    lines = [json.loads(line) for line in (folder / "calls.jsonl").read_text("utf-8").splitlines()]
    spent = runs.summary("told")["synthesis"]["spent"]
    for name in ("tokens_in", "tokens_out"):
        assert spent[name] == sum(line[name] for line in lines) > 0
    assert f"{spent['tokens_in']:,} tokens read" in (folder / "report.html").read_text("utf-8")
    written = "".join(p.read_text("utf-8", "replace") for p in folder.iterdir() if p.is_file())
    assert "sk-this" not in written + done.out + done.err
    assert (folder / "calls.jsonl").exists()
