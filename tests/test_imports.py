"""The core stands alone: no training library is imported, and nothing outer is known."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import rods

SOURCE = Path(rods.__file__).parent
HEAVY = ("torch", "trl", "transformers", "ray")
OUTER = ("trainers", "micro", "policies", "report", "simulate", "cli", "run")
SINGLE = [
    "task",
    "job_result",
    "errors",
    "imports",
    "reward",
    "group",
    "profile",
    "ablation",
    "loop",
    "config",
]
SINGLE += ["provenance", "metrics", "scoring", "cache", "history", "policies/registry"]
FOLDERS = ("files", "curriculum", "envs", "rollout", "synthesis", "export", "store")
REGISTRY = "rods.policies.registry"


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


def test_importing_the_core_the_simulator_or_the_comparison_loads_no_training_library() -> None:
    names = [*sorted(core()), "rods.simulate.study", "rods.simulate.page"]
    names += ["rods.comparison.page", "rods.comparison.running"]
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
    known = {(name, ".".join(target.split(".")[:3])) for name, target in wrong}
    # The configuration reads the settings of a policy through the registry, which for its types
    # names the tasks.
    assert known == {("rods.config", REGISTRY), (REGISTRY, "rods.policies.tasks")}


def test_only_the_registry_knows_the_micro_policy() -> None:
    def names(path: Path) -> set[str]:
        tree = ast.walk(ast.parse(path.read_text("utf-8")))
        return {str(node.value) for node in tree if isinstance(node, ast.Constant)}

    users = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if any("rods.micro" in name for name in imported(path) | names(path))
        and path.relative_to(SOURCE).parts[0] != "micro"
    }
    assert users == {"policies/registry.py"}


def test_only_the_trainers_know_trl() -> None:
    users = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if any(target.split(".")[0] in ("trl", "datasets") for target in imported(path))
    }
    assert users == {"trainers"}


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
