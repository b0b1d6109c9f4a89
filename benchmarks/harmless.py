"""Sound tasks changed so that they stay sound: no gate may mind."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from edits import Materials, failing, places, swapped, telling, with_turn, with_turns, words
from rods.grounding import choices
from rods.synthesis.story import themes
from rods.task import Task

Change = Callable[[Task, Materials, random.Random], Task | None]
GREETINGS = ("Good morning.", "Hello there.", "Hey.", "Good evening, I hope you are well.", "Hi!")
OPENERS = {
    "Please ": "Kindly ", "Could you ": "Would you ", "Can you ": "Will you ",
    "I'd like you to ": "I want you to ", "Now ": "At this point, ", "Next, ": "Following that, ",
    "After that, please ": "Afterwards, kindly ", "Then could you ": "Would you then ",
    "Once that's done, ": "As soon as that's finished, ", "I also need you to ": "You should also ",
    "Good. Now ": "Fine. And now ", "Great, please ": "Lovely, kindly ",
}  # fmt: skip
SYLLABLES = ("ba", "do", "fi", "ku", "le", "mo", "na", "ri", "so", "tu")


def renamed(task: Task, m: Materials, rng: random.Random) -> Task | None:
    """One value renamed in words, start and calls; all answers are the same but for its name."""
    texts = [p.leaf for p in places(task) if isinstance(p.leaf, str)]
    found = [v for v in texts if telling(v) and _named(v, words(task))]
    # The words cannot show whether a part of another value is meant, and a closed set is closed.
    schemas = [s for tool in m.world.tools.values() for s in tool.parameters.values()]
    closed = {str(choice) for schema in schemas for choice in choices(schema)}
    found = [v for v in found if not any(v in other for other in texts if other != v)]
    found = [v for v in found if v not in closed]
    if not found:
        return None
    old = rng.choice(found)
    stem, dot, suffix = old.partition(".")
    new = "".join(rng.choices(SYLLABLES, k=max(2, len(stem) // 2))) + dot + suffix
    turns = [
        turn.model_copy(
            update={
                "user": _in_text(turn.user, old, new),
                "ground_truth": tuple(
                    call.model_copy(update={"arguments": swapped(call.arguments, old, new)})
                    for call in turn.ground_truth
                ),
            }
        )
        for turn in task.turns
    ]
    changed = with_turns(task, turns, start=swapped(task.start, old, new))
    before, gold = m.trace(task), m.trace(changed)
    if before is None or gold is None or failing(changed, gold):
        return None
    back = [[text.replace(new, old) for text in row] for row in gold.responses]
    same = back == [[text.replace(new, old) for text in row] for row in before.responses]
    return m.refreshed(changed) if same else None


def reopened(task: Task, m: Materials, rng: random.Random) -> Task | None:
    """Every request that begins in a known way begins in another."""
    turns = []
    for turn in task.turns:
        user = turn.user
        for old, new in OPENERS.items():
            at = user.find(old)
            if at == 0 or (at > 0 and user[at - 2] in ".!"):
                user = user[:at] + new + user[at + len(old) :]
                break
        turns.append(turn.model_copy(update={"user": user}))
    changed = with_turns(task, turns)
    texts = {p.leaf for p in places(task) if isinstance(p.leaf, str) and p.leaf in words(task)}
    torn = any(text not in words(changed) for text in texts)
    return None if torn or changed.id == task.id else changed


def greeted(task: Task, m: Materials, rng: random.Random) -> Task | None:
    """A greeting before all."""
    return with_turn(task, 0, user=f"{rng.choice(GREETINGS)} {task.turns[0].user}")


def other_theme(task: Task, m: Materials, rng: random.Random) -> Task | None:
    """Another purpose in the first turn."""
    goals = sorted(theme.goal for theme in themes())
    own = next((goal for goal in goals if goal in task.turns[0].user), "")
    if not own:
        return None
    return with_turn(task, 0, user=task.turns[0].user.replace(own, rng.choice(goals)))


CHANGES: dict[str, Change] = {
    "a value renamed": renamed,
    "other openers": reopened,
    "a greeting": greeted,
    "another theme": other_theme,
}


def _named(value: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _in_text(text: str, old: Any, new: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, text)
