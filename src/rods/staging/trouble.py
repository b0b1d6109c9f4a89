"""Errors of synthesis: counted apart from refused attempts, and as text that is safe to store.

A refused attempt is normal. An exception is not: some part of synthesis is broken, and the next job
will most likely fail in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from traceback import TracebackException

from rods.notice import tell_log
from rods.secret import hidden, plain, shown
from rods.store.rows import Trace

MAX_LINE = 200  # characters
MAX_TRACE = 6_000  # characters
FRAMES = 20  # the innermost ones
MOST = 10  # errors in a row; see `synthesis.errors`

"""Default receiver of messages."""


def traced(error: Exception) -> Trace:
    """An exception in words, without secrets and control characters, and of bounded length."""
    trace = TracebackException.from_exception(error, limit=-FRAMES)
    line = shown("".join(trace.format_exception_only()), MAX_LINE)
    text = plain(hidden("".join(trace.format())), keep="\n")
    if len(text) > MAX_TRACE:
        half = MAX_TRACE // 2
        left_out = f"\n[{len(text) - 2 * half} characters are left out]\n"
        text = text[:half] + left_out + text[-half:]
    return Trace(line, text)


@dataclass
class Trouble:
    """Counts the errors of this process, and stops synthesis after too many in a row.

    Args:
        most: errors in a row after which synthesis is given up.
        tell: called with one line at the first error, and when synthesis is given up.

    Attributes:
        errors: so far.
        gave_up: why synthesis was stopped, or "".
    """

    most: int = MOST
    tell: Callable[[str], None] = tell_log
    errors: int = 0
    gave_up: str = ""
    _row: int = 0

    def note(self, error: Trace | None) -> None:
        """Take the end of a job; None if it was no error, which ends the row."""
        if error is None:
            self._row = 0
            return
        self.errors, self._row = self.errors + 1, self._row + 1
        if self.errors == 1:
            self.tell(f"an error in synthesis: {error.line}; the report shows its traceback")
        if self._row >= self.most:
            self.gave_up = f"{self._row} errors in a row; last: {error.line}"
            self.tell(f"synthesis is given up: {self.gave_up}; training continues without it")
