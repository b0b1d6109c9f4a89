"""Watches over the synthesis worker: starts it, restarts it with back-off, and gives up visibly.

It lives in a thread and never touches the store, so the trainer neither waits for the worker nor
fails with it. The worker reports each job on its standard output, and messages for a person as
{"notice": line}. It ends when its standard input closes, so it does not outlive a
trainer that was killed.
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
from rods.made import traced
from rods.processes import module_variables

BUSY = 75  # exit status of a worker that found another one at work
BROKEN = 70  # of one that has given synthesis up, since too many jobs in a row ended in an error
GRACE = 5.0  # seconds to end by itself
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
DOUBLINGS = 8  # of the pause, at most
LOOK = 0.2
WORDS = 300  # characters of a worker's words that are shown


@dataclass
class WorkerState:
    """What is known of the worker.

    Attributes:
        deaths: since it last finished a job.
        gave_up: why it is not started any more, or "".
        last: what it told last.
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
        silence: seconds without a word after which it is killed, for it hangs.
        tell: called with one line when it is restarted or given up.
        pause: seconds before the first restart; twice as long before each further one.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        restarts: int,
        silence: float,
        tell: Callable[[str], None] = lambda line: None,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self.command, self.restarts, self.silence = list(command), restarts, silence
        self.tell, self.pause, self.state = tell, pause, WorkerState()
        self._closing = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> Supervisor:
        self._thread.start()
        return self

    def close(self) -> None:
        """End the worker, by force if need be."""
        self._closing.set()
        self._thread.join()

    @property
    def pid(self) -> int | None:
        """Of the worker that runs now."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def _run(self) -> None:
        try:
            self._watch()
        # Otherwise the thread would end unnoticed and the worker run unwatched.
        except Exception as error:
            if (process := self._process) is not None:
                _end(process)
            self._give_up(f"its supervisor failed: {traced(error).line}")

    def _give_up(self, why: str) -> None:
        self.state.gave_up = why
        self.tell(f"synthesis is given up: {why}")

    def _watch(self) -> None:
        busy = 0
        while not self._closing.is_set():
            status, words = self._one_life()
            if self._closing.is_set():
                return
            if status == BUSY:  # somebody else does the work
                busy += 1
                self._closing.wait(self._rest(busy))
                continue
            busy = 0
            if status == BROKEN:  # a new worker would fail in the same way
                if why := self.state.last.get("gave_up"):  # and it has said so
                    self.state.gave_up = shown(str(why), WORDS)
                else:
                    self._give_up(words)
                return
            self.state.deaths += 1
            if self.state.deaths > self.restarts:
                self.state.gave_up = f"died {self.state.deaths} times in a row; last: {words}"
                self.tell(f"synthesis is given up: its worker {self.state.gave_up}")
                return
            self.state.restarts += 1
            rest = self._rest(self.state.deaths)
            self.tell(f"the synthesis worker ended ({words}); next start in {rest:g} s")
            self._closing.wait(rest)

    def _rest(self, times: int) -> float:
        """Seconds before the next start, after the same happened so many times in a row."""
        return min(LONGEST_PAUSE, self.pause * (1 << min(times - 1, DOUBLINGS)))

    def _one_life(self) -> tuple[int, str]:
        """Start a worker and stay with it until it has ended; its status and last words."""
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
                start_new_session=True,  # Ctrl-C is the trainer's to decide on
            )
        except OSError as error:
            return -1, str(error)
        self._process = process
        heard, errors = [time.monotonic()], [""]
        readers = [
            threading.Thread(target=self._listen, args=(process, heard), daemon=True),
            threading.Thread(target=_last_line, args=(process, errors), daemon=True),
        ]
        for reader in readers:
            reader.start()
        while process.poll() is None:
            if self._closing.wait(LOOK):
                _end(process)
            elif time.monotonic() - heard[0] > self.silence:
                errors[0] = f"silent for {self.silence:g} s"
                process.kill()
                process.wait()
        with contextlib.suppress(OSError):  # whatever it had started ends with it
            os.killpg(process.pid, signal.SIGKILL)
        for reader in readers:  # each closes its pipe, perhaps later
            reader.join(GRACE)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        return process.returncode, errors[0] or f"exit status {process.returncode}"

    def _listen(self, process: subprocess.Popen[str], heard: list[float]) -> None:
        assert process.stdout is not None
        jobs = 0
        with process.stdout as words:
            for line in words:
                heard[0] = time.monotonic()
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(message, dict) and isinstance(notice := message.get("notice"), str):
                    with contextlib.suppress(OSError):  # the terminal was closed
                        self.tell(shown(notice, WORDS))
                elif isinstance(message, dict):
                    self.state.last = message
                    if isinstance(done := message.get("jobs"), int) and done > jobs:
                        jobs, self.state.deaths = done, 0


def _last_line(process: subprocess.Popen[str], kept: list[str]) -> None:
    assert process.stderr is not None
    with process.stderr as words:
        for line in words:
            if line.strip():
                kept[0] = shown(line, WORDS)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask by closing its input, then insist."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
