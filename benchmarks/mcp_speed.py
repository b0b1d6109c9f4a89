"""Calls per second through a session, beside the SDK's own client with the same server.

    python benchmarks/mcp_speed.py W --out benchmarks/results/mcp_speed.json

W and the servers are those of mcp_servers.py. Both clients make the same
calls, each one after the other, in rounds that alternate; the median is given. Also how long a
start and a reset take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcp_starts import prepared
from rods.envs.guard import GuardedEnvironment
from rods.envs.mcp.environment import McpEnvironment
from rods.envs.mcp.in_process import in_process
from rods.imports import import_object
from rods.task import Call, Task, Turn

CALLS = {
    "library": ("list_books", {"author": "Austen"}),
    "filesystem": ("read_text_file", {"path": "list.txt"}),
    "memory": ("search_nodes", {"query": "tea"}),
    "sqlite": ("read_query", {"query": "SELECT name FROM products"}),
}
ROUNDS, CALLS_EACH, OPENED = 5, 100, 10


async def bare(file: Path, name: str, folder: Path, command: str, given: Any) -> float:
    """Seconds of a round of the SDK's client."""
    entry = json.loads(file.read_text())["mcpServers"][name]

    async def one_round(session: Any) -> float:
        await session.list_tools()
        await session.call_tool(command, given)
        began = time.monotonic()
        for _ in range(CALLS_EACH):
            await session.call_tool(command, given)
        return time.monotonic() - began

    async def silent(_: Any) -> None:
        return

    if "factory" in entry:
        made = import_object(entry["factory"], "", "")()
        async with in_process(made, silent) as session:
            return await one_round(session)
    args = [text.replace("${folder}", str(folder)) for text in entry.get("args", ())]
    env = {k: v.replace("${folder}", str(folder)) for k, v in entry.get("env", {}).items()}
    server = StdioServerParameters(command=entry["command"], args=args, env=env, cwd=folder)
    with open(os.devnull, "w") as null:
        async with (
            stdio_client(server, errlog=null) as streams,
            mcp.ClientSession(*streams[:2]) as session,
        ):
            await session.initialize()
            return await one_round(session)


def ours(env: Any, task: Task, call: Call) -> float:
    """Seconds of a round of a session."""
    session = env.open(task)
    assert session.call(call).ok
    began = time.monotonic()
    for _ in range(CALLS_EACH):
        session.call(call)
    taken = time.monotonic() - began
    session.close()
    return taken


def opening(env: Any, task: Task, call: Call) -> float:
    """Median seconds to open a session, call once, and close it."""
    taken = []
    for _ in range(OPENED):
        began = time.monotonic()
        session = env.open(task)
        assert session.call(call).ok
        session.close()
        taken.append(time.monotonic() - began)
    return median(taken)


def rate(taken: list[float]) -> float:
    """Calls per second."""
    return round(CALLS_EACH / median(taken), 1)


def measure(name: str, file: Path, folder: Path, work: Path) -> dict[str, Any]:
    """Rates and times of one server.

    Args:
        folder: its template.
        work: a folder to work in.
    """
    command, given = CALLS[name]
    began = time.monotonic()
    env = McpEnvironment(file)
    found: dict[str, Any] = {"load_seconds": round(time.monotonic() - began, 2)}
    call = Call(name=command, arguments=given)
    task = Task(category="base", classes=(name,), start={}, turns=(Turn(user="-"),))
    kinds = {
        "bare": lambda: asyncio.run(bare(file, name, folder, command, given)),
        "session": lambda: ours(env, task, call),
    }
    if not env.apart:
        guarded = GuardedEnvironment(env)
        kinds["guarded"] = lambda: ours(guarded, task, call)
    rounds = [{kind: taken() for kind, taken in kinds.items()} for _ in range(ROUNDS)]
    found |= {kind: rate([each[kind] for each in rounds]) for kind in kinds}
    found["open_seconds"] = round(opening(env, task, call), 3)
    env.close()
    if env.apart:
        content = json.loads(file.read_text())
        content["rods"]["servers"][name]["reset"] = "process"
        content["rods"]["limits"] = {"warm": 0}
        content["rods"]["servers"][name]["template"] = str(folder)
        anew = work / f"{name}-process.json"
        anew.write_text(json.dumps(content))
        env = McpEnvironment(anew)
        found["start_seconds"] = round(opening(env, task, call), 2)
        env.close()
    found["load"] = round(os.getloadavg()[0], 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("installed", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/mcp"))
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name in args.only or CALLS:
        if (file := prepared(name, args.installed, args.work)) is not None:
            found[name] = measure(name, file, (args.work / f"{name}-start").absolute(), args.work)
            print(json.dumps({name: found[name]}), flush=True)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
