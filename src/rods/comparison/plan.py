"""Plan of a comparison: each arm with each random seed, all checked before the first run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rods.comparison.arms import Arms
from rods.config import Config
from rods.errors import UserError
from rods.extras import BENCHMARK, TRAINER, require
from rods.presets import load_config
from rods.processes import module_command, module_variables

MOST_SEEDS = 1000
THREADS = "OMP_NUM_THREADS"
RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One run of `rods train`.

    Attributes:
        arm: its name in the comparison.
        settings: all its `--set`, the comparison's first.
        config: what they configure, with the preset, the arm of `rods train` and the random seed.
        folder: of the run.
    """

    arm: str
    settings: tuple[str, ...]
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        """Unique among the runs of a comparison."""
        return f"{self.arm}-{self.config.seed}"

    @property
    def values(self) -> dict[str, Any]:
        """All settings but those that a compact result has beside them; see `shared_values`."""
        return shared_values(self.config.model_dump(mode="json"))

    @property
    def log(self) -> Path:
        """The file of what the run prints."""
        return self.folder.with_name(f"{self.name}.log")

    def arguments(self, folder: Path) -> list[str]:
        """Of `rods`, for a run in this folder."""
        config = self.config
        named = ["train", "--run", str(folder), "--preset", config.preset]
        named += ["--arm", config.arm, "--seed", str(config.seed)]
        return [*named, *(part for one in self.settings for part in ("--set", one)), "--json"]

    def command(self) -> list[str]:
        """The command of its process."""
        return module_command("rods", self.arguments(self.folder))

    def line(self) -> str:
        """The same command for a shell in the comparison's folder: the same on all machines."""
        own = self.arguments(Path(self.folder.parent.name, self.folder.name))
        return f"{THREADS}={threads()} {shlex.join(['rods', *own])}"


@dataclass(frozen=True)
class Plan:
    """The runs of a comparison.

    Attributes:
        overrides: settings of all arms, as `key=value`.
        arms: those that this call runs.
        runs: whole seeds first.
    """

    preset: str
    overrides: tuple[str, ...]
    arms: Arms
    runs: tuple[PlannedRun, ...]


def plan(
    preset: str, overrides: Sequence[str], arms: Arms, seeds: Sequence[int], out: Path
) -> Plan:
    """The runs of the arms with each random seed, in subfolders of `out`.

    Raises:
        UserError: a configuration is not accepted, a package is missing, or nothing held out is
            measured.
    """
    runs = []
    for seed in seeds:
        for name, setup in arms.items():
            settings = (*overrides, *setup.set)
            try:
                config = load_config(preset, settings, seed=seed, arm=setup.arm)
            except UserError as error:
                raise UserError(f"arm {name}: {error}") from None
            if config.evaluation.tasks == 0:
                raise UserError(f"arm {name}: evaluation.tasks: must not be 0 to be compared")
            require(*TRAINER, *BENCHMARK, *config.policy.packages)
            folder = out / "runs" / f"{name}-{seed}"
            runs.append(PlannedRun(name, settings, config, folder))
    return Plan(preset, tuple(overrides), arms, tuple(runs))


def shared_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are the same in all runs of an arm.

    Args:
        config: of a run, as plain data. It may have the version of rods.
    """
    return {key: value for key, value in config.items() if key not in ("rods", "preset", "seed")}


def read_seeds(text: str) -> list[int]:
    """The random seeds that a text such as "0,1,2" or "0-4" names.

    Raises:
        UserError: it is written otherwise, names a seed twice, or more than `MOST_SEEDS`.
    """
    found: list[int] = []
    for part in text.split(","):
        if not (match := RANGE.fullmatch(part.strip())):
            raise UserError(f"--seeds {text}: write whole numbers, such as 0,1,2 or 0-4")
        first = int(match[1])
        last = int(match[2] or first)
        if last < first or last - first >= MOST_SEEDS:
            raise UserError(f"--seeds {text}: {part} must rise, by less than {MOST_SEEDS}")
        found += range(first, last + 1)
    if len(set(found)) < len(found) or len(found) > MOST_SEEDS:
        raise UserError(f"--seeds {text}: name each seed once, at most {MOST_SEEDS}")
    return found


def threads() -> int:
    """Threads of each run: `OMP_NUM_THREADS`, or 1 if it is not set or is no number."""
    text = os.environ.get(THREADS, "")
    return max(1, int(text)) if text.isdecimal() else 1


def default_workers() -> int:
    """Runs at once: the CPUs of this process by the threads of a run."""
    usable = getattr(os, "sched_getaffinity", None)
    cpus = len(usable(0)) if usable else os.cpu_count() or 1
    return max(1, cpus // threads())


def variables() -> dict[str, str]:
    """The environment of a run's process."""
    return {**module_variables(), THREADS: str(threads())}
