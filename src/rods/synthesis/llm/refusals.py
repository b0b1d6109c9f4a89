"""Answers that are refused and written again: each new try shows the refused ones and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from rods.synthesis.failures import Kind, SynthesisError

T = TypeVar("T", str, list[str])
UNREADABLE = "(nothing that could be read)"


class Refusal(NamedTuple):
    """A refused try.

    Attributes:
        complaint: what the model is shown of its fault.
        why: the fault's name in the funnel, if it is one of the words.
    """

    words: str
    complaint: str
    why: str = ""


Refusals = list[Refusal]
"""They make every prompt another."""


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
            refused.append(Refusal(words, found.text, found.why))
        except SynthesisError as error:
            if error.kind is Kind.MODEL:
                raise
            failure = error
            said = error.detail if words == UNREADABLE else "no verdict on it could be read"
            refused.append(Refusal(words, said))
    raise failure
