"""RODS: reward-driven online data synthesis for multi-turn tool-use agents.

An independent implementation of arXiv 2606.19047. The main path: `rods.loop.Loop` draws an epoch
of tasks from `rods.pool`, an engine (`rods.engines`) trains on them and reports the rewards of
each group, `rods.boundary` finds the tasks at the edge of the agent's ability, `rods.synthesis`
makes verified variants of them, and the pool lets these in at the next epoch.
"""

__version__ = "0.1.0"
