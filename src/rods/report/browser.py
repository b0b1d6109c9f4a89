"""Data of the task browser: generated tasks with their parent tasks, limited in size."""

from __future__ import annotations

from typing import Any

from rods.group import Group
from rods.report.record import Record
from rods.rollout.episode import Ending
from rods.task import Task

MAX_TASKS = 300
MAX_TRANSCRIPT = 6_000
MAX_TEXT = 2_000


def browser_data(record: Record) -> dict[str, Any]:
    """JSON for the page's script: {"total", "list": [variant ids], "tasks": {id: {...}}}.

    If there are more than `MAX_TASKS`, those with an example episode come first, then the newest.
    """
    newest = record.generated[::-1]
    chosen = sorted(newest, key=lambda i: i not in record.episodes)[:MAX_TASKS]
    kept = [i for i in newest if i in set(chosen)]
    shown = dict.fromkeys(kept)
    shown.update(dict.fromkeys(p for i in kept if (p := _parent(record, i)) in record.tasks))
    return {
        "total": len(newest),
        "list": kept,
        "tasks": {i: _task(record, record.tasks[i]) for i in shown},
    }


def _parent(record: Record, task_id: str) -> str:
    return record.parents.get(task_id) or record.tasks[task_id].parent


def _task(record: Record, task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "category": task.category,
        "state": record.states.get(task.id, "used once"),
        "origin": task.origin,
        "source": task.source,
        "note": task.note,
        "born": task.born,
        "parent": _parent(record, task.id),
        "classes": list(task.start) or list(task.classes),
        "withheld": list(task.withheld),
        "turns": [
            {
                "user": cut(turn.user, MAX_TEXT),
                "calls": [cut(str(call), MAX_TEXT) for call in turn.ground_truth],
                "restores": list(turn.restores),
            }
            for turn in task.turns
        ],
        "events": [
            [e.epoch, e.step, e.kind, e.reason] for e in record.events if e.task_id == task.id
        ],
        "groups": [_group(record, g) for g in record.by_task.get(task.id, ())],
        "first": round(record.firsts[task.id].mean, 3) if task.id in record.firsts else None,
        "episode": _episode(record, task.id),
    }


def _group(record: Record, group: Group) -> dict[str, Any]:
    """A group as plain data. Mean and zone are None if all rollouts were lost. Outcomes have the
    order of the rewards, and are None if they equal the rewards."""
    pairs = sorted(zip(group.rewards, group.verified, strict=True))
    differ = group.verified != group.rewards
    return {
        "epoch": group.epoch,
        "step": group.step,
        "mean": round(group.mean, 3) if pairs else None,
        "zone": str(record.limits.zone(group.mean)) if pairs else None,
        "signal": str(group.signal),
        "rewards": [round(reward, 2) for reward, _ in pairs],
        "outcomes": [round(outcome, 2) for _, outcome in pairs] if differ else None,
    }


def _episode(record: Record, task_id: str) -> dict[str, Any] | None:
    if task_id not in record.episodes:
        return None
    step, progress, ending, transcript = record.episodes[task_id]
    left, messages = MAX_TRANSCRIPT, []
    for role, text in transcript:
        messages.append([role, cut(text, left)])
        left -= len(text)
        if left <= 0:
            rest = len(transcript) - len(messages)
            if rest:
                messages.append(["cut", f"{rest} more messages left out"])
            break
    lost = ending == Ending.ENVIRONMENT_FAILURE
    known = None if lost else progress
    return {"step": step, "progress": known, "ending": ending, "messages": messages}


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of the text, with a note if some are left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} [… {len(text) - limit:,} characters left out]"
