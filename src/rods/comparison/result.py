"""Compact result of a finished run: all that a comparison reads of it, in one small file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator

from rods.comparison.arms import ArmName
from rods.errors import UserError
from rods.files.output import Output
from rods.files.plain_data import Author
from rods.files.reading import Setting, parse_json, read_checked
from rods.group import Group, Signal

LOW, HIGH = 0.25, 0.75  # the paper finds the means of variants' first groups within
DIGITS = 6  # of a stored number
Share = Annotated[float, Field(ge=0, le=1)]
Measured = tuple[Share, Share]
"""Progress and share complete."""


class Landing(Setting):
    """The first complete groups of some variants.

    Attributes:
        groups: how many.
        mean: of the groups' mean outcomes; None without groups, as the next two.
        signal: share with signal.
        in_zone: share with a mean within [`LOW`, `HIGH`].
    """

    groups: NonNegativeInt
    mean: Share | None = None
    signal: Share | None = None
    in_zone: Share | None = None

    @staticmethod
    def of(groups: Sequence[Group]) -> Landing:
        if not groups:
            return Landing(groups=0)
        return Landing(
            groups=len(groups),
            mean=fmean(group.mean for group in groups),
            signal=fmean(group.signal is Signal.SIGNAL for group in groups),
            in_zone=fmean(LOW <= group.mean <= HIGH for group in groups),
        )


class Landings(Setting):
    """`Landing` of the whole run, and of each third of its steps."""

    all: Landing
    thirds: tuple[Landing, Landing, Landing]


class ZoneVariance(Setting):
    """Complete groups in a zone, and the mean variance of their outcomes."""

    groups: NonNegativeInt
    variance: NonNegativeFloat


class Families(Setting):
    """The injected variants by the seed task that they descend from.

    Attributes:
        counts: variants of each seed task that has some, the largest first.
        seeds: number of seed tasks.
    """

    counts: tuple[NonNegativeInt, ...]
    seeds: NonNegativeInt


class Calibration(Setting):
    """Variants whose forecast signal lies in one bin, with their first complete groups.

    Attributes:
        least: the lower edge of the bin.
        groups: how many.
        expected_signal: mean of the forecast probabilities that a group has signal.
        signal: share of the groups that have.
        expected_mean: mean of the forecast mean outcomes.
        mean: of the groups' mean outcomes.
    """

    least: Share
    groups: NonNegativeInt
    expected_signal: Share
    signal: Share
    expected_mean: Share
    mean: Share


class Size(Setting):
    """How long some tasks are: mean numbers of turns and of ground-truth calls."""

    tasks: NonNegativeInt
    turns: NonNegativeFloat
    calls: NonNegativeFloat


class Sizes(Setting):
    """`Size` by category."""

    seeds: dict[str, Size]
    variants: dict[str, Size]


class CurvePoint(NamedTuple):
    """A measurement of the validation side: means over the categories' means."""

    step: NonNegativeInt
    trajectories: NonNegativeInt
    progress: Share
    complete: Share


class EpochPoint(NamedTuple):
    """One epoch of training.

    Attributes:
        step: the first of the epoch.
        trajectories: that were played before it.
        signal: share of its groups with signal.
        active: tasks of the pool that may be drawn: seed tasks that do not rest, and variants.
    """

    epoch: NonNegativeInt
    step: NonNegativeInt
    trajectories: NonNegativeInt
    signal: Share
    active: NonNegativeInt


class HeldOutTasks(Setting):
    """Results on held-out tasks: by task id, and the ids of each category."""

    tasks: dict[str, Measured]
    categories: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _categories_are_those_of_the_tasks(self) -> HeldOutTasks:
        named = [task for tasks in self.categories.values() for task in tasks]
        if not named or not all(self.categories.values()) or sorted(named) != sorted(self.tasks):
            raise ValueError("tasks: each of them must be in one of the categories")
        return self


class RunResult(Setting):
    """The compact result of a run.

    Attributes:
        rods: version of rods.
        command: for a shell in the folder of the comparison.
        settings: all its `--set`.
        config: all settings of the run but the preset and the random seed, as its folder has them.
        tasks: different training tasks that were played.
        side: the held-out side that `test` and `before` are of.
        test: after the last step.
        structure: of the side "structure" after the last step, if it was measured.
        before: means over categories before training; None if they were not measured.
        curve: the validation side during training.
        zones: of the run's complete groups.
        variants: the tasks that the run made and played.
        forecasts: how right the forecasts of the variants' first groups were; empty without.
        retired: reason -> tasks.
        attempts: synthesis attempts by outcome.
        wall_s: seconds of the training steps.
        synthesis_s: seconds of synthesis.
    """

    arm: ArmName
    seed: NonNegativeInt
    preset: str
    rods: str
    command: str
    settings: tuple[str, ...]
    config: dict[str, Any]
    trajectories: NonNegativeInt
    generated_tokens: NonNegativeInt
    steps: NonNegativeInt
    epochs: NonNegativeInt
    wall_s: NonNegativeFloat
    synthesis_s: NonNegativeFloat
    tasks: NonNegativeInt
    side: Literal["test", "validation"]
    test: HeldOutTasks
    structure: HeldOutTasks | None
    before: Measured | None
    curve: tuple[CurvePoint, ...]
    by_epoch: tuple[EpochPoint, ...]
    zones: dict[str, ZoneVariance]
    variants: Landings
    families: Families
    sizes: Sizes
    forecasts: tuple[Calibration, ...]
    retired: dict[str, NonNegativeInt]
    attempts: dict[str, NonNegativeInt]

    @property
    def name(self) -> str:
        """Of the run in its comparison."""
        return f"{self.arm}-{self.seed}"

    def text(self) -> str:
        """The content of its file: the same for the same run."""
        data = rounded(self.model_dump(mode="json")) | {"config": self.config}
        lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def write(self, folder: Path) -> None:
        """Write its file into the folder of a comparison.

        Raises:
            UserError: it cannot be written.
        """
        Output(result_path(folder, self.name)).write(self.text())


def result_path(folder: Path, name: str) -> Path:
    """The file of a run's compact result."""
    return folder / f"{name}.json"


def read_result(path: Path) -> RunResult:
    """Read a compact result.

    Raises:
        UserError: it is none; the message names file and field.
    """
    found = read_checked(path, partial(parse_json, author=Author.RODS), RunResult.model_validate)
    if path.name != result_path(path.parent, found.name).name:
        raise UserError(f"{path}: holds the result of {found.name}; rename the file")
    return found


def result_paths(folder: Path) -> Iterator[Path]:
    """The files of compact results, by name."""
    for path in sorted(folder.glob("*.json")):
        arm, dash, seed = path.stem.rpartition("-")
        if arm and dash and seed.isdecimal():
            yield path


def rounded(data: Any) -> Any:
    """Plain data with floats of `DIGITS` digits after the point."""
    if isinstance(data, float):
        return round(data, DIGITS) + 0.0  # so that -0.0 is 0.0
    if isinstance(data, dict):
        return {key: rounded(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [rounded(value) for value in data]
    return data
