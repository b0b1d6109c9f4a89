"""What a person sees of a run on verl: lines, because the driver has no terminal of its own."""

from __future__ import annotations

from typing import Any


class Lines:
    """Prints a line for each step, measurement and notice. Ray shows what its processes print."""

    def working(self, what: str, share: float) -> None:
        """Progress within a stage is not shown."""

    def step(self, line: dict[str, Any]) -> None:
        pool, progress = line["pool"], line["progress"]
        shown = "none" if progress is None else f"{progress:.3f}"
        say(
            f"step {line['step']}, epoch {line['epoch']}: progress {shown},"
            f" signal {line['signal']:.2f}, {pool['active']} active tasks,"
            f" {line['seconds']:.1f} s"
        )

    def heldout(self, step: int, progress: float, complete: float) -> None:
        say(f"held-out tasks after step {step}: progress {progress:.3f}, complete {complete:.3f}")

    def notice(self, line: str) -> None:
        say(line)


def say(line: str) -> None:
    """Print a line at once."""
    print(f"rods: {line}", flush=True)
