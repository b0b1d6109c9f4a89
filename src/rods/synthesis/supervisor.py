"""Supervises the synthesis worker: starts it, restarts it with back-off, and reports giving up.

The supervisor is a thread that never uses the store, so the trainer neither waits for the worker
nor fails with it. The worker writes a line of JSON to its standard output for each job, and
messages for a person as {"notice": line}. It ends when its standard input closes, so it also ends
with a trainer that was killed.

Not in the paper: the worker pauses when as many candidates wait as the next end of an epoch can
admit.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rods.errors import shown
from rods.job_result import error_text
from rods.processes import module_variables

BUSY = 75  # exit status of a worker that found another one running
BROKEN = 70  # of one that has given synthesis up, since too many jobs in a row ended in an error
GRACE = 5.0  # seconds that a worker has to end by itself
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
DOUBLINGS = 8  # of the pause, at most
POLL = 0.2  # seconds
MAX_SHOWN = 300  # characters of a worker's message that are shown


@dataclass
class WorkerState:
    """What is known of the worker.

    Attributes:
        deaths: since it last finished a job.
        gave_up: why it is no longer started, or "".
        last: its latest report.
    """

    starts: int = 0
    restarts: int = 0
    deaths: int = 0
    gave_up: str = ""
    last: dict[str, Any] = field(default_factory=dict)


class Supervisor:
    """Keeps one worker running until `close`.

    Args:
        command: of the worker.
        restarts: deaths in a row after which it is given up.
        silence: seconds without output after which it is killed, since it hangs.
        notice: called with one line when it is restarted or given up.
        pause: seconds before the first restart; twice as long before each further one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        restarts: int,
        silence: float,
        notice: Callable[[str], None] = lambda line: None,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self.command, self.restarts, self.silence = list(command), restarts, silence
        self.notice, self.pause, self.state = notice, pause, WorkerState()
        self._closing = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> Supervisor:
        self._thread.start()
        return self

    def close(self) -> None:
        """End the worker, if necessary by force."""
        self._closing.set()
        self._thread.join()

    @property
    def pid(self) -> int | None:
        """The process id of the running worker, if there is one."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def _run(self) -> None:
        try:
            self._watch()
        # Otherwise the thread would end unnoticed and the worker run unwatched.
        except Exception as error:
            if (process := self._process) is not None:
                _end(process)
            self._give_up(f"its supervisor failed: {error_text(error).line}")

    def _give_up(self, why: str) -> None:
        self.state.gave_up = why
        self.notice(f"synthesis is given up: {why}")

    def _watch(self) -> None:
        busy = 0
        while not self._closing.is_set():
            status, last_line = self._run_worker()
            if self._closing.is_set():
                return
            if status == BUSY:  # another worker does the jobs
                busy += 1
                self._closing.wait(self._rest(busy))
                continue
            busy = 0
            if status == BROKEN:  # a new worker would fail in the same way
                if why := self.state.last.get("gave_up"):  # the worker has reported it already
                    self.state.gave_up = shown(str(why), MAX_SHOWN)
                else:
                    self._give_up(last_line)
                return
            self.state.deaths += 1
            if self.state.deaths > self.restarts:
                self.state.gave_up = f"died {self.state.deaths} times in a row; last: {last_line}"
                self.notice(f"synthesis is given up: its worker {self.state.gave_up}")
                return
            self.state.restarts += 1
            rest = self._rest(self.state.deaths)
            self.notice(f"the synthesis worker ended ({last_line}); next start in {rest:g} s")
            self._closing.wait(rest)

    def _rest(self, times: int) -> float:
        """Seconds before the next start, after the same end `times` times in a row."""
        return min(LONGEST_PAUSE, self.pause * (1 << min(times - 1, DOUBLINGS)))

    def _run_worker(self) -> tuple[int, str]:
        """Start a worker and wait until it ends; its exit status and last line of errors."""
        self.state.starts += 1
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=module_variables(),
                start_new_session=True,  # the trainer decides what Ctrl-C does
            )
        except OSError as error:
            return -1, str(error)
        self._process = process
        last_output, errors = [time.monotonic()], [""]
        readers = [
            threading.Thread(target=self._listen, args=(process, last_output), daemon=True),
            threading.Thread(target=_last_line, args=(process, errors), daemon=True),
        ]
        for reader in readers:
            reader.start()
        while process.poll() is None:
            if self._closing.wait(POLL):
                _end(process)
            elif time.monotonic() - last_output[0] > self.silence:
                errors[0] = f"silent for {self.silence:g} s"
                process.kill()
                process.wait()
        with contextlib.suppress(OSError):  # its child processes end with it
            os.killpg(process.pid, signal.SIGKILL)
        for reader in readers:  # each closes its pipe, perhaps after this
            reader.join(GRACE)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        return process.returncode, errors[0] or f"exit status {process.returncode}"

    def _listen(self, process: subprocess.Popen[str], last_output: list[float]) -> None:
        assert process.stdout is not None
        jobs = 0
        with process.stdout as lines:
            for line in lines:
                last_output[0] = time.monotonic()
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(message, dict) and isinstance(notice := message.get("notice"), str):
                    with contextlib.suppress(OSError):  # the terminal was closed
                        self.notice(shown(notice, MAX_SHOWN))
                elif isinstance(message, dict):
                    self.state.last = message
                    if isinstance(done := message.get("jobs"), int) and done > jobs:
                        jobs, self.state.deaths = done, 0


def _last_line(process: subprocess.Popen[str], kept: list[str]) -> None:
    assert process.stderr is not None
    with process.stderr as lines:
        for line in lines:
            if line.strip():
                kept[0] = shown(line, MAX_SHOWN)


def _end(process: subprocess.Popen[str]) -> None:
    """Close its input, and kill it if it does not end."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
