"""What makes a task meaningful: notions as pure functions of an executed task.

Each returns the places at fault. What they compare with is learned from the seed tasks.

Not in the paper: code that judges whether a task makes sense; there a model does.
"""
