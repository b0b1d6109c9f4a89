"""Synthesis beside the trainer: with the real commands, the tiny policy and real processes.

Where something must have happened before something else, the trainer waits for it: no test hangs on
which of two processes is faster.
"""

from __future__ import annotations

import html
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from commandline import RODS, call, refused
from doubles import SEEDS, RenamingSynthesis, make_config, steps, with_signal
from hostile import Hostile
from rods import follow
from rods.errors import BusyError
from rods.loop import Loop
from rods.processes import Stopper
from rods.store.identity import check_settings
from rods.store.store import Store
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.supervisor import BUSY, Supervisor
from rods.synthesis.worker import WorkerProgress
from runs import STEPS, Runs
from scripted_endpoint import ScriptedEndpoint

BESIDE = ("--set", "synthesis.mode=background")
PATIENCE = 300.0  # seconds until a test says that something never happens


def until(true: Callable[[], object]) -> None:
    """Wait; a test that waits in vain fails."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def end_no_epoch_before(patched: pytest.MonkeyPatch, true: Callable[[], object]) -> None:
    """The trainer of this process waits at the end of each epoch until that is true."""
    end_epoch = Loop.end_epoch

    def patient(loop: Loop) -> object:
        until(true)
        return end_epoch(loop)

    patched.setattr(Loop, "end_epoch", patient)


def supervised(patched: pytest.MonkeyPatch) -> list[Supervisor]:
    """Where the supervisor of a run in this process will be found."""
    started: list[Supervisor] = []

    def start(*arguments: object, **settings: object) -> Supervisor:
        started.append(Supervisor(*arguments, **settings))  # type: ignore[arg-type]
        return started[0]

    patched.setattr("rods.lead.Supervisor", start)
    return started


def look(folder: Path) -> tuple[dict[str, int], list[str], list[str]]:
    """Jobs by outcome, candidates, and the tasks that were injected."""
    store = Store(folder, role="reader")
    queue = store.queue
    injected = [e.task_id for e in store.events() if e.kind == "injected"]
    found = queue.outcomes(), [t.id for t in queue.candidates()], injected
    store.close()
    return found


def command_lines() -> Iterator[bytes]:
    """Of all processes."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            yield file.read_bytes()


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has chosen seeds, and whose trainer is gone; variants are made by the double."""
    config = make_config(2, pool={"beta": 1.0}, synthesis={"mode": "background"})
    loop = Loop(config, Store(tmp_path, durable=False), SEEDS)
    check_settings(loop.store, config, tmp_path)
    for tasks in steps(loop):
        loop.add_groups(with_signal(tasks))
    loop.store.close()
    monkeypatch.setattr(follow, "prepare_synthesis", lambda *_: RenamingSynthesis())
    return tmp_path


def test_a_follower_stops_between_jobs_when_a_signal_came(begun: Path) -> None:
    stopper = Stopper()

    def tell(count: WorkerProgress) -> None:
        assert stopper.safe, "a signal would break off a job"
        assert not stopper.number, "it goes on"
        if count.jobs == 3:
            stopper.number = signal.SIGTERM

    count = follow.follow(begun, stopper, tell, pytest.fail)
    assert (count.jobs, count.open) == (3, len(SEEDS) - 3)
    assert not stopper.safe
    outcomes = look(begun)[0]
    assert outcomes.pop("") == count.open and sum(outcomes.values()) == 3
    Store(begun, role="worker").close()  # the lease is free


def test_a_follower_ends_with_the_run(begun: Path) -> None:
    def tell(count: WorkerProgress) -> None:
        assert not (begun / follow.SUMMARY).exists(), "it goes on"
        if not count.open:
            (begun / follow.SUMMARY).touch()

    count = follow.follow(begun, Stopper(), tell, pytest.fail)
    assert (count.jobs, count.open) == (len(SEEDS), 0)
    assert count.candidates == len(look(begun)[1]) > 0
    assert follow.follow(begun, Stopper(), tell, pytest.fail).jobs == 0


def test_a_second_worker_is_refused(rods, begun: Path) -> None:
    """Its supervisor is reported by the exit status that this is no death."""
    first = Store(begun, role="worker")
    refused(rods("synth", "--follow", begun), "another worker is at work here")
    assert rods("synth", "--follow", begun, "--supervised").code == BUSY
    first.close()


@pytest.fixture(scope="module")
def beside(runs: Runs) -> Path:
    """A run with a worker of its own, which ends no epoch before the worker has made something."""
    folder = runs.root / "beside"
    with pytest.MonkeyPatch.context() as patched:
        end_no_epoch_before(patched, lambda: look(folder)[1])
        assert call(patched, *runs.arguments("beside", *BESIDE)) == 0
    return folder


@pytest.mark.slow
def test_a_worker_makes_what_the_trainer_injects(rods, beside: Path) -> None:
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
    done = rods("doctor", beside)
    assert (done.code, "BAD" in done.out) == (0, False)
    assert rods("verify", beside).code == 0


@pytest.mark.slow
def test_no_worker_outlives_its_run(beside: Path) -> None:
    assert [line for line in command_lines() if str(beside).encode() in line] == []
    Store(beside, role="worker").close()  # the lease is free


@pytest.mark.slow
def test_a_run_goes_on_without_a_worker_that_cannot_start(
    rods, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its endpoint's key is unusable: it dies at every start, and the trainer does not."""
    started = supervised(monkeypatch)
    end_no_epoch_before(monkeypatch, lambda: started[0].state.gave_up)
    monkeypatch.setenv("OPENAI_API_KEY", "a key\nof two lines")
    file = runs.root / "unusable.yaml"
    file.write_text("url: http://127.0.0.1:9/v1\nmodel: none\n")
    more = ("--set", f"synthesis.endpoint={file}", "--set", "synthesis.restarts=0")
    done = rods(*runs.arguments("unaided", *BESIDE, *more))
    assert done.code == 0, done.err
    summary = runs.summary("unaided")
    reported = "OPENAI_API_KEY"
    assert reported in summary["worker"]["gave_up"]
    assert reported in " ".join(done.out.split())
    assert (summary["steps"], summary["epochs"]) == (STEPS, 2)
    assert look(runs.root / "unaided")[1] == []


