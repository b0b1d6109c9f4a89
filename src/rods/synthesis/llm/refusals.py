"""Answers that are refused and written again: each new try shows the refused ones and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from rods.synthesis.failures import Kind, SynthesisError

T = TypeVar("T", str, list[str])
Refusals = list[tuple[str, str]]
"""The words of each refused try, and what is wrong with them. They make every prompt another."""
UNREADABLE = "(nothing that could be read)"


class Complaint(NamedTuple):
    """A fault of an answer.

    Attributes:
        why: its name in the funnel.
        text: what the model is shown.
        kind: the type of failure.
    """

    why: str
    text: str
    kind: Kind = Kind.QUERY


def accepted(
    tries: int,
    write: Callable[[Refusals], T],
    examined: Callable[[T, Refusals], Complaint | None],
) -> T:
    """The first answer that is not refused.

    Args:
        write: asks the model, given what was refused so far.
        examined: the fault of an answer.

    Raises:
        SynthesisError: all tries were refused; it names the fault of the last one. Or the model
            could not be asked.
    """
    refused: Refusals = []
    failure = SynthesisError(Kind.PIPELINE, "no try")
    for _ in range(tries):
        words = UNREADABLE
        try:
            made = write(refused)
            words = made if isinstance(made, str) else " | ".join(made)
            found = examined(made, refused)
            if found is None:
                return made
            failure = SynthesisError(found.kind, f"{found.text}: {words}", why=found.why)
            refused.append((words, found.text))
        except SynthesisError as error:
            if error.kind is Kind.MODEL:
                raise
            failure = error
            said = error.detail if words == UNREADABLE else "no verdict on it could be read"
            refused.append((words, said))
    raise failure
