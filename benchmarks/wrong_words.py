"""Whether wrong words for right calls are refused, by the checks of a model's words or by a gate.

    rods synth --count 60 --out said.jsonl --backend llm --stage ground --no-rewrite ...
    python benchmarks/wrong_words.py said.jsonl --out benchmarks/results/wrong_words.json

The tasks are sound ones that were worded by a model. In each faulty copy the words of one turn are
wrong, and the rest is as it was. Plain substrings show that they are wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edits import Materials, Place, places, visible, with_turn
from rods.errors import UserError
from rods.files.tasks import read_tasks
from rods.grounding import spellings
from rods.provenance import leaves
from rods.synthesis.catalogue import spaced
from rods.synthesis.critique import Critic, Siblings
from rods.synthesis.inputs import inputs_of
from rods.synthesis.llm.word_checks import WordCheck
from rods.synthesis.stages import Executed, Plan
from rods.task import BASE, Call, Task

TRIES = 400  # at a faulty copy, for each one wanted
WORDS = 3  # of a text that must be set off
LETTERS = 4  # of a word of a tool's name
REFERENCES = ("the one from before", "that one", "the one we talked about", "the same as before")
QUOTES = "[\"'\u201c\u201d\u2018\u2019`]"
EXAMPLES = 20


class Planted(NamedTuple):
    """A task with wrong words in one turn, and what is wrong."""

    task: Task
    turn: int
    what: str


Plant = Callable[[Task, Materials, random.Random], Planted | None]


def dropped(task: Task, m: Materials, rng: random.Random) -> Planted | None:
    """A value that only these words state is no longer said."""
    place = _only_here(task, m, rng)
    if place is None:
        return None
    words = _replaced(task.turns[place.turn].user, place.leaf, "")
    return _without(task, place, words, "dropped")


def another_value(task: Task, m: Materials, rng: random.Random) -> Planted | None:
    """Another value of the parameter is said."""
    place = _only_here(task, m, rng)
    if place is None:
        return None
    call = task.turns[place.turn].ground_truth[place.call]
    other = m.other(call, place, rng)
    return _without(
        task, place, _replaced(task.turns[place.turn].user, place.leaf, str(other)), f"{other} for"
    )


def a_reference(task: Task, m: Materials, rng: random.Random) -> Planted | None:
    """The words refer to a value that nothing has shown, or describe a text to be written."""
    place = _only_here(task, m, rng)
    if place is None:
        return None
    user, value = task.turns[place.turn].user, place.leaf
    if isinstance(value, str) and len(value.split()) >= WORDS:
        # Without its marks, and in the middle of a sentence, a text describes what is meant.
        plain = value.strip(".!?").casefold()
        found = re.search(rf"{QUOTES}?{re.escape(value)}{QUOTES}?", user)
        if found is None or user.count(value) > 1:
            return None
        before = re.sub(r"[^\w]+$", "", user[: found.start()])
        words = f"{before} about the {plain} thing{user[found.end() :]}"
        return Planted(with_turn(task, place.turn, user=words), place.turn, f"about: {value}")
    return _without(task, place, _replaced(user, value, rng.choice(REFERENCES)), "a reference to")


def a_literal(task: Task, m: Materials, rng: random.Random) -> Planted | None:
    """The words also name a value that no call takes, where they referred to a shown one."""
    found = [p for p in places(task) if not visible(p.leaf, task.turns[p.turn].user)]
    found = [p for p in found if task.turns[p.turn].user.strip()]
    if not found:
        return None
    place = rng.choice(found)
    call = task.turns[place.turn].ground_truth[place.call]
    other = m.other(call, place, rng)
    gold = m.trace(task)
    assert gold is not None
    known = json.dumps([*(t.user for t in task.turns), *gold.responses], ensure_ascii=False)
    if str(other) in known or len(str(other)) < 3:
        return None
    words = f"{task.turns[place.turn].user.rstrip('.?! ')}, I mean {other}."
    return Planted(
        with_turn(task, place.turn, user=words), place.turn, f"{other}, not {place.leaf}"
    )


def another_tool(task: Task, m: Materials, rng: random.Random) -> Planted | None:
    """The words of another task's turn, which name another tool, with this turn's values."""
    spoken = [i for i, t in enumerate(task.turns) if t.ground_truth and t.user.strip()]
    index, other = rng.choice(spoken), rng.choice(m.tasks)
    turn = task.turns[index]
    asked = zip((None, *other.turns), other.turns, strict=False)  # no words that only add a value
    donors = [
        t for b, t in asked if t.ground_truth and t.user.strip() and (not b or b.ground_truth)
    ]
    if not donors:
        return None
    donor = rng.choice(donors)
    own, theirs = ({call.name for call in t.ground_truth} for t in (turn, donor))
    tools = m.world.env.tools(task)
    if theirs <= own or not theirs <= tools.keys():
        return None
    names = {w for tool in theirs - own for w in _names(tool)} - {w for o in own for w in _names(o)}
    if not any(name in donor.user.lower() for name in names):
        return None
    words, mine = donor.user, _said(turn.user, turn.ground_truth)
    for old in _said(words, donor.ground_truth):
        words = _replaced(words, old, str(mine.pop(0)) if mine else "it")
    words += "".join(f" ({value})" for value in mine)
    return Planted(with_turn(task, index, user=words), index, f"{theirs} for {own}")


KINDS: dict[str, Plant] = {
    "a value is dropped": dropped,
    "another value": another_value,
    "a reference for the literal": a_reference,
    "a literal for the reference": a_literal,
    "another tool": another_tool,
}


def _only_here(task: Task, m: Materials, rng: random.Random) -> Place | None:
    """A value that the words of its own turn state, and nothing before."""
    gold, found = m.trace(task), []
    for place in places(task):
        said = [turn.user for turn in task.turns[: place.turn]]
        assert gold is not None
        said += [text for row in gold.responses[: place.turn + 1] for text in row]
        known = any(visible(place.leaf, text) for text in said)
        if not known and visible(place.leaf, task.turns[place.turn].user):
            found.append(place)
    return rng.choice(found) if found else None


def _without(task: Task, place: Place, words: str, how: str) -> Planted | None:
    """The planted words, if they no longer have the value."""
    if visible(place.leaf, words) or str(place.leaf).casefold() in words.casefold():
        return None
    what = f"{how} {place.name}={place.leaf!r}"
    return Planted(with_turn(task, place.turn, user=words), place.turn, what)


def _replaced(words: str, value: Any, by: str) -> str:
    for written in sorted({*spellings(value)}, key=len, reverse=True):
        words = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", lambda _: by, words)
    return re.sub(r"\s+", " ", words)


def _names(tool: str) -> set[str]:
    """The words of a tool's name, without short ones and an -s."""
    return {word.rstrip("s") for word in spaced(tool).split() if len(word) >= LETTERS}