BROKEN = """
import rods.synthesis.pipeline

def vary(*_):
    raise LookupError("no [bold]such</pre> stage, asked with sk-this-must-never-be-written")

rods.synthesis.pipeline.Pipeline.vary = vary
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["inline", "background"])
def test_a_broken_synthesis_is_reported_everywhere(
    rods, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """In the terminal, the metrics, the summary, the report and by the doctor; not in the key."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)  # for a worker's process
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(Pipeline, "vary", Pipeline.vary)  # what the script changes is put back
    exec(BROKEN, {})
    monkeypatch.setenv("OPENAI_API_KEY", "sk-this-must-never-be-written")
    if mode == "background":
        started = supervised(monkeypatch)
        end_no_epoch_before(monkeypatch, lambda: started[0].state.gave_up)
    name = f"broken {mode}"
    reported = ("--set", f"synthesis.mode={mode}", "--set", "synthesis.errors=3")
    # Any task may be a seed: whether groups have a signal hangs on the machine's floating point.
    done = rods(*runs.arguments(name, *reported, "--set", "boundary.rule=random"))
    assert done.code == 0, done.err
    folder, summary = runs.root / name, runs.summary(name)
    error = "LookupError: no [bold]such</pre> stage, asked with ***"
    gave_up = f"3 errors in a row; last: {error}"
    assert f"an error in synthesis: {error}" in " ".join(done.out.split())
    assert f"synthesis is given up: {gave_up}" in " ".join(done.out.split())
    found = summary["synthesis"]
    assert (found["errors"], found["first_error"], found["gave_up"]) == (3, error, gave_up)
    if mode == "background":
        assert summary["worker"] == {"restarts": 0, "gave_up": gave_up}
    assert runs.lines(name)[-1]["synthesis"] == {"errors": 3, "gave_up": gave_up}
    page = (folder / "report.html").read_text("utf-8")
    assert html.escape(f"Synthesis was given up: {gave_up}") in page
    assert "in vary\n" in page
    doctor = rods("doctor", folder)
    assert doctor.code == 2
    assert f"{error}; `rods report`" in doctor.out
    written = "".join(p.read_text("utf-8", "replace") for p in folder.iterdir() if p.is_file())
    assert "sk-this" not in written + done.out + done.err + doctor.out


@pytest.mark.slow
def test_a_follower_in_another_terminal(runs: Runs) -> None:
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
    done = runs.call([RODS, "doctor", str(folder)])
    assert done.code == 0, done.out


def _free(folder: Path) -> bool:
    with suppress(BusyError):
        Store(folder, role="worker").close()
        return True
    return False


def test_what_cannot_be_followed(rods, runs: Runs, tmp_path: Path) -> None:
    refused(rods("synth", "--follow", tmp_path), str(tmp_path), "run.sqlite is missing")
    assert not list(tmp_path.iterdir())
    refused(rods("synth", "--follow", runs.root / "whole"), "makes its variants itself")
    refused(rods("synth"), "--count N")
    refused(rods("synth", "--count", 3), "--out FILE")


def test_an_unusable_endpoint_begins_no_run(rods, runs: Runs) -> None:
    file = runs.root / "nowhere.yaml"
    file.write_text("url: nowhere\nmodel: none\n")
    done = rods(*runs.arguments("nowhere", *BESIDE, "--set", f"synthesis.endpoint={file}"))
    refused(done, "nowhere.yaml: url: write it as http://host:port/v1")
    assert not (runs.root / "nowhere").exists()


@pytest.mark.slow
def test_a_model_does_the_stages_of_a_run(
    rods, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inline, by an endpoint that also fails and lies; nothing unverified gets in."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-this-must-never-be-written")
    with ScriptedEndpoint(Hostile(seed=1, faults=0.05, lies=0.05)) as server:
        file = runs.root / "endpoint.yaml"
        file.write_text(json.dumps({"url": server.url, "model": "scripted", "timeout": 0.5}))
        more = ("--set", f"synthesis.endpoint={file}", "--set", "synthesis.stages=[plan, judge]")
        done = rods(*runs.arguments("told", *more))
        assert done.code == 0, done.err
        assert server.requests
    folder = runs.root / "told"
    assert rods("verify", folder).code == 0
    lines = [json.loads(line) for line in (folder / "calls.jsonl").read_text("utf-8").splitlines()]
    spent = runs.summary("told")["synthesis"]["spent"]
    for name in ("tokens_in", "tokens_out"):
        assert spent[name] == sum(line[name] for line in lines) > 0
    assert f"{spent['tokens_in']:,} tokens read" in (folder / "report.html").read_text("utf-8")
    written = "".join(p.read_text("utf-8", "replace") for p in folder.iterdir() if p.is_file())
    assert "sk-this" not in written + done.out + done.err
    assert (folder / "calls.jsonl").exists()
