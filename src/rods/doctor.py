"""Checks the installation and, if asked, a run folder (`rods doctor`)."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from pathlib import Path

from pydantic import ValidationError

from rods.boundary import Thresholds, make_rule
from rods.config import Config
from rods.errors import UserError
from rods.pool import Pool
from rods.store import Store

Finding = tuple[str, bool, str]


def check(run: Path | None = None) -> list[Finding]:
    """(what, fine, detail) for each check."""
    version = ".".join(map(str, sys.version_info[:3]))
    findings = [("python", sys.version_info >= (3, 11), version)]
    for package in ("torch", "transformers", "trl", "datasets", "bfcl-eval"):
        try:
            findings.append((package, True, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            hint = (
                "pip install --no-deps bfcl-eval==2026.3.23"
                if "bfcl" in package
                else "make install"
            )
            findings.append((package, False, f"not installed: {hint}"))
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
    """Whether the stored events make a pool, and every stored task is what its id says."""
    store = Store(folder, writer=False)
    try:
        store.check()
        tasks = store.tasks()
        stored = {k: v for k, v in (store.meta("config") or {}).items() if k != "rods"}
        config = Config.model_validate(stored)
        limits = Thresholds(config.boundary.low, config.boundary.high)
        pool = Pool(config.pool, make_rule(config.boundary.rule, limits))
        injected = [e.task_id for e in store.events() if e.kind == "injected"]
        for event in store.events():
            if event.kind != "closed":
                pool.apply(event, tasks[event.task_id])
        order = [i for _, _, ids in store.epochs() for i in ids]
        lost = [i for i in order if i not in tasks]
        return [
            ("tasks", True, f"{len(tasks)} stored, each matches its id"),
            ("events", len(injected) == len(set(injected)), f"{len(injected)} injected, once each"),
            ("epochs", not lost, f"{len(store.epochs())} drawn, {len(lost)} tasks lost"),
            ("pool", True, f"{len(pool.live())} active, {sum(pool.retired.values())} retired"),
        ]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "configuration"
        return [("config", False, f"written by another version of rods: {where}: {first['msg']}")]
    except KeyError as error:
        return [("events", False, f"an event names a task that is not stored: {error}")]
    finally:
        store.close()
