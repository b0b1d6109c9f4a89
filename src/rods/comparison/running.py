"""Runs the processes of a comparison: some at once, stopped together, continued later."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from rods.comparison.collect import collect, finished
from rods.comparison.plan import PlannedRun, variables
from rods.errors import UserError, shown
from rods.processes import Stopper
from rods.terminal import Bar

PAUSE = 0.2  # seconds between two looks at the processes
LAST = 300  # characters of a log's end that are shown
Notice = Callable[[str], None]


class Runs:
    """The runs of a comparison that have no compact result yet.

    Args:
        folder: of the comparison.
        missing: those to run, in order.
        workers: most processes at once.
        notice: called with one line for each run that failed.

    Attributes:
        failed: the runs that failed.
    """

    def __init__(
        self, folder: Path, missing: Sequence[PlannedRun], workers: int, notice: Notice
    ) -> None:
        self.failed: list[PlannedRun] = []
        self._folder, self._workers, self._notice = folder, workers, notice
        self._waiting = deque(missing)
        self._active: dict[PlannedRun, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self._steps = dict.fromkeys(missing, 0)

    def go(self, stopper: Stopper) -> bool:
        """Run all, and write each run's compact result when it is finished.

        Args:
            stopper: a signal ends the processes at their next safe point.

        Returns:
            Whether all came to an end; False if a signal stopped them.
        """
        stopper.safe = True
        total = sum(run.config.steps for run in self._steps)
        try:
            with Bar("steps", total, self._detail) as bar:
                while (self._waiting or self._active) and not stopper.number:
                    self._start()
                    time.sleep(PAUSE)
                    self._look()
                    bar.update(sum(self._steps.values()))
        except KeyboardInterrupt:  # a second signal
            pass
        finally:
            self._stop()
        return not stopper.number

    def _start(self) -> None:
        """Start runs while there are free workers. A finished run is only read."""
        while self._waiting and len(self._active) < self._workers:
            run = self._waiting.popleft()
            if finished(run.folder):
                self._keep(run)
                continue
            run.folder.parent.mkdir(parents=True, exist_ok=True)
            with run.log.open("ab") as log:
                self._active[run] = subprocess.Popen(
                    run.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=variables(),
                    process_group=0,  # the signals of a terminal come to this process only
                )

    def _look(self) -> None:
        """Count the steps that are done, and take over the runs that have ended."""
        for run, process in list(self._active.items()):
            self._steps[run] = _lines(run.folder / "metrics.jsonl")
            status = process.poll()
            if status is None:
                continue
            del self._active[run]
            if status == 0:
                self._keep(run)
            elif not self._stopping:
                self._fail(run, f"exit code {status}: {_end(run.log)}")

    def _keep(self, run: PlannedRun) -> None:
        try:
            result = collect(run)
        except UserError as error:
            self._fail(run, str(error))
            return
        result.write(self._folder)
        self._steps[run] = run.config.steps

    def _fail(self, run: PlannedRun, why: str) -> None:
        self.failed.append(run)
        self._notice(f"{run.name} failed ({why}); its log: {run.log}")

    def _stop(self) -> None:
        """Interrupt the processes that still run, and wait for them; each further signal is passed
        on to them."""
        self._stopping = True
        while self._active:
            try:
                for process in self._active.values():
                    process.send_signal(signal.SIGINT)
                for process in self._active.values():
                    process.wait()
                self._look()
            except KeyboardInterrupt:
                continue

    def _detail(self) -> str:
        named = [f"{run.name} {self._steps[run]}/{run.config.steps}" for run in list(self._active)]
        failed = f"{len(self.failed)} failed" if self.failed else ""
        return ", ".join(filter(None, [*named, failed]))


def _lines(path: Path) -> int:
    """Lines of a file; 0 if there is none."""
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


def _end(log: Path) -> str:
    """The last line of a log that has text."""
    text = log.read_bytes()[-8 * LAST :].decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    return shown(lines[-1], LAST) if lines else "it printed nothing"
