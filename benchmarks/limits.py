"""Faulty tasks that code cannot tell: only who understands the words sees what is wrong."""

from __future__ import annotations

import random

from edits import Materials, failing, places, visible, with_calls, with_turns
from mutations import Mutant, Mutation
from rods.task import Call, Task


def unasked_read(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A call without arguments more, which shows something new and changes nothing.

    Faulty since the reward wants its answer and nobody asks for it.
    """
    used = {call.name for call in task.calls}
    free = sorted(n for n, t in m.world.env.tools(task).items() if not t.required and n not in used)
    filled = [i for i, turn in enumerate(task.turns) if turn.ground_truth]
    if not free:
        return None
    index, extra = rng.choice(filled), Call(name=rng.choice(free))
    mutant = with_calls(task, index, [*task.turns[index].ground_truth, extra])
    gold, old = m.trace(mutant), m.trace(task)
    if gold is None or old is None or failing(mutant, gold) or gold.states != old.states:
        return None
    if gold.responses[index][-1] in [text for row in old.responses for text in row]:
        return None
    return Mutant(m.refreshed(mutant), f"turn {index}: {extra}")


def exchanged_values(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """Two arguments of one call have each other's values.

    Faulty since the turn's words say both, each in its place, and the other order leads elsewhere.
    """
    found = places(task)
    pairs = [
        (one, two)
        for one in found
        for two in found
        if one[:2] == two[:2] and one.name < two.name and type(one.leaf) is type(two.leaf)
        if one.leaf != two.leaf and visible(one.leaf, task.turns[one.turn].user)
        if visible(two.leaf, task.turns[one.turn].user)
    ]
    if not pairs:
        return None
    one, two = rng.choice(pairs)
    calls = list(task.turns[one.turn].ground_truth)
    arguments = dict(calls[one.call].arguments)
    arguments[one.name], arguments[two.name] = arguments[two.name], arguments[one.name]
    calls[one.call] = Call(name=calls[one.call].name, arguments=arguments)
    return _elsewhere(task, with_calls(task, one.turn, calls), m, f"{calls[one.call]}")


def swapped_reads(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """Two turns' calls without arguments have changed places.

    Faulty since either turn's words ask for what the other does.
    """
    plain = [
        i
        for i, turn in enumerate(task.turns)
        if turn.user and turn.ground_truth and not any(c.arguments for c in turn.ground_truth)
    ]
    if len(plain) < 2:
        return None
    i, j = sorted(rng.sample(plain, 2))
    turns = list(task.turns)
    one, two = turns[i].ground_truth, turns[j].ground_truth
    turns[i] = turns[i].model_copy(update={"ground_truth": two})
    turns[j] = turns[j].model_copy(update={"ground_truth": one})
    return _elsewhere(task, with_turns(task, turns), m, f"ground truths of {i} and {j}")


LIMITS: dict[str, Mutation] = {
    "a read that nobody asks for": unasked_read,
    "two values exchanged": exchanged_values,
    "two turns' reads swapped": swapped_reads,
}


def _elsewhere(task: Task, mutant: Task, m: Materials, what: str) -> Mutant | None:
    """The mutant, if it runs and does something else."""
    gold, old = m.trace(mutant), m.trace(task)
    if gold is None or old is None or failing(mutant, gold) or gold.record == old.record:
        return None
    return Mutant(m.refreshed(mutant), what)
