"""Compares our verdicts on episodes of tau2-bench with the benchmark's own check of the database.

That check replays the calls of an episode and the reference calls in the whole database of the
domain and compares the toolkit's hashes of both. Episodes are lines as `rods score` reads them;
without a file the reference calls of each task are played, whole and with the last one left out.

    python benchmarks/tau2_database.py tau2-bench retail retail.jsonl [episodes.jsonl]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from rods.envs.base import Environment, Work
from rods.envs.load import load_environment
from rods.envs.notation import parse_calls, read_objects
from rods.envs.task_file import read_task_file
from rods.importers.tau2 import Database, read_domain
from rods.reward import progress
from rods.scoring import score
from rods.task import Call, Task, ToolSpec

HASH = Call(name="get_db_hash")  # of the toolkit
Turns = Sequence[Sequence[Call]]


def database_hash(env: Environment, database: Database, task: Task, calls: Sequence[Call]) -> str:
    """The toolkit's hash of the whole database after some calls."""
    (owner,) = env.classes
    whole = task.model_copy(update={"start": {owner: {"db": database}}})
    with closing(env.open(whole)) as session:
        (outcome,) = env.execute([Work(session, [*calls, HASH])])
    return outcome.observations[-1].text


def references(tasks: Sequence[Task]) -> Iterator[tuple[Task, Turns]]:
    """The reference calls of each task, and those without the last one."""
    for task in tasks:
        (turn,) = task.turns
        yield task, [turn.ground_truth]
        yield task, [turn.ground_truth[:-1]]


def logged(path: Path, tasks: Sequence[Task], env: Environment) -> Iterator[tuple[Task, Turns]]:
    """The episodes of a file."""
    known = {task.label: task for task in tasks}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        task = known[row["task"]]
        tools = env.tools(task)
        read = partial(_read, tools=tools)
        yield task, [[call for found in map(read, turn) for call in found] for turn in row["turns"]]


def _read(written: Any, tools: Mapping[str, ToolSpec]) -> tuple[Call, ...]:
    texts = isinstance(written, str)
    return parse_calls(written, tools) if texts else read_objects([written], tools)


def main() -> None:
    """Print how often both agree."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clone", type=Path)
    parser.add_argument("domain", choices=("retail", "airline"))
    parser.add_argument("tasks", type=Path)
    parser.add_argument("episodes", type=Path, nargs="?")
    given = parser.parse_args()
    name = f"tau2_toolkits:{given.domain.capitalize()}"
    env, whole = load_environment(name), load_environment(f"{name}[]")
    database, tasks = (
        read_domain(given.clone, given.domain).database,
        read_task_file(given.tasks, env),
    )
    played = logged(given.episodes, tasks, env) if given.episodes else references(tasks)
    counts = Counter[tuple[bool, bool]]()
    for task, turns in played:
        ours = progress(score(task, env, turns), len(task.turns)) == 1.0
        hashes = {
            database_hash(whole, database, task, calls)
            for calls in (task.calls, [call for turn in turns for call in turn])
        }
        counts[ours, len(hashes) == 1] += 1
    for (ours, theirs), count in sorted(counts.items(), reverse=True):
        verdict, same = "complete" if ours else "not complete", "equal" if theirs else "different"
        print(f"{count:4} {verdict}, database {same}")


if __name__ == "__main__":
    main()
