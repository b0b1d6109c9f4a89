"""Gates on meaning: a task is one that a person would give. docs/meaning.md explains the notions.

What the seed tasks show is needed for three of them; without it these refuse nothing.
"""

from __future__ import annotations

from rods.synthesis.case import Case
from rods.synthesis.meaning.references import ambiguous_references
from rods.synthesis.meaning.undoing import undone_steps


def of_one_record(case: Case) -> bool:
    """Arguments that the seed tasks take from one record come from one record."""
    return case.learned is None or not case.learned.records.mixed(case)


def equalities_hold(case: Case) -> bool:
    """The start state keeps the equalities of the seed tasks' start states."""
    return case.learned is None or not case.learned.equalities.broken(case.start)


def in_range(case: Case) -> bool:
    """Every number is one that its schema, its document, the data or the seed tasks show."""
    return case.learned is None or not case.learned.ranges.outside(case)


def references_are_clear(case: Case) -> bool:
    """Words that refer to a value could mean no other value that was shown or used before."""
    return not ambiguous_references(case)


def nothing_undone(case: Case) -> bool:
    """No step of a turn undoes an earlier one of the same turn."""
    return not undone_steps(case)
