"""Stand-alone synthesis from the benchmark's training seeds (`rods synth`)."""

from __future__ import annotations

from rods.audit import benchmark_faults
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, split, tool_specs
from rods.errors import UserError
from rods.synthesis.critique import Critic
from rods.synthesis.pipeline import Program
from rods.task import Category, Task


def seeds_of(category: str | None = None) -> list[Task]:
    """The training seeds without known faults.

    Raises:
        UserError: no such category.
    """
    if category is not None and category not in list(Category):
        raise UserError(f"--category {category}: choose one of {', '.join(Category)}")
    sides = split()
    return [
        task
        for name, task in benchmark_tasks().items()
        if sides[name] == "train"
        and name not in benchmark_faults()
        and (category is None or task.category == category)
    ]


def benchmark_program() -> Program:
    """Synthesis that knows the training side and keeps away from the held-out one."""
    env, sides = BfclEnvironment(), split()
    held_out = [t for name, t in benchmark_tasks().items() if sides[name] != "train"]
    return Program(env, tool_specs(), seeds_of(), Critic(env, held_out))
