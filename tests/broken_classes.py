"""Classes that `rods envs check` has to refuse, each for one reason; and a sound one."""

import os
import random
import subprocess
import threading
import time
import uuid
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

COUNT = count()


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


class Entropy:
    def act(self) -> str:
        """Act."""
        return uuid.uuid4().hex


class Now:
    def act(self) -> int:
        """Act."""
        return datetime.now().year


class Uncounted:
    """Shares a counter in a way that no name tells."""

    def act(self) -> int:
        """Act."""
        return next(COUNT)


class Seeded:
    def act(self) -> list[float]:
        """Act."""
        random.seed(7)
        return [random.random(), random.Random(3).random()]


class SlowState:
    def act(self) -> int:
        """Act."""
        return 1

    def get_state(self) -> dict[str, int]:
        time.sleep(0.8)
        return {}


class Place(BaseModel):
    street: str
    number: int = Field(gt=0)


class Picky:
    """Takes only what fits the schemas, which pydantic checks."""

    def on_day(self, day: date, at: datetime, mail: UUID) -> str:
        """Act.

        Args:
            day: any.
            at: any.
            mail: any.
        """
        return f"{day} {at} {mail}"

    def order(
        self,
        number: Annotated[str, Field(pattern=r"^W\d{4}(-[A-Z]+)?$")],
        amount: Annotated[int, Field(ge=5, lt=8)],
        price: Annotated[float, Field(gt=10.0)],
        code: Annotated[str, Field(min_length=6, max_length=8)],
    ) -> str:
        """Act.

        Args:
            number: any.
            amount: any.
            price: any.
            code: any.
        """
        return f"{number} {amount} {price} {code}"

    def move(self, place: Place, names: Annotated[list[str], Field(min_length=2)]) -> str:
        """Act.

        Args:
            place: any.
            names: any.
        """
        return f"{place.street} {names}"


class Deep:
    """Its ids stand far back in its state, behind many other strings."""

    def __init__(self) -> None:
        days = {f"day {n}": {"seats": "free", "at": f"{n}:00"} for n in range(300)}
        self.db = {"flights": {"F1": {"days": days}}, "users": {"ann_1": {"name": "Ann"}}}

    def get_user(self, user: str) -> str:
        """Get a user.

        Args:
            user: its id.
        """
        return str(self.db["users"][user]["name"])


class Doors:
    """A call works only after another one with the same value."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open_door(self, code: str) -> str:
        """Open a door.

        Args:
            code: any.
        """
        self.opened.append(code)
        return code

    def enter(self, code: str) -> str:
        """Go through a door that is open.

        Args:
            code: that of the door.
        """
        self.opened.remove(code)
        return code
