"""What a user sees in the terminal during a run, and its last screen."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rods.config import Config
from rods.group import Signal
from rods.task import OVERALL
from rods.terminal import SELDOM, Screen

MOST_CAUSES = 3  # shown of refused attempts
SHRUNK = 0.5  # of its largest size; a smaller pool is told


class NoDisplay(AbstractContextManager["NoDisplay"]):
    """The `rods.lead.Watch` of processes that show nothing."""

    def __exit__(self, *_: object) -> None:
        pass

    def working(self, what: str, share: float) -> None:
        pass

    def step(self, line: dict[str, Any]) -> None:
        pass

    def heldout(self, step: int, progress: float, complete: float) -> None:
        pass

    def notice(self, line: str) -> None:
        pass


class Display:
    """Implements `rods.lead.Watch`: a live panel on a terminal, otherwise plain lines."""

    def __init__(self, config: Config, folder: Path, screen: Screen) -> None:
        self.config, self.folder, self.screen = config, folder, screen
        self._work: tuple[str, float] = ("starting", 0.0)
        self._line: dict[str, Any] = {}
        self._heldout: list[tuple[int, float, float]] = []
        self._recent: list[float] = []
        self._printed = 0.0
        self._live = Live(console=screen, refresh_per_second=4, transient=True)

    def __enter__(self) -> Display:
        if self.screen.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def working(self, what: str, share: float) -> None:
        self._work = (what, share)
        if self.screen.is_terminal:
            self._refresh()
        elif time.monotonic() - self._printed > SELDOM:
            self._printed = time.monotonic()
            self.screen.say(f"{what}: {share:.0%}")

    def step(self, line: dict[str, Any]) -> None:
        self._line = line
        self._work = ("training", line["step"] / self.config.steps)
        self._recent = [*self._recent[-7:], line["seconds"]]
        if self.screen.is_terminal:
            self._refresh()
        else:
            self.screen.say(_plain(line, self.config.steps))

    def heldout(self, step: int, progress: float, complete: float) -> None:
        self._heldout.append((step, progress, complete))
        if not self.screen.is_terminal:
            means = f"progress {progress:.3f}, complete {complete:.3f}"
            self.screen.say(f"validation after {step} steps: {means}")

    def notice(self, line: str) -> None:
        """May be called from another thread."""
        self.screen.say(line)

    def _refresh(self) -> None:
        what, share = self._work
        head = Table.grid(padding=(0, 1))
        head.add_row(Text(f"{what:<34.34}"), ProgressBar(1.0, share, width=30), f"{share:.0%}")
        body = Table.grid(padding=(0, 2))
        line = self._line
        if line:
            pool, signals = line["pool"], line["signals"]
            without = ", ".join(
                f"{n} {name}" for name, n in signals.items() if name != Signal.SIGNAL.value
            )
            left = max(0, self.config.steps - line["step"])
            seconds = left * sum(self._recent) / len(self._recent)
            body.add_row("epoch, step", f"{line['epoch']}, {line['step']}/{self.config.steps}")
            body.add_row("reward in training", f"progress {_share(line['progress'])}")
            body.add_row("groups with signal", f"{line['signal']:.0%}  (without: {without or '-'})")
            body.add_row("zones", ", ".join(f"{n} {z}" for z, n in line["zones"].items()))
            body.add_row(
                "pool",
                f"{pool['seeds']} seeds + {pool['generated']} generated, {pool['resting']} resting;"
                f" so far {line['injected']} injected, {line['retired']} retired",
            )
            body.add_row("time left", f"about {seconds / 60:.0f} min")
        if self._heldout:
            curve = "  ".join(f"{p:.3f}" for _, p, _ in self._heldout[-8:])
            body.add_row("validation progress", curve)
        title = f"rods {self.config.arm}, preset {self.config.preset}, seed {self.config.seed}"
        self._live.update(Panel(Group(head, body), title=Text(title), title_align="left"))


def _plain(line: dict[str, Any], steps: int) -> str:
    pool = line["pool"]
    return (
        f"step {line['step']}/{steps} epoch {line['epoch']}: progress {_share(line['progress'])},"
        f" signal {line['signal']:.0%}, pool {pool['seeds']}+{pool['generated']},"
        f" injected {line['injected']}, retired {line['retired']}, {line['seconds']:.1f} s"
    )


def _share(value: float | None) -> str:
    """A mean, or "-" where the environment lost every rollout."""
    return "-" if value is None else f"{value:.3f}"


def last_screen(summary: dict[str, Any], report: Path, screen: Screen) -> None:
    """Print the results before and after, the changes of the pool, and the path of the report."""
    table = Table(title=f"Held-out tasks, arm {summary['arm']}, seed {summary['seed']}")
    table.add_column("category")
    for name in ("progress before", "after", "change", "complete before", "after"):
        table.add_column(name, justify="right")
    before, after = summary["heldout"]["before"], summary["heldout"]["after"]
    for category in sorted(before, key=lambda name: name == OVERALL):  # that one last
        if category in after:
            one, two = before[category], after[category]
            table.add_row(
                category,
                f"{one['progress']:.3f}",
                f"{two['progress']:.3f}",
                f"{two['progress'] - one['progress']:+.3f}",
                f"{one['complete']:.1%}",
                f"{two['complete']:.1%}",
                style="bold" if category == OVERALL else None,
            )
    if table.row_count:  # there are held-out tasks
        screen.show(table)
    pool, signal = summary["pool"], summary["signal"]
    retired = ", ".join(f"{n} {reason}" for reason, n in pool["retired"].items()) or "none"
    screen.say(
        f"Pool: {pool['seeds']} seeds and {pool['generated']} generated tasks active;"
        f" {pool['injected']} injected; retired: {retired}."
    )
    if pool["active"] < SHRUNK * pool["largest"]:
        more = ", or set pool.retire_no_signal=false" if "no signal" in pool["retired"] else ""
        screen.say(
            f"The pool shrank from {pool['largest']} active tasks to {pool['active']}: more leave"
            f" than may join. Raise pool.beta{more}.",
            "yellow",
        )
    if signal:
        causes = summary["causes"]
        screen.say(
            f"Groups with signal: {signal[0]:.0%} in the first epoch, {signal[-1]:.0%} in the"
            f" last ({_causes(causes[-1])})."
        )
    screen.say(
        f"{summary['trajectories']} trajectories, {summary['generated_tokens']} generated tokens,"
        f" {summary['wall_s'] / 60:.1f} min, of which synthesis {summary['synthesis_s']:.0f} s."
    )
    if summary["lost"]:
        screen.say(
            f"The environment failed in {summary['lost']} trajectories; they were not trained on."
        )
    fates = summary["synthesis"]["candidates"]
    if fates["made"]:
        screen.say(f"Variants: {', '.join(f'{n} {name}' for name, n in fates.items())}.")
    synthesis = summary["synthesis"]
    refused = Counter(synthesis["attempts"])
    tried = refused.pop("tried", 0)
    if tried and not fates["made"]:
        causes = ", ".join(f"{n} {cause}" for cause, n in refused.most_common(MOST_CAUSES) if n)
        screen.say(f"Variants: none was made in {tried} attempts ({causes}).", "yellow")
    if synthesis["errors"]:
        message = f"Synthesis: {synthesis['errors']} jobs ended in an error; the first:"
        screen.say(f"{message} {synthesis['first_error']}", "red")
    if synthesis["gave_up"]:
        screen.say(f"Synthesis was given up: {synthesis['gave_up']}", "red")
    screen.say(summary["notice"], "dim")
    screen.say(f"Report: {report}")


def _causes(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    without = {name: n for name, n in counts.items() if name != Signal.SIGNAL.value}
    return ", ".join(f"{n / total:.0%} {name}" for name, n in without.items()) or "none without"
