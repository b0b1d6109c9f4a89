"""Tasks of a file word for word, drawn at random, as Markdown for a reader.

python benchmarks/verbatim.py made.jsonl --count 20 --seed 0
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from rods.errors import UserError
from rods.files.tasks import read_tasks
from rods.task import Call, Task


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="tasks as rods synth --out writes them")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        tasks = read_tasks(args.file)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    drawn = random.Random(args.seed).sample(tasks, min(args.count, len(tasks)))
    print("\n".join(line for number, task in enumerate(drawn, 1) for line in shown(number, task)))
    return 0


def shown(number: int, task: Task) -> list[str]:
    """The lines of a task: its words and calls by turn."""
    made = f"variant of `{task.parent}`" if task.parent else task.note
    lines = [f"**{number}.** {task.category}, {made}", ""]
    for turn in task.turns:
        released = f" (restores {', '.join(turn.restores)})" if turn.restores else ""
        words = " ".join(turn.user.split()) or "(no words)"
        lines.append(f"- {words}{released}")
        lines += [f"  - `{written(call)}`" for call in turn.ground_truth]
    return [*lines, ""]


def written(call: Call) -> str:
    """A call as Python writes it."""
    return f"{call.name}({', '.join(f'{n}={v!r}' for n, v in call.arguments.items())})"


if __name__ == "__main__":
    sys.exit(main())
