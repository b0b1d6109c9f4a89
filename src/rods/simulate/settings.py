"""Constants of the simulation, with the meaning and the source of each.

"Micro" means fitted to a policy of half a million parameters on the benchmark's simulators, with
steps of 24 tasks x K = 8 from 48 seed tasks: how fast groups lose their signal, and how held-out
progress changes, with the seed tasks alone and with a new task for each group. "Paper" means fitted
to its Qwen3-4B: complete held-out tasks by category, before training and after training on 400 seed
tasks. docs/simulate.md has the fits. Constants without a source are marked as chosen: they are
plausible, and a conclusion that depends on them is not valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, ValidationError

from rods.envs.bfcl_data import LONG_CONTEXT, MISS_FUNC, MISS_PARAM
from rods.errors import UserError, first_problem
from rods.files.reading import Setting, put, read_override
from rods.task import BASE, Category

MOST_CATEGORIES = 250  # a task's row has a byte for its category's index


class WorldSettings(Setting):
    """The population of tasks, and the learner's ability before training. Units are logits."""

    tools: int = Field(16, ge=1, le=64, description="families of tools; chosen")
    depths: int = Field(4, ge=1, le=4, description="depths of dependency within a family; chosen")
    level: float = Field(
        0.1, ge=-20, le=20, description="ability of the base model (paper; micro: -0.25)"
    )
    deeper: float = Field(0.25, ge=0, le=9, description="ability lost for each depth; chosen")
    tool_spread: float = Field(0.25, ge=0, le=9, description="of ability over families; chosen")
    skill_spread: float = Field(0.25, ge=0, le=9, description="of ability within a family; chosen")
    task_spread: float = Field(4.4, ge=0, le=9, description="of difficulty over tasks (micro)")
    turn_spread: float = Field(2.7, ge=0, le=9, description="of difficulty within a task (micro)")
    later: float = Field(0.4, ge=0, le=9, description="difficulty that a turn adds; chosen")
    harder: dict[Category, Annotated[float, Field(ge=0, le=9, strict=True)]] = Field(
        {BASE: 0.0, MISS_FUNC: 0.7, MISS_PARAM: 2.4, LONG_CONTEXT: 0.2},
        min_length=1,
        max_length=MOST_CATEGORIES,
        description="the categories, each with the difficulty that it adds (paper)",
    )
    two_skills: float = Field(0.5, ge=0, le=1, description="share of turns; chosen")
    heldout: int = Field(1_000, ge=1, le=100_000, description="tasks never trained on")


class LearnerSettings(Setting):
    """How the learner changes. Rates are logits for a full unit of GRPO's gradient."""

    rate: float = Field(0.5, ge=0, le=100, description="rate of skills (paper; micro: 0.35)")
    headroom: float = Field(
        5.5, gt=0, le=100, description="most that a skill gains (paper; micro: 3.3)"
    )
    skill_fades: float = Field(
        25_000, gt=0, description="groups until an unused skill keeps 1/e of its gain; chosen"
    )
    item_rate: float = Field(12.5, ge=0, le=100, description="rate of an item's memory (micro)")
    item_most: float = Field(8.0, gt=0, le=100, description="most that is remembered (micro)")
    item_fades: float = Field(
        8_500, gt=0, description="groups until an item's memory keeps 1/e (micro)"
    )


class VariantSettings(Setting):
    """How simulated synthesis varies a parent task."""

    success: float = Field(0.9, ge=0, le=1, description="share of jobs with a variant; chosen")
    replaced: float = Field(0.3, ge=0, le=1, description="skills that change tool; chosen")
    jitter: float = Field(
        0.5, ge=0, le=9, description="spread of difficulty around the parent's; chosen"
    )
    latency: int = Field(0, ge=0, le=100, description="epochs until variants are ready")


class Settings(Setting):
    """All constants of a simulation."""

    world: WorldSettings = WorldSettings()
    learner: LearnerSettings = LearnerSettings()
    variants: VariantSettings = VariantSettings()


def ours(override: str) -> bool:
    """Whether a `key=value` sets a constant of the simulation and not a setting of the loop."""
    return override.partition(".")[0] in Settings.model_fields


def load_settings(overrides: Sequence[str]) -> Settings:
    """The constants with `section.name=value` applied.

    Raises:
        UserError: no such key, or a value that does not fit.
    """
    data = Settings().model_dump()
    for override in overrides:
        key, value = read_override(override, "section.name")
        section, _, name = key.partition(".")
        if not name or section not in data:
            raise UserError(f"--set {override}: write it as section.name=value")
        put(data, key, value, f"--set {override}")
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise UserError(first_problem(error)) from None
