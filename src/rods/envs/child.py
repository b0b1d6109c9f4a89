"""The parent's side of a worker process: starts it, exchanges batches with it, kills it.

Answers are written to a file in memory and not to a pipe: they survive the end of the worker, and
the parent sleeps until a batch is done instead of waking for each answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, Any

from rods.envs.calls import Refusal
from rods.envs.worker import OUT_OF_MEMORY
from rods.errors import NoProcessError
from rods.processes import module_command, module_variables

START_SECONDS = 60.0
STARTS = 3  # in a row, if the process is killed from outside before it is ready
GRACE = 0.8  # seconds beyond the limit; the worker's own alarm normally ends it first
LOOK = 0.05  # seconds between two checks of a busy worker's progress


class Child:
    """One worker process. Requests are pickled (the worker trusts its parent), answers JSON lines.

    Attributes:
        starts: how often the process was started.
        longest: seconds that the slowest operation took, as measured by the parent.
        killed: whether the process was last ended by a SIGKILL from outside.
    """

    def __init__(
        self, arguments: list[str], seconds: float, variables: dict[str, str] | None = None
    ) -> None:
        self.arguments, self.seconds = arguments, seconds
        self.variables = variables or {}
        self.starts, self.longest, self.killed = 0, 0.0, False
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def start(self) -> None:
        """Start a new process, and wait until it is ready.

        Raises:
            NoProcessError: it does not start; the message is from the process.
        """
        for _ in range(STARTS):
            fault = self._start()
            if not fault:
                return
            if not self.killed:
                break
        raise NoProcessError(f"environment {self.arguments[0]}: {fault}")

    def _start(self) -> str:
        """Start it once; returns the error, or ""."""
        self.kill()
        self.starts, self.killed = self.starts + 1, False
        self._log = _file_in_memory()
        self._process = subprocess.Popen(
            module_command("rods.envs.worker", [str(self._log.fileno()), *self.arguments]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=module_variables() | self.variables,
            start_new_session=True,  # its own group: killed as a whole, and not reached by Ctrl-C
            pass_fds=[self._log.fileno()],
        )
        ended, _ = self._wait(START_SECONDS)
        answers = self._answers()
        if answers == ["ready"] and ended is None:
            return ""
        self.kill()
        error = answers[0].get("error") if answers and isinstance(answers[0], dict) else ended
        return str(error or "its first answer is not readable")

    @property
    def alive(self) -> bool:
        return self._process is not None

    def exchange(self, request: Any, expected: int) -> tuple[list[Any], Refusal | None]:
        """Send a batch of which `expected` operations answer, and wait until it is done.

        Returns:
            The answers, and why the process ended before it had given them all, or None.
        """
        assert self._process and self._process.stdin and self._log
        self._log.seek(0)  # also for the worker, which shares the file position
        self._log.truncate()
        body = pickle.dumps(request)
        with contextlib.suppress(OSError):  # if the process has ended, `_wait` finds out
            self._process.stdin.write(len(body).to_bytes(8, "big") + body)
            self._process.stdin.flush()
        ended, longest = self._wait(self.seconds + GRACE)
        self.longest = max(self.longest, longest)
        answers = self._answers()
        if ended is None and len(answers) != expected:  # a tool wrote to the file of answers
            self.kill()
            ended = Refusal.PROCESS
        return answers if ended is None else answers[: expected - 1], ended

    def kill(self) -> None:
        """Kill the process and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def interrupt(self) -> None:
        """Kill the process while another thread waits for it, which finds that it has ended."""
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)

    def _wait(self, seconds: float) -> tuple[Refusal | None, float]:
        """Wait until the worker reports that it is done; at most `seconds` between two answers.

        Returns:
            Why it ended before, or None, and the longest time in seconds without an answer.
        """
        assert self._process and self._process.stdout and self._log
        done, longest = self._process.stdout.fileno(), 0.0
        size, since = 0, time.monotonic()
        while not select.select([done], [], [], LOOK)[0]:
            now, seen = time.monotonic(), os.fstat(self._log.fileno()).st_size
            longest = max(longest, now - since)
            if seen != size:
                size, since = seen, now
            elif now - since > seconds:
                self.kill()
                return Refusal.TIME, longest
        longest = max(longest, time.monotonic() - since)
        return (None if os.read(done, 1 << 16) else self._cause()), longest

    def _answers(self) -> list[Any]:
        """The worker's answers, up to the first line that is no JSON."""
        assert self._log
        descriptor, answers = self._log.fileno(), []
        text = os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("ascii", "replace")
        with contextlib.suppress(ValueError, RecursionError):
            for line in text.split("\n")[:-1]:
                answers.append(json.loads(line))
        return answers

    def _cause(self) -> Refusal:
        """Why the process ended by itself."""
        assert self._process is not None
        try:
            status = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:  # it closed its pipe and is still running
            status = None
        self.kill()
        self.killed = status == -signal.SIGKILL
        if status == -signal.SIGALRM:
            return Refusal.TIME
        return Refusal.MEMORY if status == OUT_OF_MEMORY else Refusal.PROCESS


def _file_in_memory() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("answers"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
