"""A worker process seen from its parent: started, spoken to, killed, replaced."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections import deque
from typing import Any

from rods.envs.calls import Refusal
from rods.envs.worker import OUT_OF_MEMORY
from rods.errors import UserError

START_SECONDS = 60.0
GRACE = 0.8  # the worker's own alarm comes first; this is for a worker that lost it
MAX_LINE = 64_000_000


class ChildDied(Exception):
    """The process is gone; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class Child:
    """One worker. Requests are pickled (the worker trusts its parent), answers are JSON lines."""

    def __init__(
        self, arguments: list[str], seconds: float, variables: dict[str, str] | None = None
    ) -> None:
        self.arguments, self.seconds = arguments, seconds
        self.variables = variables or {}
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process anew, and wait until it is ready.

        Raises:
            UserError: it does not come up; the message is its own.
        """
        self.kill()
        self.starts += 1
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rods.envs.worker", *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            | self.variables,
            start_new_session=True,  # so that all it starts dies with it, and Ctrl-C passes it by
        )
        try:
            answer = self.receive(START_SECONDS)
        except ChildDied as died:
            answer = {"error": f"it could not be started ({died})"}
        if answer != "ready":
            self.kill()
            raise UserError(f"environment {self.arguments[0]}: {_said(answer)}")

    @property
    def alive(self) -> bool:
        return self._process is not None

    def send(self, request: Any) -> None:
        """Hand over a batch. If the process is gone, `receive` will tell."""
        assert self._process is not None and self._process.stdin is not None
        body = pickle.dumps(request)
        with contextlib.suppress(OSError):
            self._process.stdin.write(len(body).to_bytes(8, "big") + body)
            self._process.stdin.flush()

    def receive(self, seconds: float | None = None) -> Any:
        """The next answer.

        Raises:
            ChildDied: the process ended or was ended, because it took too long or made no sense.
        """
        process = self._process
        assert process is not None and process.stdout is not None
        descriptor = process.stdout.fileno()
        until = time.monotonic() + (seconds or self.seconds + GRACE)
        while not self._lines:
            left = until - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self.kill()
                raise ChildDied(Refusal.TIME)
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                raise ChildDied(self._cause())
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._lines.extend(lines)
            if len(self._rest) > MAX_LINE:
                self.kill()
                raise ChildDied(Refusal.MEMORY)
        try:
            return json.loads(self._lines.popleft())
        except (ValueError, RecursionError):  # a tool wrote into the pipe
            self.kill()
            raise ChildDied(Refusal.PROCESS) from None

    def kill(self) -> None:
        """End the process and all that it started."""
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

    def _cause(self) -> Refusal:
        """Why the process ended by itself."""
        assert self._process is not None
        try:
            status = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            status = None
        self.kill()
        if status == -signal.SIGALRM:
            return Refusal.TIME
        return Refusal.MEMORY if status == OUT_OF_MEMORY else Refusal.PROCESS


def _said(answer: Any) -> str:
    return str(answer.get("error")) if isinstance(answer, dict) else "it made no sense"
