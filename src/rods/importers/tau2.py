"""Tasks of tau2-bench as a task file.

A task has one turn: what the simulated user knows and wants, and the reference calls of the agent.
The benchmark gives all tasks of a domain one database of several megabytes, which would be read for
every verdict. A task starts with the part of it that its calls need: the records that the calls and
their responses name, what these refer to, and two more people with what is theirs. The reference
calls give the same responses there as in the whole database.

Reference calls that fail are dropped, as a failed call changes nothing. Tasks without another
reference call are left out, since it is not known which reads are right in them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rods.envs.base import Environment, Observation, Work
from rods.errors import UserError, shown
from rods.files.plain_data import ReadError
from rods.files.reading import parse_json, read_text
from rods.importers.imported import Imported
from rods.task import BASE, Call, Task, Turn

STRANGERS = 2  # people in a start state with whom the calls have nothing to do
HOPS = 3  # references that are followed at most
PEOPLE = "users"  # the collection that strangers are drawn of
NAME = re.compile(r"[#\w-]+")
MOST_TEXT = 20_000  # of the texts of a task
LARGE = 100_000_000  # bytes of a database

Database = dict[str, dict[str, Any]]  # {collection: {key: record}}
Place = tuple[str, str]  # collection and key of a record


class Domain(NamedTuple):
    """What the files of a domain hold."""

    policy: str
    database: Database
    tasks: list[dict[str, Any]]


def read_domain(clone: Path, name: str) -> Domain:
    """The files of a domain in a clone of tau2-bench.

    Raises:
        UserError: one is missing, or is not as expected.
    """
    folder = clone / "data" / "tau2" / "domains" / name
    if not folder.is_dir():
        there = sorted(p.name for p in folder.parent.iterdir()) if folder.parent.is_dir() else []
        raise UserError(f"--domain {name}: {folder} is no folder; there are {', '.join(there)}")
    found: dict[str, Any] = {}
    for file in ("db.json", "tasks.json"):
        try:
            found[file] = parse_json(read_text(folder / file, LARGE))
        except ReadError as error:
            raise UserError(f"{folder / file}: {error}") from None
    database, tasks = found["db.json"], found["tasks.json"]
    if not isinstance(tasks, list) or not _collections(database):
        raise UserError(f"{folder}: not the files of a domain of tau2-bench")
    return Domain(read_text(folder / "policy.md"), database, tasks)


def import_tasks(domain: Domain, name: str, env: Environment) -> Imported:
    """The tasks of a domain for an environment with its toolkit.

    Args:
        name: of the domain, for the tasks' ids.
        env: has one class, the toolkit, whose attribute `db` is the database.

    Raises:
        UserError: the environment has several classes.
    """
    if len(env.classes) != 1:
        raise UserError(f"environment {env.name}: name the toolkit of the domain alone")
    (owner,) = env.classes
    made = Imported([{"system": domain.policy.strip()}])
    part = _Part(domain.database, env, owner)
    for task in domain.tasks:
        known = str(task.get("id"))
        calls, failed = part.usable(_calls(task))
        if failed:
            made.dropped[known] = failed
        if not calls:
            made.left_out[known] = "no reference call"
            continue
        start = part.start(calls, random.Random(known))
        if start is None:
            made.left_out[known] = "no part of the database gives the same responses"
            continue
        turn = {"user": _wants(task), "calls": [call.model_dump() for call in calls]}
        entry = {"id": f"{name}_{known}", "start": {owner: {"db": start}}, "turns": [turn]}
        made.entries.append(entry)
    return made


@dataclass
class _Part:
    """Cuts the part out of a database that calls need."""

    database: Database
    env: Environment
    owner: str

    def __post_init__(self) -> None:
        names: dict[str, list[Place]] = {}
        for collection, records in self.database.items():
            for key, record in records.items():
                for inner in {key, *_keys(record)}:
                    names.setdefault(inner, []).append((collection, key))
        self._of_name = {n: places[0] for n, places in names.items() if len(places) == 1}

    def usable(self, calls: list[Call]) -> tuple[list[Call], list[str]]:
        """The calls that succeed in the whole database, and the others with their errors."""
        seen = self._observations(self.database, calls) if calls else []
        pairs = list(zip(calls, seen, strict=True))
        failed = [
            f"{call.name}: {shown(answer.text, 160)}" for call, answer in pairs if not answer.ok
        ]
        return [call for call, answer in pairs if answer.ok], failed

    def start(self, calls: list[Call], rng: random.Random) -> Database | None:
        """The start state of a task with these calls; None if no part gives the same responses."""
        whole = self._observations(self.database, calls)
        texts = [*(answer.text for answer in whole), *(json.dumps(c.arguments) for c in calls)]
        needed = set(self._named(texts))
        for _ in range(HOPS + 1):
            if self._same(needed, calls, whole):
                break
            needed |= self._referred(needed)
        else:
            return None
        people = sorted(self.database.get(PEOPLE, {}))
        strangers = {(PEOPLE, key) for key in rng.sample(people, min(STRANGERS, len(people)))}
        more = needed | strangers | self._referred(strangers)
        more |= self._referred(more)
        return self._cut(more if self._same(more, calls, whole) else needed)

    def _same(self, places: Iterable[Place], calls: list[Call], whole: list[Observation]) -> bool:
        return self._observations(self._cut(places), calls) == whole

    def _cut(self, places: Iterable[Place]) -> Database:
        found: Database = {collection: {} for collection in self.database}
        for collection, key in sorted(places):
            found[collection][key] = self.database[collection][key]
        return found

    def _observations(self, database: Database, calls: list[Call]) -> list[Observation]:
        start: dict[str, Any] = {self.owner: {"db": database}}
        task = Task(
            category=BASE, classes=(self.owner,), start=start, turns=(Turn(user="-"),),
            environment=self.env.name,
        )  # fmt: skip
        with closing(self.env.open(task)) as session:
            (outcome,) = self.env.execute([Work(session, calls)])
        if outcome.lost:
            raise UserError(outcome.lost)
        return list(outcome.observations)

    def _named(self, texts: Iterable[str]) -> Iterator[Place]:
        for text in texts:
            for name in NAME.findall(text):
                if name in self._of_name:
                    yield self._of_name[name]

    def _referred(self, places: Iterable[Place]) -> set[Place]:
        """The records that these name."""
        return set(self._named(json.dumps(self.database[c][key]) for c, key in places))


def _collections(database: Any) -> bool:
    return isinstance(database, dict) and all(isinstance(v, dict) for v in database.values())


def _keys(record: Any) -> Iterator[str]:
    """The keys of mappings within a record, such as the variants of a product."""
    for inner in record.values() if isinstance(record, dict) else ():
        if isinstance(inner, dict):
            yield from inner


def _calls(task: dict[str, Any]) -> list[Call]:
    actions = (task.get("evaluation_criteria") or {}).get("actions") or []
    mine = [a for a in actions if a.get("requestor", "assistant") == "assistant"]
    return [Call(name=a["name"], arguments=a.get("arguments") or {}) for a in mine]


def _wants(task: dict[str, Any]) -> str:
    """What the user knows and wants."""
    told = (task.get("user_scenario") or {}).get("instructions") or ""
    if isinstance(told, dict):
        told = " ".join(filter(None, (told.get("known_info"), told.get("reason_for_call"))))
    return str(told)[:MOST_TEXT]
