"""Servers of the registries as environments: every command, and a server that is killed.

The servers are installed in one folder, each kind in an environment of its own:

    npm install --prefix W @modelcontextprotocol/server-filesystem
    npm install --prefix W @modelcontextprotocol/server-memory
    python -m venv W/sqlite && W/sqlite/bin/pip install mcp-server-sqlite 'mcp<2'
    python benchmarks/mcp_servers.py W --out benchmarks/results/mcp_servers.json

A server is left out if it is not installed. `library` is the FastMCP server of examples/lending, in
this process. Times are of this machine, with whatever else it does; mcp_speed.py has calls per
second. Run it in the root of the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cold_start
from mcp_starts import HERE, SERVERS, prepared, seed_tasks
from rods.envs.base import Work
from rods.envs.mcp.environment import McpEnvironment
from rods.envs.task_file import read_task_file
from rods.files.tasks import read_tasks
from rods.reward import gold_trace
from rods.synthesis.inputs import inputs_of

COUNT = 50  # variants
COLD = {"memory": 100}  # tasks without a human task; 10 of the others


def rods(*arguments: str, text: str = "") -> tuple[str, float]:
    """The output of a command, and how long it took."""
    began = time.monotonic()
    line = [sys.executable, "-P", "-m", "rods", *arguments]
    done = subprocess.run(line, input=text, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"rods {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout, round(time.monotonic() - began, 1)


def digests(file: Path, tasks: Path) -> list[list[str]]:
    """The record of each task."""
    env = McpEnvironment(file)
    try:
        return [list(task.record) for task in read_task_file(tasks, env)]
    finally:
        env.close()


def killed(file: Path, tasks: Path) -> dict[str, Any]:
    """Two episodes at the same time; the server of the first one is killed in its middle."""
    env = McpEnvironment(file)
    task = read_task_file(tasks, env)[0]
    gold, (name,) = gold_trace(task, env), env.classes
    sessions = [env.open(task), env.open(task)]
    env.execute([Work(each, task.turns[0].ground_truth) for each in sessions])
    server = sessions[0]._seats[name].server
    assert server is not None and server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    rest = [
        Work(each, turn.ground_truth, gold.states[i])
        for each in sessions
        for i, turn in enumerate(task.turns)
        if i > 0
    ]
    outcomes = env.execute(rest)
    half = len(outcomes) // 2
    env.close()
    return {
        "killed": [outcome.lost or outcome.matches for outcome in outcomes[:half]],
        "other": [outcome.lost or outcome.matches for outcome in outcomes[half:]],
    }


def measure(name: str, file: Path, work: Path) -> dict[str, Any]:
    """All steps of one server."""
    tasks = seed_tasks(name)
    env = ("--env", f"mcp:{file}")
    own = (*env, "--tasks", str(tasks))
    found: dict[str, Any] = {}
    out, seconds = rods("envs", "check", f"mcp:{file}", "--tasks", str(tasks), "--json")
    checked = json.loads(out)
    bad = {name: faults for name, faults in checked["methods"].items() if faults}
    known = {"not tried": checked["not_tried"], "tools": checked.get("facts", {})}
    found["check"] = {"seconds": seconds, "bad": bad, **known}
    found["cold"] = cold(name, file, tasks, work)
    made = work / f"{name}.jsonl"
    made.unlink(missing_ok=True)
    _, seconds = rods("synth", *own, "--count", str(COUNT), "--out", str(made), "--workers", "1")
    found["synth"] = {"seconds": seconds, "tasks": len(read_tasks(made))}
    out, seconds = rods("verify", str(made), *own, "--json")
    found["verify"] = {"seconds": seconds, **json.loads(out)}
    found["play"] = played(file, tasks, own)
    run = work / f"{name}-run"
    shutil.rmtree(run, ignore_errors=True)
    _, seconds = rods("train", "--run", str(run), "--preset", "tiny", *own)
    report = json.loads((run / "summary.json").read_text())
    kept = {k: report[k] for k in ("epochs", "steps", "trajectories") if k in report}
    found["train"] = {"seconds": seconds, **kept}
    code = (
        f"import sys; sys.path[:0] = [{str(HERE)!r}]; import json, pathlib, mcp_servers as m; "
        f"print(json.dumps(m.digests(pathlib.Path({str(file)!r}), pathlib.Path({str(tasks)!r}))))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found["digests equal in two processes"] = json.loads(other.stdout) == digests(file, tasks)
    if name != "library":
        found["kill"] = killed(file, tasks)
    return found


def cold(name: str, file: Path, tasks: Path, work: Path) -> dict[str, Any]:
    """Tasks from the tools alone: how many, how deep, of which tools."""
    out, env = work / f"{name}-cold.jsonl", f"mcp:{file}"
    out.unlink(missing_ok=True)
    count = ("--count", str(COLD.get(name, 10)), "--workers", "1")
    _, seconds = rods("synth", "--cold", "--env", env, *count, "--out", str(out))
    figures = cold_start.compare(out, inputs_of(env, tasks), env, None)
    return {"seconds": seconds, **{n: v for n, v in figures.items() if n != "environment"}}


def played(file: Path, tasks: Path, own: tuple[str, ...]) -> dict[str, Any]:
    """The end of the first task, played by its ground truth."""
    env = McpEnvironment(file)
    first = read_task_file(tasks, env)[0]
    env.close()
    lines = [str(line) for turn in first.turns for line in (*turn.ground_truth, "")]
    out, seconds = rods("play", first.label, *own, text="\n".join([*lines, ""]))
    return {"seconds": seconds, "end": out.splitlines()[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("installed", type=Path, help="folder with the servers")
    parser.add_argument("--work", type=Path, default=Path("runs/mcp"), help="folder to work in")
    parser.add_argument("--only", nargs="*", help="these servers only")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name in args.only or ["library", *SERVERS]:
        file = prepared(name, args.installed, args.work)
        if file is None:
            print(f"{name}: not installed", file=sys.stderr)
            continue
        found[name] = measure(name, file, args.work)
        found[name]["load"] = round(os.getloadavg()[0], 1)
        print(json.dumps({name: found[name]}), flush=True)
        if args.out:
            args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
