"""How many planted reads the notion "read for nothing" finds.

    rods synth --count 2000 --seed 1 --out made.jsonl
    python benchmarks/planted_reads.py made.jsonl --each 300 --most 800
    python benchmarks/planted_reads.py made.jsonl --env package.module:Class --tasks seeds.yaml

A planted read is found if it is among the places at fault, whatever else is.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edits import Materials, failing, with_calls
from gate_mutations import mutants
from limits import LIMITS
from mutations import Mutant, Mutation
from rods.envs.base import Environment
from rods.files.tasks import read_tasks
from rods.flows import spots
from rods.synthesis.inputs import inputs_of
from rods.synthesis.meaning.purpose import reads_for_nothing
from rods.synthesis.meaning.trace import CallTrace
from rods.task import Call, Task

PLANTED = re.compile(r"turn (\d+): ")


def shown_read(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A read more, of a value that only an earlier response of the turn or before it shows.

    No other call takes the value, and some task's call takes it in the same place.
    """
    gold = m.trace(task)
    filled = [i for i, turn in enumerate(task.turns) if turn.ground_truth]
    if gold is None or not filled:
        return None
    index = rng.choice(filled)
    calls = [*_readings(task, m, [text for row in gold.responses[: index + 1] for text in row])]
    if not calls:
        return None
    extra = rng.choice(calls)
    mutant = with_calls(task, index, [*task.turns[index].ground_truth, extra])
    after = m.trace(mutant)
    if after is None or failing(mutant, after) or after.states != gold.states:
        return None
    return Mutant(m.refreshed(mutant), f"turn {index}: {extra}")


def _readings(task: Task, m: Materials, shown: list[str]) -> Iterator[Call]:
    """Calls of tools with one required parameter, by values that were shown and are not used."""
    words = "\n".join(turn.user for turn in task.turns)
    used = {str(call.arguments) for call in task.calls} | {words}
    seen = {v for text in shown for _, v in spots(text) if isinstance(v, str) and len(v) > 2}
    fresh = sorted(v for v in seen if not any(v in text for text in used))
    for name, tool in sorted(m.world.env.tools(task).items()):
        if len(tool.required) == 1:
            known = {str(value) for value in m.values[name, tool.required[0]]}
            yield from (
                Call(name=name, arguments={tool.required[0]: v}) for v in fresh if v in known
            )


KINDS: dict[str, Mutation] = {
    "a read without arguments": LIMITS["a read that nobody asks for"],
    "a read of a shown value": shown_read,
    "two turns' reads swapped": LIMITS["two turns' reads swapped"],
}


def main() -> None:
    """Print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("file", type=Path, help="tasks as rods synth --out writes them")
    parser.add_argument("--env", default="bfcl", help="bfcl, or package.module:Class")
    parser.add_argument("--tasks", type=Path, help="the seed tasks of your own class")
    parser.add_argument("--each", type=int, default=400, help="tasks of each kind")
    parser.add_argument("--most", type=int, default=400, help="tasks of the file that are read")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="print what is not found")
    args = parser.parse_args()
    world = inputs_of(args.env, args.tasks)
    m = Materials(world, [*islice(read_tasks(args.file), args.most)])
    for kind, mutation in KINDS.items():
        made = [*mutants(mutation, m, args.each, random.Random(f"{args.seed} {kind}"))]
        missed = [one for one in made if not is_found(one, world.env)]
        print(f"{kind:<28}{len(made):>6} planted{len(made) - len(missed):>6} found")
        for one in missed if args.verbose else ():
            print(f"  {one.what} | {' | '.join(turn.user for turn in one.task.turns)}")


def is_found(mutant: Mutant, env: Environment) -> bool:
    """Whether the read at the end of the planted turn is at fault; in swapped turns, any read."""
    found = reads_for_nothing(CallTrace(mutant.task, env))
    planted = PLANTED.match(mutant.what)
    if planted is None:
        return bool(found)
    turns = mutant.task.turns[: int(planted[1]) + 1]
    return sum(len(turn.ground_truth) for turn in turns) - 1 in found


if __name__ == "__main__":
    main()
