"""Checks of the installation and of a run folder (`rods doctor`)."""

from __future__ import annotations

import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path

from pydantic import ValidationError

from rods.config import Config
from rods.curriculum.audit import faults
from rods.curriculum.pool import fold
from rods.errors import UserError, first_problem
from rods.extras import BENCHMARK, COMMANDS, TRAINER, distribution, installed
from rods.store.account import count_of
from rods.store.store import Store

MOST = 5  # faults that are shown
Finding = tuple[str, bool, str]


def check(run: Path | None = None) -> list[Finding]:
    """The findings, each a tuple: what was checked, whether it passed, and details.

    Args:
        run: a run folder to check too.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    findings = [("python", sys.version_info >= (3, 11), version)]
    for name in (*TRAINER, *BENCHMARK):
        found = installed(name)
        detail = found or f"not installed: {COMMANDS[name]}"
        findings.append((distribution(name), found is not None, detail))
    findings.append(_benchmark())
    free = shutil.disk_usage(Path.cwd()).free // 10**6
    findings.append(("disk", free > 500, f"{free} MB free"))
    if run is not None:
        findings += _run(run)
    return findings


def _benchmark() -> Finding:
    try:
        from rods.envs.bfcl_data import benchmark_tasks, tool_specs

        return ("benchmark", True, f"{len(benchmark_tasks())} tasks, {len(tool_specs())} tools")
    except UserError as error:
        return ("benchmark", False, str(error))


def _run(folder: Path) -> list[Finding]:
    """Whether the stored rows are undamaged, and the pool's history keeps all limits."""
    store = Store(folder, role="reader")
    try:
        with store.snapshot():  # a trainer may write while the tables are read one after the other
            return _whole(store)
    except ValidationError as error:
        problem = first_problem(error)
        return [("config", False, f"written by another version of rods: {problem}")]
    finally:
        store.close()


def _whole(store: Store) -> list[Finding]:
    store.check()
    tasks = store.tasks()
    stored = {k: v for k, v in (store.meta("config") or {}).items() if k != "rods"}
    policy: list[Finding] = []
    try:
        config = Config.model_validate(stored)
    except UserError as error:  # of the kind of policy, which no other check needs
        policy = [("policy", False, str(error))]
        config = Config.model_validate({k: v for k, v in stored.items() if k != "policy"})
    return [
        *policy,
        ("tasks", True, f"{len(tasks)} stored, each matches its id"),
        *_history(store, config),
        *_queues(store, inline=config.synthesis.mode == "inline"),
    ]


def _history(store: Store, config: Config) -> list[Finding]:
    categories, epochs = store.categories(), store.epochs.all()
    trained: dict[int, list[str]] = defaultdict(list)
    for group in store.iter_groups():
        trained[group.step].append(group.task_id)
    events, ends = store.iter_events(), store.epochs.ends()
    found = list(faults(events, categories, epochs, trained, config, ends))
    if found:
        more = [f"and {len(found) - MOST} more faults"] * (len(found) > MOST)
        return [("history", False, fault) for fault in (*found[:MOST], *more)]
    pool = fold(store.iter_events(), categories)
    states = Counter(entry.state for entry in pool.entries.values())
    states_shown = ", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "empty"
    return [
        ("pool", True, f"{states_shown}; its events keep every limit"),
        ("epochs", True, f"{len(epochs)} drawn, {sum(map(len, trained.values()))} groups trained"),
    ]


def _errors(store: Store) -> Finding:
    """Refused attempts are normal in synthesis; an exception means that a part of it is broken."""
    errors = store.queue.errors()
    if errors is None:
        return ("synthesis", True, "no job ended in an error")
    shows = "`rods report` shows its traceback"
    return ("synthesis", False, f"{count_of(errors)}: {errors.first.line}; {shows}")


def _queues(store: Store, *, inline: bool) -> list[Finding]:
    """Each candidate matches its id, and each injected task is a candidate. Each choice of a parent
    task has its job, and each job's task is stored.

    Args:
        inline: the trainer's rollback removes jobs too. A worker's jobs remain after a rollback, so
            some of them may belong to no choice.
    """
    queue, found = store.queue, defaultdict[str, set[tuple[str, int]]](set)
    for event in store.iter_events():
        found[event.kind].add((event.task_id, event.step))
    candidates = {task.id for task in queue.candidates()}
    wrong = {task_id for task_id, _ in found["injected"]} - candidates
    jobs, chosen = set(store.jobs()), found["chosen"]
    known = candidates | set(store.categories())
    lost = [task_id for task_id, _ in jobs if task_id not in known]
    apart = chosen ^ jobs if inline else chosen - jobs
    outcomes = ", ".join(f"{n} {outcome or 'open'}" for outcome, n in queue.outcomes().items())
    made = f"{len(candidates)} made, each matches its id"
    missing = f"; {len(wrong)} that were injected are missing"
    faults = f"; {len(lost)} of lost tasks" * bool(lost)
    faults += f"; {len(apart)} differ from the choices that the events name" * bool(apart)
    return [
        _errors(store),
        ("candidates", not wrong, made + missing * bool(wrong)),
        ("jobs", not faults, (outcomes or "none") + faults),
    ]
