"""The fixed order of an epoch's tasks.

numpy shuffles, since that takes a fifth of the time of `random.shuffle` at a million tasks. It uses
`RandomState`, whose stream is the same in all versions of numpy (NEP 19).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from rods.curriculum.pool import Pool

LEAST = 0.05  # added to each priority; that of a group is 1 at most


def sample(pool: Pool, size: int, categories: frozenset[str], index: int, rng: Random) -> list[str]:
    """Task ids of an epoch in random order, for a whole number of steps of `size` tasks.

    Tasks that do not fill a last step are left out. These are tasks that were seen in the epoch
    before, so none is left out twice in a row. A pool smaller than a step is repeated.

    Args:
        categories: only these are drawn, if the pool has any task of them.
        index: the epoch.

    Raises:
        ValueError: the pool is empty.
    """
    ids = _shuffled(_eligible(pool, categories), rng)
    while len(ids) < size:
        ids += ids
    over, place = len(ids) % size, len(ids)
    while over and place:
        place -= 1
        if pool.entries[ids[place]].seen == index - 1:
            del ids[place]
            over -= 1
    return ids[: len(ids) - over] if over else ids


def sample_by_priority(
    pool: Pool,
    size: int,
    categories: frozenset[str],
    rng: Random,
    priority: Callable[[str], float],
) -> list[str]:
    """Task ids of an epoch drawn with replacement, for a whole number of steps of `size` tasks.

    An epoch is as long as one that has each task once.

    Args:
        priority: of a task, in [0, 1]; `LEAST` is added, so that each task is drawn at times.

    Raises:
        ValueError: the pool is empty.
    """
    ids = _eligible(pool, categories)
    weights = np.array([priority(task_id) + LEAST for task_id in ids])
    drawn = np.random.RandomState(rng.getrandbits(32)).choice(
        len(ids), max(1, len(ids) // size) * size, p=weights / weights.sum()
    )
    return [ids[place] for place in drawn]


def _eligible(pool: Pool, categories: frozenset[str]) -> list[str]:
    """The live tasks of these categories; if none is live, the seed tasks that rest."""
    if not pool.entries:
        raise ValueError("the pool is empty")
    if categories.isdisjoint(pool.size):
        categories = frozenset(pool.size)
    if categories >= pool.size.keys() and pool.live:
        return list(pool.live)
    if live := [i for i, e in pool.live.items() if e.category in categories]:
        return live
    originals = {i: e for i, e in pool.entries.items() if not e.generated}
    resting = [i for i, e in originals.items() if e.category in categories]
    return resting or list(pool.live) or list(originals)


def _shuffled(ids: list[str], rng: Random) -> list[str]:
    order = np.array(ids, dtype=object)
    np.random.RandomState(rng.getrandbits(32)).shuffle(order)
    found: list[str] = order.tolist()
    return found
