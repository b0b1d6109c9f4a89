"""What is shown: plain text in pipes, bars on terminals, no markup, one line when nothing more can
be written."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandline import RODS, refused
from doubles import make_task
from rods.cli.display import Display, last_screen
from rods.files.tasks import write_tasks
from rods.presets import load_config
from rods.terminal import Bar, Screen, command_line, visible
from runs import Runs
from small_shop import OPTIONS

SIMULATE = ("simulate", "--tasks", "8", "--steps", "4", "--seeds", "1")
FORCED = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "CLICOLOR_FORCE": "1"}
ESCAPE = "\x1b"


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that asks for colours and cursor codes, as some CI systems set it."""
    for name, value in FORCED.items():
        monkeypatch.setenv(name, value)


def test_pipes_get_plain_text(rods: Any, shop: Path, forced: None) -> None:
    commands = [
        SIMULATE,
        ("synth", "--count", 2, "--workers", 1, *OPTIONS, "--out", "t.jsonl"),
        ("verify", "t.jsonl", *OPTIONS),
        ("doctor",),
        ("--help",),
        ("synth", "--help"),
    ]
    for command in commands:
        done = rods(*command)
        assert done.code == 0, done
        assert ESCAPE not in done.out + done.err


def test_a_run_in_a_pipe_is_plain_lines(
    runs: Runs, tmp_path: Path, forced: None, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.loads((runs.root / "whole" / "metrics.jsonl").read_text().splitlines()[0])
    report = tmp_path / "lr[a]" / "x[/b][red]" / ("long" * 50) / "report.html"
    with Display(load_config("tiny"), tmp_path, Screen()) as display:
        display.working("reading [/b]", 0.5)
        display.step(line)
        display.heldout(1, 0.5, 0.25)
        display.notice("a cause [/nonsense] \x1b[31m with a code")
    last_screen(runs.summary("whole"), report, Screen())
    shown = capsys.readouterr().out
    assert ESCAPE not in shown
    assert "reading [/b]: 50%" in shown and "a cause [/nonsense] \\x1b[31m with a code" in shown
    assert shown.splitlines()[-1] == f"Report: {report}"
    table = [row for row in shown.splitlines() if "progress before" in row]
    assert len(table) == 1, "nothing is broken over two lines"


def test_a_run_without_variants_says_why(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    summary = runs.summary("whole")
    synthesis = summary["synthesis"]
    assert synthesis["attempts"]["tried"] > 0
    synthesis["candidates"] = dict.fromkeys(synthesis["candidates"], 0)
    refused = {"plan: undone step": 1, "critique: near a sibling": 9, "no_pattern": 2, "a": 0}
    synthesis["attempts"] = {"tried": 12, **refused}
    last_screen(summary, runs.root / "report.html", Screen())
    said = "9 critique: near a sibling, 2 no_pattern, 1 plan: undone step"
    assert f"Variants: none was made in 12 attempts ({said})." in capsys.readouterr().out


def test_a_pool_that_shrank_is_told(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    summary = runs.summary("whole")
    lines = (runs.root / "whole" / "metrics.jsonl").read_text().splitlines()
    assert summary["pool"]["largest"] == max(json.loads(line)["pool"]["active"] for line in lines)
    for active, told in ((9, True), (10, False)):
        summary["pool"] |= {"active": active, "largest": 20}
        last_screen(summary, runs.root / "report.html", Screen())
        shown = capsys.readouterr().out
        assert (f"The pool shrank from 20 active tasks to {active}: " in shown) is told
    for retired, mend in (({"mastered": 9}, False), ({"mastered": 9, "no signal": 1}, True)):
        summary["pool"] |= {"active": 9, "retired": retired}
        last_screen(summary, runs.root / "report.html", Screen())
        assert ("set pool.retire_no_signal=false" in capsys.readouterr().out) is mend


def test_progress_is_a_plain_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rods.terminal.SELDOM", 0.01)
    asked = threading.Semaphore(0)

    def detail() -> str:
        asked.release()
        return f"{bar.done} tried [/b]"

    with Bar("tasks", 3, detail) as bar:  # lines also come while nothing moves
        assert asked.acquire(timeout=60) and asked.acquire(timeout=60)
        bar.update(1)
        bar.advance()
        assert all(asked.acquire(timeout=60) for _ in range(3))
    out, err = capsys.readouterr()
    assert out == "" and ESCAPE not in err
    assert {"tasks: 0 tried [/b] (0 of 3)", "tasks: 2 tried [/b] (2 of 3)"} <= {*err.splitlines()}
    monkeypatch.setattr("rods.terminal.SELDOM", 1e6)
    with Bar("tasks", 3) as bar:
        bar.update(1)
    assert capsys.readouterr() == ("", "")


def on_terminal(*command: str, **variables: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", **variables}
    with subprocess.Popen([RODS, *command], stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # the other end was closed
                break
        os.close(ours)
    assert process.returncode == 0, seen
    return seen.decode()


def test_terminals_get_a_bar() -> None:
    assert ESCAPE in on_terminal(*SIMULATE)
    assert ESCAPE not in on_terminal(*SIMULATE, TERM="dumb")


def test_names_are_shown_as_they_are(rods: Any, shop: Path) -> None:
    task = make_task("x", environment="[bold]\x1b]0;title\x07\n[/b]")
    write_tasks(shop / "t.jsonl", [task])
    done = rods("verify", "t.jsonl", *OPTIONS)
    assert done.code == 1
    assert done.out.splitlines() == [
        f"{task.id}: another environment: [bold]\\x1b]0;title\\x07\\n[/b]",
        "0 of 1 tasks pass every gate",
    ]


@given(st.text())
def test_whatever_is_shown_is_one_harmless_line(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert all(c.isprintable() or c == "\t" for c in shown)
    assert text != shown or text.isprintable() or set(text) - {"\t"} == set(shown) - {"\t"}


def test_the_command_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/rods", "train", "--run", "a b", "--env", "$(x)"])
    assert command_line() == "rods train --run 'a b' --env '$(x)'"


def run_into(target: Any, *command: str, **streams: Any) -> tuple[int, str]:
    done = subprocess.run(
        [RODS, *command], stdout=target, stderr=subprocess.PIPE, text=True, **streams
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        *(pytest.param(c, marks=pytest.mark.slow) for c in (SIMULATE, ("doctor", "--json"))),
    ],
)
def test_a_closed_or_full_output_is_one_line(command: tuple[str, ...]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    assert run_into(theirs, *command) == (141, "rods: standard output was closed\n")
    os.close(theirs)
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            line = "rods: standard output cannot be written: No space left on device\n"
            assert run_into(full, *command) == (2, line)
            done = subprocess.run([RODS, "verify", "nothing"], stderr=full)
            assert done.returncode == 2
    closed = run_into(None, *command, preexec_fn=lambda: os.close(1))
    assert closed == (2, "rods: standard output cannot be written: Bad file descriptor\n")
    code, _ = run_into(subprocess.DEVNULL, *command, stdin=None, preexec_fn=lambda: os.close(0))
    assert code == 0


def test_any_character_can_be_shown(rods: Any, shop: Path) -> None:
    name = os.fsdecode(b"t\xff\xe2\x80\xa6.jsonl")
    command = [RODS, "synth", "--count", "1", "--workers", "1", *OPTIONS, "--out", name]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=env, check=True)
    assert done.stdout.splitlines()[0] == rb"t\udcff\u2026.jsonl: 1 tasks"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("synth", "--count", "[/b]"), "--count"),
        (("train",), "--run"),
        (("no-such",), "no-such"),
        (("score", "a", "b"), "b"),
        (("doctor", "--no-such"), "--no-such"),
    ],
)
def test_unusable_options_take_one_line(rods: Any, arguments: tuple[str, ...], named: str) -> None:
    refused(rods(*arguments), named, "--help")


def test_json_streams_hold_json_alone(rods: Any, shop: Path, forced: None) -> None:
    assert rods("synth", "--count", 2, "--workers", 1, *OPTIONS, "--out", "t.jsonl").code == 0
    commands = [
        ("synth", "--count", 2, "--workers", 1, *OPTIONS, "--out", "u.jsonl"),
        SIMULATE,
        ("verify", "t.jsonl", *OPTIONS),
        ("export", "t.jsonl", "--format", "trl", "--out", "e", "--env", "shop:Shop"),
        ("profile", "t.jsonl", *OPTIONS),
        ("envs", "check", "shop:Shop", "--tasks", "tasks.jsonl"),
        ("audit", "--category", "base"),
        ("doctor",),
    ]
    for command in commands:
        done = rods(*command, "--json")
        assert done.code == 0 and done.err == "", done
        assert done.out and all(json.loads(line) for line in done.out.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_what_tools_print_is_not_among_the_results(shop: Path, workers: int) -> None:
    text = (shop / "shop.py").read_text()
    loud = text.replace("        return {", "        print('PRINTED')\n        return {")
    (shop / "loud.py").write_text(f"print('PRINTED')\n{loud}")
    options = ["--env", "loud:Shop", "--tasks", "tasks.jsonl"]
    make = ["synth", "--count", "2", "--workers", str(workers), *options, "--out"]
    for command in (
        [*make, "t.jsonl", "--json"],
        [*make, "/dev/stdout"],
        ["verify", "t.jsonl", *options, "--json"],
        ["profile", "t.jsonl", *options, "--json"],
        ["envs", "check", "loud:Shop", "--json"],
    ):
        done = subprocess.run([RODS, *command], capture_output=True, text=True)
        found = "prints 'PRINTED'" if command[0] == "envs" else ""  # which the check names
        assert "PRINTED" not in done.stdout.replace(found, "") and "PRINTED" in done.stderr
        assert found in done.stdout
        assert done.stdout and all(json.loads(line) for line in done.stdout.splitlines())
