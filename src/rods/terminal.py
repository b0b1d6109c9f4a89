"""What users see in the terminal: lines of text, progress and errors.

Cursor codes and colours go only to terminals, whatever the environment asks for. No text is read as
markup, so names and paths are shown unchanged; control characters are shown as escapes.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
)
from rich.text import Text

from rods.errors import OutputError

SELDOM = 20.0  # seconds between two lines of progress if the output is no terminal
WIDE = 1_000  # columns if the output is no terminal, so that no line is cut or broken


class Screen(Console):
    """Prints tables and live text to standard output, or to standard error."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else stdout()
        terminal = is_terminal(stream)
        super().__init__(
            file=None if stream is sys.stdout else stream,
            stderr=stderr,
            force_terminal=terminal,
            force_interactive=terminal,
            color_system="auto" if terminal else None,
            width=None if terminal else WIDE,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line unchanged, above live text.

        Raises:
            OutputError: the stream cannot be written.
        """
        self.show(visible(text), style=style, soft_wrap=True)

    def show(self, *what: Any, **how: Any) -> None:
        """`print`, with other errors.

        Raises:
            OutputError: the stream cannot be written.
        """
        try:
            self.print(*what, **how)
        except OSError as error:
            raise OutputError(_name(self.stderr), error) from None

    def on_broken_pipe(self) -> NoReturn:
        raise OutputError(_name(self.stderr), _failure(errno.EPIPE))


_alone: TextIO | None = None  # standard output, while `alone` reserves it for results


def stdout() -> TextIO:
    """Where results are printed."""
    return _alone or sys.stdout


@contextmanager
def alone() -> Iterator[None]:
    """Inside, standard output has results only: other prints, of libraries and tools, go to
    standard error."""
    global _alone
    _alone, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        _alone, sys.stdout = None, _alone


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal whose cursor can be moved."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def visible(text: str) -> str:
    """The text as one line, with control characters and half characters as escapes."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)


def say(text: str, *, stderr: bool = False) -> None:
    """Print a line.

    Raises:
        OutputError: the stream cannot be written.
    """
    try:
        print(visible(text), file=sys.stderr if stderr else stdout(), flush=True)
    except OSError as error:
        raise OutputError(_name(stderr), error) from None


def complain(message: str) -> None:
    """Print one line of error; if standard error cannot be written, nothing is raised."""
    try:
        say(f"rods: {' '.join(message.split())}", stderr=True)
    except OutputError:
        discard(sys.stderr)


def command_line() -> str:
    """The command of this process, quoted for a shell."""
    return shlex.join(["rods", *sys.argv[1:]])


def prepare_streams() -> None:
    """Open closed standard streams to the null device, and make all able to write any character.

    Raises:
        OutputError: standard output was closed.
    """
    closed = []
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # the next file that is opened would get its number
            closed.append(name)
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
        elif mode == "w":
            stream.reconfigure(errors="backslashreplace")
    if "stdout" in closed:
        raise OutputError(_name(False), _failure(errno.EBADF))


def discard(stream: TextIO) -> None:
    """Discard what a stream still buffers; Python would report an error for it at exit."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


class Bar:
    """Progress on standard error: a bar on a terminal, otherwise a plain line every `SELDOM` s.

    Args:
        what: name of what is counted.
        total: its final number.
        detail: gives more text to show; called from another thread.

    Attributes:
        done: the number so far.
    """

    def __init__(self, what: str, total: int, detail: Callable[[], str] = lambda: "") -> None:
        self._what, self._total, self._detail = what, total, detail
        self.done = 0
        self._ended = threading.Event()
        self._printer = threading.Thread(target=self._print, daemon=True)
        screen = Screen(stderr=True)
        columns = (_Label(self._label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=screen, transient=True)
        self._live = screen.is_terminal
        self._job = self._bar.add_task(what, total=total)

    def update(self, done: int) -> None:
        """Set the number that is done."""
        self.done = done
        self._bar.update(self._job, completed=done)

    def advance(self, more: int = 1) -> None:
        """Add to the number that is done."""
        self.update(self.done + more)

    def __enter__(self) -> Self:
        if self._live:
            self._bar.start()
        else:
            self._printer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._live:
            self._bar.stop()
        else:
            self._printer.join()

    def _label(self) -> str:
        detail = self._detail()
        return f"{self._what}: {detail}" if detail else self._what

    def _print(self) -> None:
        with suppress(OutputError):  # the next write raises it again
            while not self._ended.wait(SELDOM):
                say(f"{self._label()} ({self.done} of {self._total})", stderr=True)


class _Label(ProgressColumn):
    """Text that is computed whenever it is shown."""

    max_refresh = 0.5

    def __init__(self, text: Callable[[], str]) -> None:
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(visible(self._text()))


def _name(stderr: bool) -> str:
    return "standard error" if stderr else "standard output"


def _failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))
