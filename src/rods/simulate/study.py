"""A study: several configurations with the same random seeds and budget of trajectories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, get_args

from rods.config import Arm, Config
from rods.errors import UserError
from rods.presets import load_config
from rods.simulate.measures import Point
from rods.simulate.settings import Settings, load_settings, ours
from rods.simulate.simulation import OnStep, ignore, simulate

SEEDS = 20  # random seeds of each configuration
LARGE = 100_000  # groups of a run; from here on one random seed and one arm are the default


class Setup(NamedTuple):
    """A configuration to simulate.

    Attributes:
        name: short; how it differs from the others.
    """

    name: str
    config: Config
    settings: Settings


class Result(NamedTuple):
    """A configuration's curves, one for each random seed."""

    setup: Setup
    curves: list[Sequence[Point]]


@dataclass(frozen=True)
class Study:
    """Configurations, each simulated with the same random seeds and the same budget.

    Attributes:
        seeds: the random seeds.
        trajectories: of each run; those that do not fill a last step are not used.
        window: trajectories between two points of a curve: one pass over the seed tasks.
    """

    setups: Sequence[Setup]
    seeds: Sequence[int]
    trajectories: int
    window: int

    def groups(self) -> int:
        """Number of groups of all runs together."""
        return len(self.seeds) * sum(map(self._groups, self.setups))

    def run(self, on_step: OnStep = ignore) -> Iterator[Result]:
        """Simulate one configuration after the other.

        Args:
            on_step: called after each step with its number of groups.
        """
        for setup in self.setups:
            curves = []
            for seed in self.seeds:
                config = setup.config.model_copy(update={"seed": seed})
                budget = self.trajectories, self.window
                curves.append(simulate(config, setup.settings, *budget, on_step))
            yield Result(setup, curves)

    def _groups(self, setup: Setup) -> int:
        rollout = setup.config.rollout
        steps = self.trajectories // (rollout.tasks_per_step * rollout.group_size)
        return steps * rollout.tasks_per_step


def plan(
    preset: str,
    overrides: Sequence[str] = (),
    sweeps: Sequence[str] = (),
    *,
    arms: Sequence[str] = (),
    steps: int | None = None,
    epochs: int | None = None,
    seeds: int | None = None,
    seed: int = 0,
) -> Study:
    """The study that the options of `rods simulate` describe, with defaults for missing ones.

    Args:
        overrides: `key=value` of the loop's configuration or of the simulation's constants.
        sweeps: `key=value,value`; each arm is simulated with each combination.
        arms: by default static and rods; rods alone in a sweep or a large run.
        steps: training steps; by default the preset's, but at least a pass over the seed tasks.
        epochs: passes over the seed tasks, instead of `steps`.
        seeds: number of random seeds; by default `SEEDS`, or one in a large run.
        seed: the first random seed.

    Raises:
        UserError: no such preset, arm or key, or a value that does not fit.
    """
    if unknown := [arm for arm in arms if arm not in get_args(Arm)]:
        raise UserError(f"--arm {unknown[0]}: choose among {', '.join(get_args(Arm))}")
    if any(sweep.partition("=")[0] == "steps" for sweep in sweeps):
        raise UserError("--sweep steps: all configurations have one budget; see --steps")
    (base,) = _grid(preset, overrides, ["rods"], [])
    step = base.config.rollout.tasks_per_step * base.config.rollout.group_size
    passing = max(1, base.config.pool.seeds // base.config.rollout.tasks_per_step)
    wanted = passing * epochs if epochs else steps or max(base.config.steps, passing)
    large = wanted * base.config.rollout.tasks_per_step > LARGE
    arms = arms or (["rods"] if sweeps or large else ["static", "rods"])
    count = seeds or (1 if large else SEEDS)
    return Study(
        _grid(preset, overrides, arms, sweeps),
        range(seed, seed + count),
        trajectories=wanted * step,
        window=passing * step,
    )


def _grid(
    preset: str, overrides: Sequence[str], arms: Sequence[str], sweeps: Sequence[str]
) -> list[Setup]:
    """Each arm with each combination of the swept values."""
    found = []
    for arm, values in product(arms, product(*map(_values, sweeps))):
        every = (*overrides, *values)
        config = load_config(preset, [v for v in every if not ours(v)], arm=arm)
        settings = load_settings([v for v in every if ours(v)])
        config.check_categories([*settings.world.harder][: config.pool.seeds])
        names = [_short(value) for value in values]
        shown = names if sweeps and len(arms) == 1 else [arm, *names]
        found.append(Setup(" ".join(shown), config, settings))
    return found


def _values(sweep: str) -> list[str]:
    """The overrides of a sweep.

    Raises:
        UserError: it names no values.
    """
    key, _, text = sweep.partition("=")
    values = text.split(",")
    if not key or not all(values):
        raise UserError(f"--sweep {sweep}: write it as key.name=value,value")
    return [f"{key}={value}" for value in values]


def _short(override: str) -> str:
    """An override without the sections of its key."""
    key, _, value = override.partition("=")
    return f"{key.rpartition('.')[2]}={value}"
