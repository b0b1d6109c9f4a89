"""The worker process of the guard: executes operations and may be killed at any moment.

Each operation runs under an alarm whose default action, in the kernel, ends the process: a call in
Python or in C cannot run beyond its limit, and no other process has to watch it. Each answer is
written at once as a line of JSON, so that the parent knows the last operation. Printed text is
discarded.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import resource
import signal
import sys
from collections import OrderedDict
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from rods.envs.base import Environment, Session
from rods.envs.calls import Bounds, CallLimits, Refusal
from rods.envs.load import load_environment
from rods.envs.probe import Probe
from rods.envs.state import State, encode
from rods.errors import UserError
from rods.task import Call, Task

OUT_OF_MEMORY = 77  # exit status
STATES = 4_000  # snapshots kept for comparison
MAX_ANSWER = 64_000_000  # characters


class GuardWorker:
    """Holds sessions by number and executes operations on them."""

    def __init__(self, env: Environment, limits: CallLimits, log: int, probe: Probe | None) -> None:
        self.env, self.limits, self.log, self.probe = env, limits, log, probe
        self.tasks: dict[str, Task] = {}
        self.sessions: dict[int, Session] = {}
        self.states: OrderedDict[str, State] = OrderedDict()

    def serve(self, source: BinaryIO, done: int) -> None:
        """Read batches until the parent closes the pipe, and report when each is done."""
        while header := source.read(8):
            body = source.read(int.from_bytes(header, "big"))
            tasks, operations = pickle.loads(body)  # from the parent, never from a tool
            self.tasks.update(tasks)
            for operation in operations:
                self.perform(operation)
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.write(done, b"\n")

    def perform(self, operation: tuple[Any, ...]) -> None:
        """Execute one operation; each except "close" writes one line."""
        name, number, *rest = operation
        if name == "close":
            if session := self.sessions.pop(number, None):
                session.close()
            return
        seconds = self.limits.seconds if name == "call" else self.limits.state_seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            answer = getattr(self, name)(number, *rest)
        except UserError as error:
            answer = {"error": str(error)}
        except KeyError:
            answer = {"error": "no such session"}
        line = "true" if answer is True else json.dumps(answer)
        if len(line) > MAX_ANSWER:
            os._exit(OUT_OF_MEMORY)
        os.write(self.log, f"{line}\n".encode())

    def open(self, number: int, task_id: str) -> bool:
        self.sessions[number] = self.env.open(self.tasks[task_id])
        return True

    def call(self, number: int, name: str, arguments: dict[str, Any]) -> str | list[Any]:
        """The text of a response without error, as most are; else all fields of the observation."""
        call = Call.model_construct(name=name, arguments=arguments)
        session = self.sessions[number]
        with self.probe or nullcontext():
            seen = session.call(call)
        if seen.refused == Refusal.MEMORY:  # the heap may be damaged
            os._exit(OUT_OF_MEMORY)
        return seen.text if seen.ok else list(seen)

    def match(self, number: int, digest: str) -> bool:
        known, session = self.states.get(digest), self.sessions[number]
        return session.matches(known) if known else session.state().digest == digest != ""

    def digest(self, number: int) -> str:
        """Store a snapshot for later comparisons, and return only its digest."""
        state = self.sessions[number].state()
        self.states[state.digest] = state
        if len(self.states) > STATES:
            self.states.popitem(last=False)
        return state.digest

    def outside(self, number: int) -> list[str]:
        """What calls tried to do outside the process since the last request."""
        seen = sorted(self.probe.seen) if self.probe else []
        if self.probe:
            self.probe.seen.clear()
        return seen

    def state(self, number: int) -> str | None:
        data = self.sessions[number].state().data
        return None if data is None else encode(data)


def main() -> None:
    """`python -m rods.envs.worker LOG SPEC LIMITS BOUNDS [probe]`."""
    descriptor, spec, limited, bounds, *rest = sys.argv[1:]
    limits = CallLimits.model_validate_json(limited)
    log, source, done = int(descriptor), os.fdopen(os.dup(0), "rb"), os.dup(1)
    os.set_inheritable(log, False)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end it
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        env = load_environment(spec, Bounds.model_validate_json(bounds))
    except UserError as error:
        os.write(log, json.dumps({"error": str(error)}).encode() + b"\n")
        return
    if sys.platform == "linux":  # elsewhere the limit on memory has no effect
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + limits.megabytes * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()  # loaded modules are permanent; collections can skip them
    os.write(log, b'"ready"\n')
    os.write(done, b"\n")
    GuardWorker(env, limits, log, Probe() if rest else None).serve(source, done)


if __name__ == "__main__":
    main()
