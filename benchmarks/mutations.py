"""Sound tasks made faulty, in twelve ways.

Each mutation tells why what it makes is faulty, and looks for it with means other than the gates: a
replay, plain substrings, the simulators' own answers. Where chance leaves a task sound, nothing is
made of it. Records are refreshed unless the record is what is wrong.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from edits import (
    Materials,
    Place,
    failing,
    nodes,
    places,
    shown,
    swapped,
    telling,
    visible,
    with_calls,
    with_turn,
    with_turns,
    with_value,
    words,
)
from rods.provenance import leaves
from rods.reward import GoldTrace
from rods.task import Call, Task, Turn


class Mutant(NamedTuple):
    """A faulty task.

    Attributes:
        what: what was done to it.
        before: tasks that were admitted before.
        orphan: whether it is judged without its parent.
    """

    task: Task
    what: str
    before: tuple[Task, ...] = ()
    orphan: bool = False


Mutation = Callable[[Task, Materials, random.Random], Mutant | None]


def ungrounded(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A call's value, or the words', is another: what the call takes stands nowhere before it.

    Faulty since an agent cannot know the value; a plain search must not find it even within other
    words, the tool must accept it, and it must lead elsewhere than the old one.
    """
    place = rng.choice(places(task) or [Place(0, 0, "", None)])
    if place.leaf is None:
        return None
    call = task.turns[place.turn].ground_truth[place.call]
    new = m.other(call, place, rng)
    if rng.random() < 0.5:
        mutant, value = with_value(task, place, new), new
    else:
        user = _replaced(task.turns[place.turn].user, place.leaf, new)
        if user is None:
            return None
        mutant, value = with_turn(task, place.turn, user=user), place.leaf
    gold, old = m.trace(mutant), m.trace(task)
    if gold is None or old is None or failing(mutant, gold):
        return None
    seen = words(mutant, place.turn + 1) + shown(gold, place.turn, place.call)
    same = value is new and gold.record == old.record
    written = json.dumps(value, ensure_ascii=False).strip('"')  # a text of two lines in a response
    if same or visible(value, seen) or visible(written, seen):
        return None
    return Mutant(m.refreshed(mutant), f"{call.name}.{place.name}: {value!r} is not said")


DISGUISES = ("{}", "{}()", "{}(", "`{}`", "'{}'", '"{}"', "({})", "{}:", "the {} tool", "_{}_")


