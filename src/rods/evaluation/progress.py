"""The progress of an evaluation on standard error."""

from __future__ import annotations

import time

from rods.evaluation.folder import EvaluationFolder
from rods.terminal import Bar


class Progress:
    """A bar with the results so far and the time left."""

    def __init__(self, folder: EvaluationFolder, total: int) -> None:
        self._folder, self._total = folder, total
        self._start, self._before = time.monotonic(), len(folder.rows)
        self._bar = Bar("episodes", total, self._detail)
        self._bar.update(self._before)

    def tick(self) -> None:
        """Episodes were kept."""
        self._bar.update(len(self._folder.rows))

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return self

    def __exit__(self, *caught: object) -> None:
        self._bar.__exit__(*caught)

    def _detail(self) -> str:
        rows = [row for row in list(self._folder.rows) if row.progress is not None]
        done = self._bar.done - self._before
        if not rows or not done:
            return ""
        left = (self._total - self._bar.done) * (time.monotonic() - self._start) / done
        complete = sum(bool(row.complete) for row in rows) / len(rows)
        progress = sum(row.progress or 0.0 for row in rows) / len(rows)
        return f"complete {complete:.1%}, progress {progress:.3f}, {_time(left)} left"


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
