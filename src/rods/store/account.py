"""The variants that a run made, by their fate, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rods.job_result import Spent
from rods.store.schema import Errors, Fates
from rods.store.store import Store


@dataclass(frozen=True)
class Account:
    """The state so far.

    Attributes:
        seconds: of all synthesis, including jobs without a result.
        spent: model tokens and money of all synthesis.
        errors: jobs that ended in an error; None if none did.
    """

    fates: Fates
    seconds: float
    spent: Spent
    errors: Errors | None = None

    @staticmethod
    def of(store: Store) -> Account:
        """Read it from a run's store. `store.queue.patience` must be set."""
        queue = store.queue
        fates = queue.fates(store.epochs.last_index())
        return Account(fates, queue.seconds(), queue.spent(), queue.errors())

    @property
    def lost(self) -> tuple[float, Spent]:
        """Seconds and cost of the expired candidates, by their share of all candidates."""
        share = self.fates.expired / self.fates.made if self.fates.made else 0.0
        tokens_in, tokens_out, cost = self.spent
        lost = Spent(round(share * tokens_in), round(share * tokens_out), share * cost)
        return share * self.seconds, lost

    def summary(self) -> dict[str, Any]:
        """The account as plain data."""
        seconds, lost = self.lost
        return {
            "candidates": self.fates._asdict(),
            "spent": _plain(self.seconds, self.spent),
            "expired": _plain(seconds, lost),
            "errors": self.errors.jobs if self.errors else 0,
            "first_error": self.errors.first.line if self.errors else "",
        }

    def sentence(self) -> str:
        """The account as sentences; "" if nothing was made or tried."""
        if not (self.fates.made or self.seconds):
            return ""
        made, injected, waiting, expired = self.fates
        text = f"{made:,} variants were made: {injected:,} joined the pool, {waiting:,} wait"
        text += f", {expired:,} expired. It took {_cost(self.seconds, self.spent)}"
        if expired:
            text += f". Of this, expired variants took {_cost(*self.lost)}"
        return f"{text}."


def count_of(errors: Errors) -> str:
    """How many jobs ended in an error, as text."""
    what = "job" if errors.jobs == 1 else "jobs"
    return f"{errors.jobs} {what} ended in an error, the first at step {errors.step}"


def _plain(seconds: float, spent: Spent) -> dict[str, Any]:
    return {"seconds": round(seconds, 1), **spent._replace(cost=round(spent.cost, 6))._asdict()}


def _cost(seconds: float, spent: Spent) -> str:
    text = f"{seconds:,.0f} s"
    if spent.tokens_in or spent.tokens_out:
        text += f", {spent.tokens_in:,} tokens read and {spent.tokens_out:,} written by the model"
    return text + f" (cost {spent.cost:,.2f})" * bool(spent.cost)