def leaked_name(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A code-like name of a tool or parameter stands between two words.

    Faulty since people do not know these names; a name that is also a value is not taken, and no
    value of the turn is torn.
    """
    tools = m.world.env.tools(task).values()
    names = {n for tool in tools for n in (tool.name, *tool.parameters)}
    coded = sorted(n for n in names if ("_" in n or n != n.lower()) and not visible(n, words(task)))
    values = {str(leaf) for place in places(task) for leaf in [place.leaf]}
    index = rng.choice([i for i, turn in enumerate(task.turns) if turn.user])
    said = task.turns[index].user.split(" ")
    at, name = rng.randint(0, len(said)), rng.choice(coded)
    put = rng.choice(DISGUISES).format(name)
    if rng.random() < 0.1:
        put = f"{rng.choice(sorted(names))}("
    user = " ".join([*said[:at], put, *said[at:]])
    torn = any(user.count(v) < task.turns[index].user.count(v) for v in values)
    if name in values or torn:
        return None
    return Mutant(with_turn(task, index, user=user), f"turn {index}: {put}")


def superfluous(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A call more, which tells nothing new and changes nothing; or a write that is overwritten.

    Faulty since nobody asks for it. A repeated call must answer what was answered before, and leave
    every state and every other answer as they were. An overwritten write changes the state, has a
    value that is nowhere in the words, and the next call undoes it.
    """
    old = m.trace(task)
    filled = [i for i, turn in enumerate(task.turns) if turn.ground_truth]
    index = rng.choice(filled)
    calls = task.turns[index].ground_truth
    at = rng.randint(0, len(calls))
    earlier = [c for turn in task.turns[:index] for c in turn.ground_truth] + list(calls[:at])
    if rng.random() < 0.7:
        if not earlier:
            return None
        extra, twice = rng.choice(earlier), True
    else:
        found = [p for p in places(task) if p.turn == index]
        if not found:
            return None
        place, twice = rng.choice(found), False
        at, call = place.call, calls[place.call]
        new = m.other(call, place, rng)
        if visible(new, words(task)):
            return None
        changed = swapped(call.arguments[place.name], place.leaf, new)
        extra = Call.model_construct(
            name=call.name, arguments={**call.arguments, place.name: changed}
        )
    mutant = with_calls(task, index, [*calls[:at], extra, *calls[at:]])
    gold = m.trace(mutant)
    if old is None or gold is None or failing(mutant, gold) or gold.states != old.states:
        return None
    rest = [list(row) for row in gold.responses]
    answer = rest[index].pop(at)
    known = answer in [t for row in old.responses[:index] for t in row] + rest[index][:at]
    if rest != [list(row) for row in old.responses] or not (
        known if twice else _writes(mutant, m, index, at)
    ):
        return None
    return Mutant(m.refreshed(mutant), f"turn {index}, place {at}: {extra}")


def swapped_turns(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """Two turns' ground truths, or two whole turns, have changed places.

    Ground truths: faulty since a value that one turn's words tell, and the other's do not, is used
    in the other. Whole turns: faulty if a call then fails, or uses a value that only comes later.
    """
    full = [
        i
        for i, turn in enumerate(task.turns)
        if turn.user and turn.ground_truth and (i == 0 or task.turns[i - 1].ground_truth)
    ]
    if len(full) < 2:
        return None
    i, j = sorted(rng.sample(full, 2))
    turns, one, two = list(task.turns), task.turns[i], task.turns[j]
    if rng.random() < 0.5:
        turns[i] = one.model_copy(update={"ground_truth": two.ground_truth})
        turns[j] = two.model_copy(update={"ground_truth": one.ground_truth})
        if not (_own(one, two, words(task, i)) or _own(two, one, words(task, i))):
            return None
        mutant, what = with_turns(task, turns), f"ground truths of {i} and {j}"
        return Mutant(m.refreshed(mutant), what)
    turns[i], turns[j] = two, one
    mutant = with_turns(task, turns)
    gold = m.trace(mutant)
    if gold is not None and not failing(mutant, gold):
        before = m.trace(task)
        if before is None or not _unknown(mutant, gold) - _unknown(task, before):
            return None
    return Mutant(m.refreshed(mutant), f"turns {i} and {j}")


def broken_patch(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """One place of the start state is removed, is of another type, or is torn.

    Faulty if the state does not load, a call fails, or a call answers otherwise than recorded. Only
    in the last case the record stays: it is what tells.
    """
    start = copy.deepcopy(dict(task.start))
    path = rng.choice(list(nodes(start)) or [()])
    if not path:
        return None
    holder: Any = start
    for key in path[:-1]:
        holder = holder[key]
    old, kind = holder[path[-1]], rng.choice(["removed", "retyped", "torn"])
    if kind == "removed":
        del holder[path[-1]]
    elif kind == "retyped":
        holder[path[-1]] = [old] if isinstance(old, str | dict) else {"value": old}
    elif isinstance(old, dict) and old:
        holder[path[-1]] = dict(list(old.items())[:-1])
    elif isinstance(old, str) and len(old) > 1:
        holder[path[-1]] = old[: len(old) // 2]
    else:
        return None
    mutant = task.model_copy(update={"start": start})
    gold, before = m.trace(mutant), m.trace(task)
    what = f"start {kind} at {'/'.join(map(str, path))}"
    if gold is None or before is None:
        return Mutant(mutant, what + ", does not run")
    if failing(mutant, gold) and not failing(task, before):
        return Mutant(m.refreshed(mutant), what + ", a call fails")
    if gold.responses != before.responses:
        return Mutant(mutant, what + ", answers differ")
    return None


def unreachable(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """Words and call name what is not there, or an earlier call that was needed is gone.

    Faulty since a call of the ground truth fails by the simulator's own answer.
    """
    if rng.random() < 0.6:
        found = places(task)
        if not found:
            return None
        place = rng.choice(found)
        new = (
            f"absent{rng.randint(10, 99)}" if isinstance(place.leaf, str) else 987_000 + place.turn
        )
        user = _replaced(task.turns[place.turn].user, place.leaf, new)
        if user is None:
            return None
        mutant = with_value(with_turn(task, place.turn, user=user), place, new)
        what = f"turn {place.turn}: {place.name} is {new}"
    else:
        index = rng.choice([i for i, turn in enumerate(task.turns) if turn.ground_truth])
        calls = list(task.turns[index].ground_truth)
        gone = calls.pop(rng.randrange(len(calls)))
        if not calls:
            return None
        mutant, what = with_calls(task, index, calls), f"turn {index}: without {gone}"
    gold, before = m.trace(mutant), m.trace(task)
    if gold is None or before is None or failing(task, before) or not failing(mutant, gold):
        return None
    return Mutant(m.refreshed(mutant), what)


ASIDES = (
    "For your information, it is {}.", "Mind {}.", "I was told {}!", "({})", '"{}"', "{},", "{}?",
)  # fmt: skip


def known_parameter(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """What a missing parameter's answer tells stands in some earlier turn, or is shown there.

    Faulty since nothing is missing then: every value that the answer tells has been put in.
    """
    if task.category != "miss_param":
        return None
    empty = next(i for i, turn in enumerate(task.turns) if not turn.ground_truth)
    answer = task.turns[empty + 1].user
    values = [p.leaf for p in places(task) if p.turn == empty + 1]
    told = list(dict.fromkeys(v for v in values if visible(v, answer)))
    if not told:
        return None
    index = rng.randint(0, empty)
    if rng.random() < 0.3 and empty:  # an earlier tool shows it
        index = rng.randrange(empty)
        tools = [t for t in m.world.env.tools(task).values() if not t.required]
        extra = Call(name=rng.choice(sorted(t.name for t in tools)))
        turn = task.turns[index]
        mutant = with_turn(task, index, ground_truth=(*turn.ground_truth, extra))
        gold = m.trace(mutant)
        if gold is None or failing(mutant, gold):
            return None
        if not all(
            re.search(rf"(?<![\w.]){re.escape(str(v))}(?![\w.])", gold.responses[index][-1])
            for v in told
        ):
            return None
        return Mutant(m.refreshed(mutant), f"turn {index}: {extra.name} shows {told}")
    aside = rng.choice(ASIDES).format(" and ".join(map(str, told)))
    mutant = with_turn(task, index, user=f"{task.turns[index].user} {aside}")
    return Mutant(m.refreshed(mutant), f"turn {index}: {aside}")


def unneeded_tool(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """The withheld tool is not used on release, is used before, or another does the same.

    Faulty by the category's meaning. For the last, the turn asks for something that two tools of
    the calculator answer with the same text: a sum of two numbers, or the largest, the smallest or
    the sum of one. The other tool is called too, to see that it does.
    """
    if task.category != "miss_func":
        return None
    release = next(i for i, turn in enumerate(task.turns) if turn.restores)
    used = {call.name for call in task.calls}
    replaceable = "MathAPI" in task.classes and rng.random() < 0.8
    kind = "replaceable" if replaceable else rng.choice(["unused", "early"])
    if kind == "unused":
        tools = sorted(m.world.env.tools(task).keys() - used)
        name = rng.choice(tools)
        mutant = with_turn(task.model_copy(update={"withheld": (name,)}), release, restores=(name,))
        return Mutant(mutant, f"withheld {name} is not used")
    if kind == "early":
        filled = [i for i, turn in enumerate(task.turns[:release]) if turn.ground_truth]
        calls = [c for c in task.turns[release].ground_truth if c.name in task.withheld]
        if not filled:
            return None
        index = rng.choice(filled)
        early = (*task.turns[index].ground_truth, rng.choice(calls))
        mutant = with_calls(task, index, early)
        return Mutant(m.refreshed(mutant), f"turn {index} uses {task.withheld[0]} while withheld")
    one, two = rng.randint(12, 900), rng.randint(12, 900)
    only, both = {"numbers": [one]}, {"numbers": [one, two]}
    add = Call(name="add", arguments={"a": one, "b": two})
    total = Call(name="sum_values", arguments=both)
    largest, smallest = (
        Call(name="max_value", arguments=only),
        Call(name="min_value", arguments=only),
    )
    call, other, asks = rng.choice(
        [
            (add, total, f"Add {one} and {two}."),
            (total, add, f"Sum up {one} and {two}."),
            (largest, smallest, f"Which is the largest of just {one}?"),
            (smallest, largest, f"Which is the smallest of just {one}?"),
        ]
    )
    if any(c.name == call.name for turn in task.turns[:release] for c in turn.ground_truth):
        return None
    turns = list(task.turns)
    turns[release - 1] = Turn(user=asks)
    turns[release] = Turn(user="", ground_truth=(call,), restores=(call.name,))
    mutant = with_turns(task, turns, withheld=(call.name,))
    gold, instead = m.trace(mutant), m.trace(with_calls(mutant, release, [other]))
    if gold is None or failing(mutant, gold) or gold != instead:
        return None
    what = f"{call.name} is withheld, {other.name} does it"
    return Mutant(m.refreshed(mutant), what, orphan=True)


def duplicate(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """The task once more, with another origin, or with its words spelt a little otherwise.

    Faulty since it was admitted already and nothing that matters has changed.
    """
    kind = rng.choice(["origin", "case", "spacing", "punctuation"])
    if kind == "origin":
        other = rng.choice(m.world.parents)
        more = {"origin": "model", "parent": other.id, "born": 7, "note": "n", "lineage": {"a": 1}}
        return Mutant(task.model_copy(update=more), "other origin and parent", (task,))

    def spelt(text: str) -> str:
        if kind == "case":
            return rng.choice([text[:1].lower() + text[1:], text.upper(), text.capitalize()])
        if kind == "spacing":
            return f" {text.replace(' ', rng.choice(['  ', chr(10), chr(9)]))} "
        return text.rstrip(".?") + rng.choice(["!", "...", " ?", ";"])

    turns = [t.model_copy(update={"user": spelt(t.user)}) if t.user else t for t in task.turns]
    mutant = with_turns(task, turns)
    return None if mutant.id == task.id else Mutant(mutant, f"other {kind}", (task,))


def held_out_copy(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A task that is held out, with few words changed, or with its calls under other words.

    Faulty since training on it would be training on the test. One word in twenty is changed at
    most; other words are those of a sound task, and there are two calls with arguments at least.
    """
    copied = rng.choice(m.world.held_out)
    turns = list(copied.turns)
    if rng.random() < 0.5:
        count = len(words(copied).split())
        for _ in range(count // 20):
            index = rng.choice([i for i, turn in enumerate(turns) if turn.user])
            said = turns[index].user.split(" ")
            at = rng.randrange(len(said))
            said[at : at + rng.randint(0, 1)] = [rng.choice(["quite", "kindly", "the", "that"])]
            turns[index] = turns[index].model_copy(update={"user": " ".join(said)})
        what, enough = "few words changed", count >= 20
    else:
        said = [turn.user for turn in task.turns if turn.user]
        turns = [
            t.model_copy(update={"user": said[i % len(said)]}) if t.user else t
            for i, t in enumerate(turns)
        ]
        enough = sum(bool(call.arguments) for call in copied.calls) >= 2
        enough = enough and len({str(c) for c in copied.calls}) >= 2
        what = "its calls under other words"
    more = {"source": "", "origin": "program", "parent": task.parent}
    mutant = with_turns(copied, turns, **more)
    return Mutant(m.refreshed(mutant), f"{copied.source}: {what}") if enough else None


def oversize(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A string of more than 200 characters, a list of more than five, or more than five turns.

    Faulty by the paper's limits; words and record say the same, and no call fails.
    """
    kind = rng.choice(["string", "list", "turns"])
    if kind == "turns":
        reads = [t for t in task.turns if t.user and t.ground_truth]
        if not reads:
            return None
        more = [rng.choice(reads) for _ in range(6 - len(task.turns))]
        mutant, what = with_turns(task, [*task.turns, *more]), "six turns"
        return Mutant(m.refreshed(mutant), what)
    if kind == "string":
        found = [p for p in places(task) if isinstance(p.leaf, str)]
        place = rng.choice(found) if found else Place(0, 0, "", None)
        user = _replaced(task.turns[place.turn].user, place.leaf, "") if found else None
        if user is None:
            return None
        new = place.leaf + " very" * rng.randint(41, 80)
        user = _replaced(task.turns[place.turn].user, place.leaf, new)
        mutant = with_value(with_turn(task, place.turn, user=user), place, new)
    else:
        found = [
            p
            for p in places(task)
            if isinstance(task.turns[p.turn].ground_truth[p.call].arguments[p.name], list)
        ]
        if not found:
            return None
        place = rng.choice(found)
        calls = list(task.turns[place.turn].ground_truth)
        call = calls[place.call]
        value = list(call.arguments[place.name])  # type: ignore[arg-type]
        extra = [m.other(call, place, rng) for _ in range(6)]
        arguments = {**call.arguments, place.name: value + extra}
        calls[place.call] = Call.model_construct(name=call.name, arguments=arguments)
        user = f"{task.turns[place.turn].user} And {' , '.join(map(str, extra))}."
        mutant = with_turn(task, place.turn, user=user, ground_truth=tuple(calls))
    gold = m.trace(mutant)
    if gold is None or failing(mutant, gold):
        return None
    return Mutant(m.refreshed(mutant), f"{kind} at turn {place.turn}, {place.name}")


def wrong_record(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """The record is altered, or the calls are while the record stays.

    Faulty since the task then expects another state or other answers than its calls lead to: a
    replay differs from the record.
    """
    record, kind = list(task.record), rng.choice(["digest", "order", "short", "value", "calls"])
    mutant = task
    if kind == "digest":
        at, place = rng.randrange(len(record)), rng.randrange(16)
        old = record[at][place]
        new = rng.choice([c for c in "0123456789abcdef" if c != old])
        record[at] = record[at][:place] + new + record[at][place + 1 :]
    elif kind == "order":
        rng.shuffle(record)
    elif kind == "short":
        record = record[:-1]
    else:
        found = places(task)
        if not found:
            return None
        place_ = rng.choice(found)
        call = task.turns[place_.turn].ground_truth[place_.call]
        said = [p.leaf for p in found if type(p.leaf) is type(place_.leaf) and p != place_]
        new = rng.choice(said) if said and kind == "value" else m.other(call, place_, rng)
        mutant = with_value(task, place_, new)
    mutant = mutant.model_copy(update={"record": tuple(record)})
    gold = m.trace(mutant)
    if not record or gold is None or gold.record == mutant.record:
        return None
    return Mutant(mutant, f"record: other {kind}")


MUTATIONS: dict[str, Mutation] = {
    "ungrounded argument": ungrounded,
    "leaked name": leaked_name,
    "superfluous call": superfluous,
    "swapped turns": swapped_turns,
    "broken start state": broken_patch,
    "unreachable state": unreachable,
    "missing value known": known_parameter,
    "withheld tool not needed": unneeded_tool,
    "duplicate": duplicate,
    "near a held-out task": held_out_copy,
    "too large": oversize,
    "wrong expected state": wrong_record,
}


def _replaced(text: str, old: Any, new: Any) -> str | None:
    """The text with one value for another; None unless the old one stands there just once."""
    written = re.escape(str(old))
    found = re.findall(rf"(?<!\w){written}(?!\w)", text)
    if len(found) != 1:
        return None
    return re.sub(rf"(?<!\w){written}(?!\w)", lambda _: str(new), text)


def _unknown(task: Task, gold: GoldTrace) -> set[Any]:
    """Values that are not visible before their call; some are said in another form."""
    return {
        p.leaf
        for p in places(task)
        if not visible(p.leaf, words(task, p.turn + 1) + shown(gold, p.turn, p.call))
    }


def _own(turn: Turn, other: Turn, before: str) -> bool:
    """Whether a turn uses a value that its words alone tell, of the two turns and those before."""
    theirs = [leaf for c in other.ground_truth for v in c.arguments.values() for leaf in leaves(v)]
    return any(
        leaf not in theirs
        and not isinstance(leaf, bool)
        and telling(leaf)
        and visible(leaf, turn.user)
        and not visible(leaf, other.user + before)
        for call in turn.ground_truth
        for value in call.arguments.values()
        for leaf in leaves(value)
    )


def _writes(task: Task, m: Materials, turn: int, at: int) -> bool:
    """Whether a call changes the state."""
    session = m.world.env.open(task)
    calls = [c for t in task.turns[:turn] for c in t.ground_truth]
    for call in [*calls, *task.turns[turn].ground_truth[:at]]:
        session.call(call)
    before = session.state()
    session.call(task.turns[turn].ground_truth[at])
    return not session.matches(before)
