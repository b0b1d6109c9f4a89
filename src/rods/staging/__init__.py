"""From boundary tasks to candidates: inline at an epoch's end, or in a process beside the trainer.

`producer` does the work for both, `worker` is the process, `supervisor` watches over it.
"""
