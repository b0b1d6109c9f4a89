"""Tools that fail if a file in their folder asks for it, behind a real guard: test doubles for an
environment that fails."""

from __future__ import annotations

import textwrap
from pathlib import Path

from rods.envs.calls import CallLimits
from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.micro.renderer import MicroRenderer, build_tokenizer
from rods.task import Call, Task, Turn

MODULE = '''
import pathlib
import time


class Tally:
    """A tally that people count with."""

    def __init__(self):
        self.value = 0

    def set_state(self, state):
        self.folder = pathlib.Path(state["folder"])
        self.number = opened = len(list(self.folder.glob("open-*")))
        (self.folder / f"open-{opened}").touch()
        if (self.folder / f"fail-{opened}").exists() or (self.folder / "fail").exists():
            said = (self.folder / "fail").read_text() if (self.folder / "fail").exists() else ""
            raise RuntimeError(said or "the database is away")

    def get_state(self):
        return {"value": self.value}

    def add(self, amount: int = 1) -> int:
        """Add to the tally.

        Args:
            amount: how much.
        """
        with (self.folder / "calls").open("a") as calls:
            calls.write("add\\n")
        for stall in (self.folder / "stall", self.folder / f"stall-{self.number}"):
            if stall.exists():
                stall.unlink()
                time.sleep(60)
        if (self.folder / "stall-every").exists():
            time.sleep(60)
        self.value += amount
        return self.value
'''
ADD = Call(name="add", arguments={"amount": 2})
TURNS = (Turn(user="add two", ground_truth=(ADD,)), Turn(user="and two more", ground_truth=(ADD,)))


class Fragile:
    """A guarded environment of such tools, tasks in it, and its renderer.

    Args:
        folder: an importable one. Put the file `stall` there to make the next call hang, `stall-N`
            for the next call of the N-th session (from 0), `stall-every` for all calls, `fail` to
            make every start of a session fail, `fail-N` for that of the N-th.
        seconds: that a call may take.
    """

    def __init__(self, folder: Path, seconds: float = 1.5) -> None:
        self.folder = folder
        (folder / "tally.py").write_text(textwrap.dedent(MODULE))
        inner = load_environment("tally:Tally")
        self.env = GuardedEnvironment(inner, CallLimits(seconds=seconds, state_seconds=seconds))
        tools = inner.tools(self.task("any"))
        words = ["add", "two", "and", "more"]
        self.renderer = MicroRenderer(build_tokenizer(words, tools))

    def task(self, name: str, turns: tuple[Turn, ...] = TURNS) -> Task:
        """Two turns of one call each."""
        start = {"Tally": {"folder": str(self.folder), "name": name}}
        return Task(
            category="base",
            classes=("Tally",),
            start=start,
            turns=turns,
            environment="tally:Tally",
            source=name,
        )

    def right(self, turns: int = 2) -> list[list[int]]:
        """Actions that solve the first turns and end all of them, for `Replay`."""
        return [
            self.renderer.write(calls)
            for turn in range(len(TURNS))
            for calls in ([(ADD,), ()] if turn < turns else [()])
        ]

    def opened(self) -> int:
        """Sessions so far."""
        return len(list(self.folder.glob("open-*")))

    def called(self) -> int:
        """Calls that began so far, in all sessions."""
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    def mark(self, name: str) -> None:
        (self.folder / name).touch()

    def unmark(self, name: str) -> None:
        (self.folder / name).unlink()
