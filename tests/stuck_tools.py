"""Tools that hang for some values, and a state that is slow to read."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass
class Lock:
    open: bool = False
    visits: list[str] = field(default_factory=list)


class Gates:
    """Gates whose check hangs for a gate that does not exist, and for some words."""

    def __init__(self) -> None:
        self.gates: dict[str, Lock] = {}
        self.words: dict[str, str] = {}

    async def check_gate(self, gate: str) -> dict[str, int]:
        """Check a gate.

        Args:
            gate: Its name.

        Returns:
            How often it was opened.
        """
        while gate not in self.gates:
            await asyncio.sleep(0)
        return {"visits": len(self.gates[gate].visits)}

    def open_gate(self, gate: str, minutes: int) -> dict[str, int]:
        """Open a gate for some minutes.

        Args:
            gate: Its name.
            minutes: How long.

        Returns:
            For how long.
        """
        self.gates.setdefault(gate, Lock()).open = True
        self.gates[gate].visits.append(str(minutes))
        return {"minutes": minutes}


class Always:
    """Works with one number in each start state and hangs with all others."""

    def __init__(self) -> None:
        self.number = self.right = 0

    def set_number(self, number: int) -> dict[str, int]:
        """Set the number.

        Args:
            number: Which.

        Returns:
            The number.
        """
        while number != self.right:
            pass
        self.number = number
        return {"number": number}


class Slow:
    """Its state takes long to read."""

    def get_state(self) -> dict[str, str]:
        time.sleep(0.4)
        return {"name": "hall"}

    def get_name(self, number: int) -> dict[str, int]:
        """Get the name with a number.

        Args:
            number: Which.

        Returns:
            The number.
        """
        return {"number": number}
