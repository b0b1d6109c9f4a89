"""The page of a comparison: the differences, and the episodes of two models side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rods.evaluation.episodes import EpisodeRow
from rods.evaluation.folder import StoredEvaluation
from rods.evaluation.text import comparison_cells, comparison_notes, verdict_line
from rods.html import cut
from rods.report.document import fill
from rods.report.episode import MAX_TRANSCRIPT

MAX_TASKS = 200


class Side(NamedTuple):
    """An episode on one side: its result, and pairs of role and text."""

    result: str
    messages: list[tuple[str, str]]


def render(found: Mapping[str, Any], one: StoredEvaluation, two: StoredEvaluation) -> str:
    """The page as text; the tasks with the largest differences come first.

    Args:
        found: what `compare` returns for the two, which are read with their messages.
    """
    first, second = _by_task(one), _by_task(two)
    common = [task for task in first if task in second and first[task].id == second[task].id]
    common.sort(key=lambda task: (-abs(_gain(first[task], second[task])), task))
    header, rows = comparison_cells(found)
    return fill(
        Path(__file__).with_name("page.html.j2"),
        (),
        names=(_name(one), _name(two)),
        header=header,
        rows=rows,
        notes=list(comparison_notes(found)),
        total=len(common),
        tasks=[
            (task, first[task].category, [_side(first[task]), _side(second[task])])
            for task in common[:MAX_TASKS]
        ],
    )


def _by_task(evaluation: StoredEvaluation) -> dict[str, EpisodeRow]:
    """The first run of each task."""
    return {row.task: row for row in sorted(evaluation.rows, key=lambda row: -row.run)}


def _gain(one: EpisodeRow, two: EpisodeRow) -> float:
    return (two.progress or 0.0) - (one.progress or 0.0)


def _name(evaluation: StoredEvaluation) -> str:
    return f"{evaluation.identity['agent'].get('model')} ({evaluation.path})"


def _side(row: EpisodeRow) -> Side:
    left, shown = MAX_TRANSCRIPT, list[tuple[str, str]]()
    for role, text in _lines(row):
        shown.append((role, cut(text, left)))
        left -= len(text)
        if left <= 0:
            break
    return Side(verdict_line(row), shown)


def _lines(row: EpisodeRow) -> Iterator[tuple[str, str]]:
    for message in row.messages:
        role, text = str(message.get("role")), message.get("content")
        if role == "system":
            continue
        if isinstance(text, str) and text:
            yield role, text
        for call in message.get("tool_calls") or ():
            function = call.get("function", {})
            yield "call", f"{function.get('name')} {function.get('arguments')}"
