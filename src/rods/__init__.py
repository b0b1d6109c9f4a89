"""RODS: reward-driven online data synthesis for multi-turn tool-use agents.

An independent implementation of arXiv 2606.19047. The main path: `rods.loop.Loop` gives the tasks
of each training step, a trainer (`rods.trainers`) trains on them and returns each group's rewards,
`rods.curriculum` finds the tasks at the boundary of the agent's ability, `rods.synthesis` makes
verified variants of them, and the curriculum admits these at the end of the epoch.
"""

__version__ = "0.1.0"
