"""Real runs of `rods train` with the tiny policy, each in its own folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from commandline import RODS, Done
from rods.metrics import untimed
from rods.store.store import Store

STEPS, EPOCH, SEED = 8, 6, 1
SETTINGS = {
    "steps": STEPS,
    "checkpoint_steps": 3,
    "stages": "[{reward: progress}]",
    "rollout.tasks_per_step": 2,
    "optimizer.microbatch": 8,
    "pool.seeds": 2 * EPOCH,
    "boundary.rule": "random",  # what is varied hangs on no machine's floating point
    "policy.indices": 12,
}


class Runs:
    """Runs of the same settings, each in its own folder, over one prepared policy."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {**os.environ, "OMP_NUM_THREADS": "1"}

    def arguments(self, name: str, *more: str) -> list[str]:
        """Of the command that trains this run."""
        changes = [part for k, v in SETTINGS.items() for part in ("--set", f"{k}={v}")]
        run = ["train", "--preset", "tiny", "--run", str(self.root / name)]
        return [*run, *changes, "--seed", str(SEED), *more]

    def command(self, name: str, *more: str) -> list[str]:
        """For a process of its own."""
        return [RODS, *self.arguments(name, *more)]

    def call(self, command: list[str], stop: int = 0, after: int = 0) -> Done:
        """Run to the end, or send the signal `stop` when that many steps are in the metrics."""
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=self.env, text=True) as job:
            metrics = Path(command[command.index("--run") + 1]) / "metrics.jsonl" if stop else None
            while metrics and job.poll() is None:
                if metrics.exists() and len(metrics.read_text().splitlines()) >= after:
                    job.send_signal(stop)
                    break
                time.sleep(0.02)
            out, err = job.communicate()
        return Done(job.returncode, out, err)

    def broken(self, name: str) -> tuple[list[Done], list[set[str]]]:
        """A run that is interrupted, ended, killed and each time taken up; and what that left."""
        done, left = [], []
        for stop, after in ((signal.SIGINT, 2), (signal.SIGTERM, 4), (signal.SIGKILL, 7), (0, 0)):
            done.append(self.call(self.command(name), stop, after))
            left.append({path.name for path in (self.root / name).iterdir()})
        return done, left

    def lines(self, name: str) -> list[dict]:
        """The metrics, without times."""
        text = (self.root / name / "metrics.jsonl").read_text("utf-8")
        return [untimed(json.loads(line)) for line in text.splitlines()]

    def summary(self, name: str) -> dict:
        return json.loads((self.root / name / "summary.json").read_text("utf-8"))

    def stored(self, name: str) -> dict[str, object]:
        store = Store(self.root / name, role="reader")
        parts = ("tasks", "events", "groups", "funnel", "episodes")
        found = {part: getattr(store, part)() for part in parts}
        found |= {"epochs": store.epochs.all(), "evaluations": store.measures.heldout()}
        store.close()
        return found
