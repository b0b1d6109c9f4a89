"""Sound tasks that are made faulty in any of eighteen ways are refused; changed harmlessly, not."""

import random
from functools import cache

import pytest

from edits import Materials, failing
from gate_mutations import measure, mutants
from harmless import CHANGES
from limits import LIMITS
from meaning_mutations import MEANING_MUTATIONS, in_everyday_form
from mutations import MUTATIONS, Mutant
from test_synthesis import WORLD, variants

KINDS = MUTATIONS | MEANING_MUTATIONS
HARMLESS = CHANGES | {"everyday form": in_everyday_form}


@cache
def materials() -> Materials:
    return Materials(WORLD, tuple(variants()))


def test_unmutated_they_pass() -> None:
    row = measure(materials(), [Mutant(task, "") for task in variants()])
    assert (row["number"], row["refused"], row["by gate"]) == (len(variants()), 0, {})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_refused(kind: str) -> None:
    made = list(mutants(KINDS[kind], materials(), 2, random.Random(kind)))
    row = measure(materials(), made)
    assert (row["number"], row["refused"], row["got through"]) == (2, 2, [])
    assert sum(row["by gate"].values()) == 2


@pytest.mark.parametrize("change", HARMLESS)
def test_harmless_changes_pass(change: str) -> None:
    rng = random.Random(change)
    made = [HARMLESS[change](task, materials(), rng) for task in variants()]
    row = measure(materials(), [Mutant(task, change) for task in made if task is not None])
    assert row["number"] >= 10 and row["refused"] == 0


@pytest.mark.parametrize("kind", LIMITS)
def test_what_the_gates_cannot_tell_still_runs(kind: str) -> None:
    for mutant in mutants(LIMITS[kind], materials(), 1, random.Random(kind)):
        gold = materials().trace(mutant.task)
        assert gold is not None and not failing(mutant.task, gold)
        assert gold.record == mutant.task.record


def test_equal_draws_make_equal_mutants() -> None:
    for mutation in KINDS.values():
        one, two = (
            [m.task.id for m in mutants(mutation, materials(), 3, random.Random(5))]
            for _ in range(2)
        )
        assert one == two
