"""Evaluations as text for a terminal: the table, its notes, a comparison, and episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from rods.evaluation.episodes import EpisodeRow
from rods.evaluation.folder import Facts
from rods.evaluation.table import COMPLETE, PROGRESS
from rods.rollout.episode import Ending
from rods.task import OVERALL

NAMED = 5  # tasks that a line names at most


def _table(first: str, *names: str) -> Table:
    columns = [Column(name, justify="right", no_wrap=True) for name in names]
    return Table(first, *columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def results_table(summary: Mapping[str, Any]) -> Table:
    """The results by category."""
    table = _table("category", "tasks", "complete", "95 %", "progress", "95 %", "failures")
    for name, found in summary["results"].items():
        complete, progress = found[COMPLETE], found[PROGRESS]
        table.add_row(
            name,
            str(found["tasks"]),
            _percent(complete and complete["mean"]),
            _range(complete, _percent),
            _number(progress and progress["mean"]),
            _range(progress, _number),
            _counted(found["causes"]) or "-",
            style="bold" if name == OVERALL else None,
        )
    return table


def notes(summary: Mapping[str, Any], identity: Facts) -> Iterator[str]:
    """What a reader of the table must know, a line each."""
    found = summary["results"].get(OVERALL, {})
    if summary["episodes"] < summary["expected"]:
        yield f"Not finished: {summary['episodes']} of {summary['expected']} episodes."
    if not found or not found["episodes"]:
        return
    yield f"Endings: {_counted(found['endings'])}."
    calls = f"Calls: {found['calls']:,}; stopped: {_counted(found['refusals']) or 'none'}."
    yield f"{calls} Actions: {found['actions']:,}, of which malformed {found['malformed']:,}" + (
        f" and cut off at the most tokens {found['cut_off']:,}."
    )
    yield (
        f"Tokens: {found['tokens_in']:,} in, {found['tokens_out']:,} out, the longest request with"
        f" its answer {found['longest']:,}. Seconds: {found['seconds'] / found['episodes']:,.1f} an"
        " episode."
    )
    if names := found["out_of_tokens"]:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        listed = f"{', '.join(names[:NAMED])}{more}"
        yield f"The context was too small for {len(names)} tasks, which failed there: {listed}."
    if found["shortened"]:
        yield (
            f"The server read fewer tokens than in the request before, {found['shortened']} times:"
            " it may cut long prompts; start it with a larger context."
        )
    if found["lost"]:
        yield f"The environment failed in {found['lost']} episodes, which have no result."
    if not summary["equal_categories"]:
        yield f"The categories have different numbers of tasks; {OVERALL} is the mean of theirs."
    for part, facts in identity.items():
        inner = _flat(facts) if isinstance(facts, dict) else [("", facts)]
        yield f"{part}: {', '.join(f'{n} {_plain(value)}'.strip() for n, value in inner)}"


def comparison_table(found: Mapping[str, Any]) -> Table:
    """The differences by category."""
    header, rows = comparison_cells(found)
    table = _table(*header)
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == OVERALL else None)
    return table


def comparison_cells(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the differences by category."""
    header = ["category", "tasks"]
    header += ["complete", "other", "difference", "95 %"]
    header += ["progress", "other", "difference", "95 %", "better", "worse"]
    rows = []
    for name, row in found["results"].items():
        cells = [name, str(row["tasks"])]
        for value, write in ((COMPLETE, _percent), (PROGRESS, _number)):
            part = row[value]
            difference = part["difference"]
            cells += [write(part["one"]), write(part["two"])]
            cells += [_signed(difference["mean"], write), _range(difference, write)]
        rows.append([*cells, str(row[PROGRESS]["better"]), str(row[PROGRESS]["worse"])])
    return header, rows


def comparison_notes(found: Mapping[str, Any]) -> Iterator[str]:
    """What a reader of the comparison must know, a line each."""
    yield f"{found['one']} and, as the other, {found['two']}: {found['tasks']} common tasks."
    if found["only_one"] or found["only_two"]:
        counts = f"{found['only_one']} and {found['only_two']}"
        yield f"Left out because the other one does not have them: {counts} tasks."
    for name, (one, two) in found["settings"].items():
        yield f"{name}: {_plain(one)} and {_plain(two)}"


def episode_line(row: EpisodeRow) -> str:
    """An episode in one line of a list."""
    return f"{row.task} run {row.run}: {verdict_line(row)}"


def verdict_line(row: EpisodeRow) -> str:
    """The result of an episode in one line."""
    result = "no result" if row.progress is None else f"progress {row.progress:.3f}"
    turns = " ".join("ok" if v["state"] and v["exec"] else "--" for v in row.verdicts)
    why = f"  {row.cause}" if row.cause and row.cause != row.ending.value else ""
    return f"{result}  {turns}  {row.ending.value}{why}"


def transcript(row: EpisodeRow) -> Iterator[str]:
    """An episode as text: a heading, its messages, and its verdicts."""
    yield episode_line(row)
    yield f"[tools] {' '.join(row.tools)}"
    for message in row.messages:
        role = str(message.get("role"))
        text = message.get("content")
        if text or not message.get("tool_calls"):
            yield from _labelled(role, text if isinstance(text, str) else "")
        for call in message.get("tool_calls") or ():
            function = call.get("function", {})
            yield f"[call] {function.get('name')} {function.get('arguments')}"
    if row.failure:
        yield f"[{row.ending.value}] {row.failure}"
    for number, verdict in enumerate(row.verdicts, 1):
        state, responses = ("ok" if verdict[part] else "--" for part in ("state", "exec"))
        yield f"[turn {number}] state {state}, responses {responses}"
    if row.ending is not Ending.ANSWERED and row.failed_turn == row.judged:
        yield f"[turn {row.judged + 1}] not judged: {row.ending.value}"
    yield (
        f"[{row.actions} actions, {row.tokens_in:,} tokens in, {row.tokens_out:,} out,"
        f" {row.seconds:.1f} s]"
    )


def _labelled(label: str, text: str) -> Iterator[str]:
    first, *others = text.splitlines() or [""]
    yield f"[{label}] {first}"
    yield from (f"    {line}" for line in others)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float, write: Any) -> str:
    return f"{'+' if value >= 0 else ''}{write(value)}"


def _range(found: Mapping[str, Any] | None, write: Any) -> str:
    if found is None or found["low"] is None:
        return "-"
    return f"{write(found['low'])} to {write(found['high'])}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items())


def _flat(facts: Facts, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _plain(value: Any) -> str:
    return "none" if value is None or value == "" else str(value)
