"""How quickly `rods watch` answers on a large store, beside an empty one.

    python benchmarks/big_store.py --out runs/big
    python benchmarks/watch_speed.py runs/big --out benchmarks/results/watch_speed.json

Starts the server with both runs, waits until the large one is counted, and asks both for each page,
by HTTP and in a headless Chromium (time to the first paint with content). Times are the least and
the median of the repetitions, in milliseconds: other programs on the machine only add to them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from rods.store.store import Store

PAGES = {
    "overview": "",
    "tasks": "/tasks",
    "tasks by category": "/tasks?category=miss_func",
    "tasks by state": "/tasks?state=active",
    "tasks by category and state": "/tasks?category=base&state=retired",
    "tasks by parent": "/tasks?parent={parent}",
    "tasks by family": "/tasks?family={family}",
    "tasks by ending": "/tasks?ending=token+budget",
    "tasks by tool": "/tasks?tool=cancel_flight",
    "tasks by a common word": "/tasks?text=london",
    "tasks by two words": "/tasks?text=london+emma",
    "tasks by a rare word": "/tasks?text=777777",
    "tasks by text, tool, category and state": (
        "/tasks?text=london&tool=cancel_flight&category=base&state=trial"
    ),
    "tasks by a word that no task has": "/tasks?text=zebra",
    "tasks, an old page": "/tasks?before=5000",
    "a task": "/task/{task}",
    "episodes": "/episodes",
    "episodes by category and ending": "/episodes?category=base&ending=token+budget",
    "episodes by state of the task": "/episodes?state=trial",
    "episodes by family": "/episodes?family={family}",
    "episodes by tool": "/episodes?tool=cancel_flight",
    "episodes by a common word": "/episodes?text=london",
    "episodes by text, ending and state": "/episodes?text=london&ending=answered&state=active",
    "an episode": "/episode/{episode}",
}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def names_of(folder: Path) -> dict[str, str]:
    """Ids that the addresses of the large run name."""
    store = Store(folder, role="reader")
    rows = store.db.read("SELECT id, parent FROM tasks ORDER BY rowid LIMIT 1 OFFSET 500000")
    rows = rows or store.db.read("SELECT id, parent FROM tasks ORDER BY rowid DESC LIMIT 1")
    step, played = store.db.read("SELECT step, task_id FROM episodes ORDER BY rowid DESC LIMIT 1")[
        0
    ]
    first = store.db.read("SELECT id FROM tasks ORDER BY rowid LIMIT 1")[0][0]
    store.close()
    task, parent = rows[0]
    names = {"task": task, "parent": parent, "family": first}
    return {**names, "episode": f"{step}-{played}"}


def timed(ask: Callable[[], Any], times: int) -> dict[str, float]:
    """Milliseconds of something that is done so often."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        found.append(1000 * (time.perf_counter() - began))
    return summary(found)


def summary(found: list[float]) -> dict[str, float]:
    return {"least": round(min(found), 1), "median": round(statistics.median(found), 1)}


def painted(page: Page, address: str, times: int) -> dict[str, float]:
    """Milliseconds from the start of a navigation to the first content."""
    found = []
    for _ in range(times):
        page.goto(address)
        found.append(
            page.evaluate(PAINT)
            or page.evaluate(f"new Promise(r => setTimeout(() => r({PAINT}), 500))")
        )
    return summary(found)


def measure(big: Path, times: int) -> dict[str, Any]:
    names = names_of(big)
    with tempfile.TemporaryDirectory() as place:
        empty = Path(place) / "empty"
        Store(empty).close()
        command = [sys.executable, "-m", "rods", "watch", str(big), str(empty), "--port", "0"]
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                address = server.stdout.readline().strip().rstrip("/")
                found: dict[str, Any] = {"pages": {}}
                with httpx.Client(timeout=120) as client:
                    found["first_answer_ms"] = round(1000 * _first(client, address, big.name))
                    found["counted"] = _wait(client, address, big.name, began, server.pid)
                    for name, path in PAGES.items():
                        found["pages"][name] = _both(
                            client, address, path.format(**names), big.name, times
                        )
                browser = shutil.which("chromium") or shutil.which("google-chrome")
                with sync_playwright() as driver:
                    chrome = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
                    page = chrome.new_page()
                    for name in ("overview", "tasks", "episodes"):
                        paints = {
                            run: painted(page, f"{address}/run/{run}{PAGES[name]}", times)
                            for run in (big.name, "empty")
                        }
                        found["pages"][name]["first_paint_ms"] = {
                            "large": paints[big.name],
                            "empty": paints["empty"],
                        }
                    chrome.close()
            finally:
                server.terminate()
    found["load"] = os.getloadavg()
    return found


def _first(client: httpx.Client, address: str, run: str) -> float:
    """Seconds of the first page, while nothing is counted yet."""
    began = time.monotonic()
    client.get(f"{address}/run/{run}").raise_for_status()
    return time.monotonic() - began


def _wait(client: httpx.Client, address: str, run: str, began: float, pid: int) -> dict[str, float]:
    """Wait until the run is counted; what that took."""
    while re.search("is being read|is counted so far", client.get(f"{address}/run/{run}").text):
        time.sleep(1.0)
    took = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    cpu = sum(map(int, took[11:13])) / os.sysconf("SC_CLK_TCK")
    return {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(cpu, 1)}


def _both(client: httpx.Client, address: str, path: str, big: str, times: int) -> dict[str, Any]:
    """A page of the large run and of the empty one."""

    def ask(run: str) -> Callable[[], Any]:
        return lambda: client.get(f"{address}/run/{run}{path}")

    size = len(client.get(f"{address}/run/{big}{path}").content)
    large, empty = timed(ask(big), times), timed(ask("empty"), times)
    ratio = round(large["least"] / empty["least"], 1)
    return {"bytes": size, "large_ms": large, "empty_ms": empty, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = measure(given.run, given.times)
    text = json.dumps(found, indent=1)
    if given.out:
        given.out.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