def _said(words: str, calls: Sequence[Call]) -> list[Any]:
    """The values of calls that words state, in the order of the calls."""
    values = [leaf for call in calls for leaf in leaves(call.arguments)]
    return [v for v in values if not isinstance(v, bool) and v is not None and visible(v, words)]


def planted(kind: Plant, m: Materials, wanted: int, rng: random.Random) -> Iterator[Planted]:
    """So many different ones, fewer if the tasks do not give them."""
    seen: set[str] = set()
    for _ in range(TRIES * wanted):
        made = kind(rng.choice(m.tasks), m, rng)
        if made is not None and (key := made.task.turns[made.turn].user) not in seen:
            seen.add(key)
            yield made
            if len(seen) == wanted:
                return


class Review:
    """The checks of a model's words, and the gates.

    The words that supply a missing value are checked together with the request before them, and by
    themselves, as in the making of a task.
    """

    def __init__(self, m: Materials) -> None:
        self._world = m.world
        self._check = WordCheck(m.world.tools, m.world.seeds)
        self._critic = Critic(m.world.env, m.world.held_out, learned=m.world.learned)
        self._known = {task.id: task for task in m.world.tasks}
        self._trace = m.trace

    def fault(self, task: Task, turn: int | None = None) -> str:
        """Why a task is refused, "" if it is not.

        Args:
            turn: only the words of this one are checked; by default those of all turns.
        """
        if found := self.words(task, turn):
            return f"words: {found}"
        self._critic.siblings = Siblings()
        return self._critic.review(task, self._known.get(task.parent)) or ""

    def words(self, task: Task, turn: int | None = None) -> str:
        """The complaint about the words of turns with calls."""
        gold, said = self._trace(task), [""]
        assert gold is not None
        calls, responses, at = [], [], []
        for index, one in enumerate(task.turns):
            said[-1] = f"{said[-1]} {one.user}".strip()  # with the turn before it that only asks
            if one.ground_truth:
                calls.append(one.ground_truth)
                responses.append(tuple(gold.responses[index]))
                at.append(index)
                said.append("")
        plan = Plan(BASE, task.classes, ())
        executed = Executed(plan, task.start, tuple(calls), tuple(responses))
        for index, words in enumerate(said[: len(calls)]):
            if turn in (None, at[index]):
                found = self._check.complaint(words, executed, index, said[:index])
                if found is None and words != task.turns[at[index]].user:
                    answer = task.turns[at[index]].user
                    found = self._check.of_answer(answer, executed, index)
                if found is not None:
                    return found.why
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="tasks as rods synth --out writes them")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--env", default="bfcl", help="bfcl, or package.module:Class")
    parser.add_argument("--tasks", type=Path, help="the seed tasks of your own class")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    try:
        m = Materials(inputs_of(args.env, args.tasks), read_tasks(args.file))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    review, rows = Review(m), {}
    sound = Counter(review.fault(task) or "accepted" for task in m.tasks)
    each = args.count // len(KINDS)
    for name, kind in KINDS.items():
        made = planted(kind, m, each, random.Random(f"{args.seed} {name}"))
        found = [(one, review.fault(one.task, one.turn)) for one in made]
        through = [
            {"task": one.task.id, "what": one.what, "words": one.task.turns[one.turn].user}
            for one, fault in found
            if not fault
        ]
        causes = Counter(fault for _, fault in found if fault)
        refused = len(found) - len(through)
        print(f"{name:<30} {refused} of {len(found)} refused  {dict(causes.most_common(3))}")
        rows[name] = {"number": len(found), "refused": refused, "by": dict(causes.most_common())}
        rows[name]["got through"] = through[:EXAMPLES]
    total = {key: sum(row[key] for row in rows.values()) for key in ("refused", "number")}
    print(f"{total['refused']} of {total['number']} refused; the sound tasks: {dict(sound)}")
    if args.out:
        result = {"seed": args.seed, **total, "kinds": rows, "sound": dict(sound)}
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
