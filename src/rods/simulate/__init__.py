"""A simulated learner that drives the real loop, for choosing parameters (docs/simulate.md).

Not in the paper: the simulator.
"""
