"""Toolkits as people have them: inherited helpers, asynchronous methods, nested state."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, TypedDict

from pydantic import BaseModel


class Kit:
    """What a framework gives to all toolkits."""

    def __init__(self) -> None:
        self.books: dict[str, int] = {}

    def use_tool(self, name: str, **arguments: Any) -> Any:
        """Call any tool."""

    def tool_names(self) -> list[str]:
        """All tools."""
        return []

    def statistics(self) -> dict[str, int]:
        """Counts."""
        return {}


class Shelf(Kit):
    """A shelf of books."""

    def take_book(self, title: str) -> int:
        """Take a book away.

        Args:
            title: Its title.
        """
        self.books[title] -= 1
        return self.books[title]

    def get_books(self) -> dict[str, int]:
        """List the books."""
        return self.books

    def debug(self, *anything: str) -> str:
        """Show anything."""
        return "".join(anything)


class OwnShelf(Shelf):
    """A shelf that says itself what its tools are."""

    rods_tools: ClassVar[list[str]] = ["-Kit", "-debug"]


class Courier:
    """Asynchronous tools that share a lock."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._lock = asyncio.Lock()

    async def send(self, parcel: str) -> dict[str, Any]:
        """Send a parcel.

        Args:
            parcel: Its number.
        """
        async with self._lock:
            await asyncio.sleep(0)
            self.sent.append(parcel)
        return {"sent": len(self.sent)}

    async def fail(self) -> str:
        """Fail."""
        await asyncio.sleep(0)
        raise ValueError("no parcel")

    async def leave(self) -> None:
        """End the process."""
        raise SystemExit(3)

    def get_sent(self) -> list[str]:
        """List what was sent."""
        return self.sent


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Room:
    size: int
    colour: Colour = Colour.RED
    guests: list[str] = field(default_factory=list)


class Guest(BaseModel):
    name: str
    since: date


class Stay(TypedDict):
    guest: str
    nights: int


@dataclass
class House:
    rooms: dict[str, Room] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)


class Hotel:
    """Nested state of all kinds."""

    house: House

    def __init__(self) -> None:
        self.house = House()
        self.guests: dict[str, Guest] = {}
        self.tags: set[str] = set()
        self.best = Room(9)
        self.notes = {}  # type: ignore[var-annotated]

    def get_size(self, room: str) -> int:
        """The size of a room.

        Args:
            room: Its name.
        """
        return self.house.rooms[room].size

    def check_in(self, room: str, guest: Guest, nights: int = 1) -> str:
        """Take a guest in.

        Args:
            room: Where.
            guest: Who.
            nights: How long.
        """
        self.house.rooms[room].guests.append(guest.name)
        self.house.stays.append({"guest": guest.name, "nights": nights})
        self.guests[guest.name] = guest
        self.tags.add(self.house.rooms[room].colour.value)
        return guest.since.isoformat()


class Register(BaseModel):
    names: dict[str, Guest] = {}


class Office:
    """Its constructor needs its state."""

    def __init__(self, register: Register, floor: int = 1) -> None:
        self.register = register
        self.floor = floor

    def get_guest(self, name: str) -> Guest:
        """Find a guest.

        Args:
            name: The name.
        """
        return self.register.names[name]


class Vault:
    """Offers its state itself, in a form of its own."""

    def __init__(self) -> None:
        self._room = Room(1)

    def get_state(self) -> Room:
        return self._room

    async def set_state(self, state: Room) -> None:
        self._room = state

    def grow(self) -> int:
        """Make it larger."""
        self._room.size += 1
        return self._room.size


class Member(BaseModel):
    name: str
    loans: list[str] = []


class Copy(BaseModel):
    title: str
    places: dict[str, int] = {}


class LibraryDB(BaseModel):
    users: dict[str, Member]
    copies: dict[str, Copy]


class Library(Kit):
    """A toolkit of a benchmark: one database, which its constructor takes."""

    rods_tools: ClassVar[list[str]] = ["-Kit"]

    def __init__(self, db: LibraryDB) -> None:
        self.db = db

    def find_member(self, name: str) -> str:
        """Find a member by name.

        Args:
            name: The name.
        """
        return next(key for key, member in self.db.users.items() if member.name == name)

    def get_copy(self, copy_id: str) -> Copy:
        """Get a copy of a book.

        Args:
            copy_id: Its id.
        """
        return self.db.copies[copy_id]

    def lend(self, user_id: str, place: str) -> list[str]:
        """Lend the copy at a place to a member.

        Args:
            user_id: The member.
            place: Where the copy stands.
        """
        found = next(key for key, each in self.db.copies.items() if place in each.places)
        self.db.users[user_id].loans.append(found)
        return self.db.users[user_id].loans
