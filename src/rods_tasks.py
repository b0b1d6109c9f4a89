"""The taskset under a name that verifiers can find: it takes modules without dots only."""

from rods.neighbours.verifiers import RodsEnv, RodsTaskset

__all__ = ["RodsEnv", "RodsTaskset"]
