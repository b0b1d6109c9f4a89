"""The core stands alone: no training library is imported, and nothing outer is known."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import rods

SOURCE = Path(rods.__file__).parent
HEAVY = ("torch", "trl", "transformers", "ray")
OUTER = ("engines", "micro", "policies", "report", "simulate", "cli", "run")
SINGLE = [
    "task",
    "made",
    "errors",
    "reward",
    "group",
    "profile",
    "ablation",
    "loop",
    "config",
]
SINGLE += ["grounding", "provenance", "metrics", "scoring", "verify"]
FOLDERS = ("files", "envs", "rollout", "synthesis", "export", "curriculum", "store")


def core() -> dict[str, Path]:
    """Module name -> file."""
    paths = [SOURCE / f"{name}.py" for name in SINGLE]
    paths += [path for folder in FOLDERS for path in sorted((SOURCE / folder).rglob("*.py"))]
    names = [path.relative_to(SOURCE.parent).with_suffix("").parts for path in paths]
    return {".".join(n).removesuffix(".__init__"): p for n, p in zip(names, paths, strict=True)}


def imported(path: Path) -> set[str]:
    """All modules that a file imports anywhere in it, `from a import b` as a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def test_the_core_is_found() -> None:
    modules = core()
    assert {"rods.task", "rods.envs.bfcl", "rods.synthesis", "rods.rollout.runner"} <= set(modules)
    assert all(path.is_file() for path in modules.values())
    assert all((SOURCE / name).is_dir() for name in FOLDERS)


def test_importing_the_core_or_the_simulator_loads_no_training_library() -> None:
    names = [*sorted(core()), "rods.simulate.study", "rods.simulate.page"]
    code = "import importlib, sys\n"
    code += f"for name in {names!r}: importlib.import_module(name)\n"
    code += f"print([m for m in {(*HEAVY, 'pyarrow')!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", "[]")


def test_the_core_knows_nothing_outer() -> None:
    outer = {f"rods.{name}" for name in OUTER}
    wrong = [
        (name, target)
        for name, path in core().items()
        for target in imported(path)
        if any(target == o or target.startswith(f"{o}.") for o in outer)
        or target.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_only_the_engine_knows_the_trainer() -> None:
    users = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if any(target.split(".")[0] in ("trl", "datasets") for target in imported(path))
    }
    assert users == {"engines"}


def test_the_store_knows_nothing_of_who_synthesises_or_trains() -> None:
    outer = {f"rods.{name}" for name in (*OUTER, "synthesis", "loop", "metrics")}
    targets = {t for path in (SOURCE / "store").rglob("*.py") for t in imported(path)}
    assert {".".join(target.split(".")[:2]) for target in targets} & outer == set()


def test_only_the_store_makes_its_queue() -> None:
    users = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if "rods.store.queue.Queue" in imported(path)
    }
    assert users == {"store"}
