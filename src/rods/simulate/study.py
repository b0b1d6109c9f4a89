"""Several configurations over several seeds, each with the same budget of trajectories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, get_args

from rods.config import Arm, Config, load_config
from rods.errors import UserError
from rods.simulate.measures import Point
from rods.simulate.settings import Settings, load_settings, ours
from rods.simulate.simulation import simulate

SEEDS = 20
LARGE = 100_000  # groups a run from which on one seed of one arm has to do


class Setup(NamedTuple):
    """A configuration that is to be simulated.

    Attributes:
        name: short, what it differs in from the others.
    """

    name: str
    config: Config
    settings: Settings


class Result(NamedTuple):
    """What came of a configuration: a curve a seed."""

    setup: Setup
    curves: list[Sequence[Point]]


@dataclass(frozen=True)
class Study:
    """Configurations, each simulated with the same seeds and the same budget.

    Attributes:
        trajectories: of a run; what does not fill a step is left over.
        window: trajectories between two points of a curve: one pass over the seeds.
    """

    setups: Sequence[Setup]
    seeds: Sequence[int]
    trajectories: int
    window: int

    def groups(self) -> int:
        """Of all runs together."""
        return len(self.seeds) * sum(map(self._groups, self.setups))

    def run(self, tell: Callable[[int], None] = lambda groups: None) -> Iterator[Result]:
        """Simulate one configuration after the other.

        Args:
            tell: told after each step how many groups it had.
        """
        for setup in self.setups:
            curves = []
            for seed in self.seeds:
                config = setup.config.model_copy(update={"seed": seed})
                budget = self.trajectories, self.window
                curves.append(simulate(config, setup.settings, *budget, tell))
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
    """What is to be simulated, with what was not said filled in.

    Args:
        overrides: `key=value` of the loop's configuration or of the simulation's constants.
        sweeps: `key=value,value`; every arm is simulated with every combination.
        arms: without any, static and rods; rods alone in a sweep or a large run.
        steps: training steps of the preset as overridden; without, the preset's, but at least a
            pass over the seeds.
        epochs: passes over the seeds instead.
        seeds: random seeds a configuration; without, `SEEDS`, or one in a large run.
        seed: the first of them.

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
    """Every arm with every combination of the swept values."""
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
    """Without the sections of its key."""
    key, _, value = override.partition("=")
    return f"{key.rpartition('.')[2]}={value}"
