"""Axes: their ends, and where their ticks are."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, log10
from typing import NamedTuple

MOST = 6  # ticks, so that their labels fit on a phone
STEPS = (1.0, 2.0, 5.0, 10.0)


def share(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.4g} %"


def percent(value: float) -> str:
    """A share as a percentage with one decimal, for tables."""
    return f"{value:.1%}".replace("%", " %")


def number(value: float) -> str:
    """A number with at most four digits that count; large ones whole."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


class Axis(NamedTuple):
    """An axis.

    Attributes:
        ticks: places with their labels.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def over(
        cls,
        title: str,
        low: float,
        high: float,
        form: Callable[[float], str] = number,
        *,
        most: int = MOST,
        step: float = 0.0,
    ) -> Axis:
        """An axis from `low` to `high` with ticks at round values.

        Args:
            step: between two ticks; 0 for a round one.
        """
        if high <= low:
            high = low + 1.0
        step = step or round_step((high - low) / most)
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        ticks = ((i * step, form(i * step)) for i in range(first, last + 1))
        return cls(title, low, high, tuple(ticks))

    def at(self, value: float) -> float:
        """The place of a value, as a percentage of the axis."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)


def round_step(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is no less than `least`."""
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in STEPS if factor * power >= least * (1 - 1e-9))
