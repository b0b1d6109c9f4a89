"""Classes that `rods envs check` has to refuse, each for one reason; and a sound one."""

import os
import random
import subprocess
import threading
import time
from datetime import date
from pathlib import Path


class Sound:
    """A counter that does nothing wrong."""

    def __init__(self) -> None:
        self.value = 0
        self.names: set[str] = set()

    def add(self, amount: int = 1) -> int:
        """Add to the counter.

        Args:
            amount: how much.
        """
        self.value += amount
        return self.value

    def name(self, name: str) -> dict[str, set[str]]:
        """Note a name.

        Args:
            name: any.
        """
        self.names |= {name, "a", "b", "c"}
        return {"names": self.names}


class NoHint:
    def act(self, what):
        """Act.

        Args:
            what: anything.
        """


class NoDocs:
    def act(self, what: str) -> str:
        return what


class Unserialisable:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def act(self) -> int:
        """Act."""
        return 1


class Shared:
    log: list[int] = []  # noqa: RUF012

    def act(self) -> int:
        """Act."""
        self.log.append(1)
        return len(self.log)


class Random:
    def act(self) -> float:
        """Act."""
        return random.random()


class Clock:
    def act(self) -> str:
        """Act."""
        return date.today().isoformat()


class HashOrder:
    def act(self) -> str:
        """Act."""
        return str({"one", "two", "three", "four", "five", "six"})


class ReadThatWrites:
    def __init__(self) -> None:
        self.seen = 0

    def get_count(self) -> int:
        """Get the count."""
        self.seen += 1
        return self.seen


class Writes:
    def act(self) -> None:
        """Act."""
        Path("written by a tool").write_text("x")


class Shell:
    def act(self) -> int:
        """Act."""
        return subprocess.run(["touch", "written by a shell"]).returncode


class Exits:
    def act(self) -> None:
        """Act."""
        os._exit(0)

    def live(self) -> int:
        """Live on."""
        return 1


class Hangs:
    def act(self) -> None:
        """Act."""
        while True:
            time.sleep(1)


class Eats:
    def act(self) -> int:
        """Act."""
        return len(bytearray(4 * 10**9))


class Recurses:
    def act(self) -> int:
        """Act."""
        return self.act()


class Prints:
    def act(self) -> int:
        """Act."""
        print("a line")
        return 1


class Raises:
    def act(self) -> int:
        """Act."""
        raise KeyError("\x1b[31mnothing here" + "!" * 10_000)
