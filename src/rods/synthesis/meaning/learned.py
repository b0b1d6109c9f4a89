"""All notions together: what the seed tasks show, and where a task departs from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rods.envs.base import Environment
from rods.errors import NoProcessError, UserError
from rods.synthesis.meaning.equalities import Equalities
from rods.synthesis.meaning.purpose import reads_for_nothing
from rods.synthesis.meaning.ranges import Ranges
from rods.synthesis.meaning.records import RecordPairs
from rods.synthesis.meaning.references import ambiguous_references
from rods.synthesis.meaning.trace import CallTrace
from rods.synthesis.meaning.undoing import undone_steps
from rods.task import Task, ToolSpec


def learned_from(seeds: Iterable[Task], env: Environment, tools: Mapping[str, ToolSpec]) -> Learned:
    """What seed tasks show; those that cannot be executed show nothing.

    Args:
        tools: all tools of the environment by name.

    Raises:
        NoProcessError: no process can be started.
    """
    learned = Learned(tools)
    for seed in seeds:
        try:
            learned.learn(CallTrace(seed, env))
        except NoProcessError:
            raise
        except UserError:
            continue
    return learned


@dataclass
class Learned:
    """What the seed tasks show.

    Args:
        tools: all tools of the environment by name.
    """

    tools: Mapping[str, ToolSpec]
    records: RecordPairs = field(default_factory=RecordPairs)
    equalities: Equalities = field(default_factory=Equalities)
    ranges: Ranges = field(init=False)

    def __post_init__(self) -> None:
        self.ranges = Ranges(self.tools)

    def learn(self, trace: CallTrace) -> None:
        """Add a seed task."""
        self.records.learn(trace)
        self.equalities.learn(trace.start)
        self.ranges.learn(trace)

    def faults(self, trace: CallTrace) -> dict[str, Sequence[Any]]:
        """The places at fault in a task, by notion."""
        return {
            "reads for nothing": reads_for_nothing(trace),
            "undone steps": undone_steps(trace),
            "ambiguous references": ambiguous_references(trace),
            "mixed records": self.records.mixed(trace),
            "out of range": self.ranges.outside(trace),
            "broken equalities": self.equalities.broken(trace.start),
        }
