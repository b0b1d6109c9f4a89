"""How quickly the page answers on a large store, beside an empty one.

    python benchmarks/big_store.py --out runs/big
    python benchmarks/watch_speed.py runs/big --out benchmarks/results/watch_speed.json

Counts the large run, then asks both runs for each page, and lets a headless Chromium paint them.
Times are in milliseconds: `wall` is the least of the repetitions, since other programs only add to
it, and `cpu` is what this process used for one answer, client included, on average.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Page, sync_playwright
from starlette.testclient import TestClient

from rods.store.store import Store
from rods.watch.run import Keeper
from rods.watch.server import application

EMPTY = "empty"
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
    "tasks by two words and state": "/tasks?text=london+emma&state=active",
    "tasks by two words and parent": "/tasks?text=london+emma&parent={parent}",
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
PAINTS = 5  # of each page
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


def asked(client: TestClient, path: str, times: int) -> dict[str, float]:
    """Milliseconds of one answer."""
    walls, before = [], time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        assert client.get(path).status_code in (200, 404)  # the empty run has no such task
        walls.append(1000 * (time.perf_counter() - began))
    cpu = 1000 * (time.process_time() - before) / times
    return {"wall": round(min(walls), 1), "cpu": round(cpu, 1)}


def painted(page: Page, address: str, times: int) -> dict[str, float]:
    """Milliseconds from the start of a navigation to the first content."""
    found = []
    for _ in range(times):
        page.goto(address)
        while (paint := page.evaluate(PAINT)) is None:  # the page's policy forbids code in texts
            page.wait_for_timeout(5)
        found.append(paint)
    return {"least": round(min(found), 1), "median": round(statistics.median(found), 1)}


def counted(keeper: Keeper, big: str) -> dict[str, float]:
    """Read both runs whole; seconds of the large one."""
    found = {}
    for name, run in keeper.runs.items():
        wall, cpu = time.monotonic(), time.process_time()
        run.digest.update()
        if name == big:
            found = {"count": round(time.process_time() - cpu, 1)}
            found["count_wall"] = round(time.monotonic() - wall, 1)
        cpu = time.process_time()
        run.look()
        if name == big:
            found["numbers"] = round(time.process_time() - cpu, 2)
    return found


def measure(big: Path, times: int) -> dict[str, Any]:
    names, run = names_of(big), big.resolve().name
    with tempfile.TemporaryDirectory() as place:
        Store(Path(place) / EMPTY).close()
        keeper = Keeper([big, Path(place) / EMPTY])
        try:
            with TestClient(application(keeper), "http://127.0.0.1") as client:
                began = time.perf_counter()
                client.get(f"/run/{run}")
                found: dict[str, Any] = {
                    "first_answer_ms": round(1000 * (time.perf_counter() - began), 1),
                    "cpu_seconds": counted(keeper, run),
                    "pages": {},
                }
                size = sum(file.stat().st_size for file in keeper.runs[run].digest.files())
                found["digest_mb"] = round(size / 1e6)
                for name, path in PAGES.items():
                    each = path.format(**names)
                    large, empty = (asked(client, f"/run/{r}{each}", times) for r in (run, EMPTY))
                    ratio = round(large["cpu"] / empty["cpu"], 1)
                    found["pages"][name] = {"large": large, "empty": empty, "ratio": ratio}
                    print(name, found["pages"][name], flush=True)
            found["first_paint_ms"] = paints(keeper, run, names, PAINTS)
        finally:
            keeper.close()
    found["load"] = os.getloadavg()
    return found


def paints(keeper: Keeper, run: str, names: dict[str, str], times: int) -> dict[str, Any]:
    """First paints of the pages of both runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(application(keeper), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        chrome = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, found = chrome.new_page(), {}
        for name, path in PAGES.items():
            found[name] = {
                label: painted(page, f"{address}/run/{each}{path.format(**names)}", times)
                for label, each in (("large", run), ("empty", EMPTY))
            }
            print("painted:", name, found[name], flush=True)
        chrome.close()
    server.should_exit = True
    thread.join()
    return found


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
