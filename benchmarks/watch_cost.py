"""What the page costs the trainer: step times with and without it, in one run.

    python benchmarks/watch_cost.py --out benchmarks/results/watch_cost.json

Trains the micro preset, whose steps take seconds: a page has to open within one of them. Blocks of
steps without the page take turns with blocks in which the page is served and a headless Chromium
keeps its overview open. The first step of each block, in which processes start and end, is left
out. The ratio is of means; its interval is a bootstrap of blocks. On a machine that other programs
use, the processor time of a step says more than its seconds; and the page takes time from the
trainer only if no core is idle.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from playwright.sync_api import Playwright, sync_playwright

BLOCK = 5  # steps
DRAWS = 4_000
SETTINGS = (
    "evaluation.validation_every=100000",
    "evaluation.test_samples=0",
    "checkpoint_steps=1000",
)


@contextmanager
def page(run: Path, driver: Playwright) -> Iterator[int]:
    """The page is served and open; gives the id of the server's process."""
    command = [sys.executable, "-m", "rods", "watch", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            found = shutil.which("chromium") or shutil.which("google-chrome")
            browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
            browser.new_page().goto(address)
            yield server.pid
            browser.close()
        finally:
            server.terminate()


def steps_of(run: Path) -> list[float]:
    """Seconds of each step so far."""
    path = run / "metrics.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line)["seconds"] for line in lines if line.endswith("}")]


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process and its ended children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def wait(run: Path, steps: int, trainer: subprocess.Popen[Any]) -> None:
    """Wait until so many steps are done."""
    while len(steps_of(run)) < steps:
        if trainer.poll() is not None:
            raise SystemExit("the run ended before all blocks: its steps are too short")
        time.sleep(0.05)


def measure(blocks: int, preset: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        run = Path(place) / "run"
        total = (
            2 * blocks * (BLOCK + 4) + 3
        )  # some pass while a page is opened; the rest is not run
        chosen = [part for each in (f"steps={total}", *SETTINGS) for part in ("--set", each)]
        command = [sys.executable, "-m", "rods", "train", "--preset", preset, "--run", str(run)]
        trainer = subprocess.Popen([*command, *chosen], stdout=subprocess.DEVNULL)
        found: dict[bool, list[list[float]]] = {True: [], False: []}
        used: dict[bool, list[float]] = {True: [], False: []}
        served = [0.0, 0.0]  # seconds of the server: of its processor time, and in all
        try:
            wait(run, 3, trainer)
            for block in range(2 * blocks):
                shown = block % 2 == 1
                start = len(steps_of(run))
                with page(run, driver) if shown else nullcontext(0) as server:
                    wait(run, start + 1, trainer)
                    before, began = cpu_of(trainer.pid), time.monotonic()
                    first = cpu_of(server) if server else 0.0
                    wait(run, start + BLOCK + 1, trainer)
                    used[shown].append((cpu_of(trainer.pid) - before) / BLOCK)
                    if server:
                        served[0] += cpu_of(server) - first
                        served[1] += time.monotonic() - began
                found[shown].append(steps_of(run)[start + 1 : start + BLOCK + 1])
        finally:
            trainer.send_signal(signal.SIGTERM)
            trainer.wait()
    return {
        "preset": preset,
        "with_page": _means(found[True]),
        "without": _means(found[False]),
        "ratio": _ratio(found),
        "cpu_ratio": _ratio({shown: [[each] for each in some] for shown, some in used.items()}),
        "server_cores": round(served[0] / served[1], 4),
        "load": os.getloadavg(),
        "seconds": {"with_page": found[True], "without": found[False]},
        "cpu_seconds_of_a_step": {"with_page": used[True], "without": used[False]},
    }


def _means(blocks: list[list[float]]) -> dict[str, float]:
    every = [second for block in blocks for second in block]
    return {
        "steps": len(every),
        "mean": round(statistics.fmean(every), 3),
        "median": round(statistics.median(every), 3),
    }


def _ratio(found: dict[bool, list[list[float]]]) -> dict[str, float]:
    """Mean step time with the page over that without, and its 95 % interval."""
    rng = random.Random(0)

    def of(pairs: list[tuple[list[float], list[float]]]) -> float:
        one, two = (statistics.fmean([s for pair in pairs for s in pair[i]]) for i in (0, 1))
        return one / two

    pairs = list(zip(found[True], found[False], strict=False))
    drawn = sorted(of(rng.choices(pairs, k=len(pairs))) for _ in range(DRAWS))
    low, high = drawn[int(0.025 * DRAWS)], drawn[int(0.975 * DRAWS)]
    return {"ratio": round(of(pairs), 3), "low": round(low, 3), "high": round(high, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=8, help="of each kind")
    parser.add_argument("--preset", default="micro")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    text = json.dumps(measure(given.blocks, given.preset), indent=1)
    if given.out:
        given.out.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
