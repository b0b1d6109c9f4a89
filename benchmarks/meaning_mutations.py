"""Tasks that a person would not give, made of sound ones in six ways.

As in `mutations`, each says why what it makes is faulty, and finds that without the gates: by the
simulators' own data, plain substrings and fixed tables.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from num2words import num2words  # type: ignore[import-untyped]

from edits import Materials, Place, failing, places, shown, visible, with_turn, with_value, words
from mutations import Mutant, Mutation
from rods.grounding import choices
from rods.task import Call, Task

POINTERS = ("that one", "one of those", "the one I mean", "it", "the right one")
ALSO_SAID = {"Buy": ("purchase", "acquire")}
SIGNED = ("tags", "mentions")  # their documents say that a value starts with # or @
FAR = 25  # times the largest number that the seed tasks have for a parameter
# Calls of which the second undoes the first; {} is a new name.
UNDOING = (
    ("GorillaFileSystem", ("mkdir", {"dir_name": "{}"}), ("rm", {"file_name": "{}"}),
     "Make a folder named {}, and then remove {} again."),
    ("GorillaFileSystem", ("touch", {"file_name": "{}.txt"}), ("rm", {"file_name": "{}.txt"}),
     "Create the file {}.txt, and delete {}.txt after that."),
    ("TwitterAPI", ("follow_user", {"username_to_follow": "{}"}),
     ("unfollow_user", {"username_to_unfollow": "{}"}), "Follow {}, and then stop following {}."),
    ("TradingBot", ("add_to_watchlist", {"stock": "NVDA"}),
     ("remove_stock_from_watchlist", {"symbol": "NVDA"}),
     "Put NVDA on my watchlist, and then take NVDA off it."),
)  # fmt: skip
NAMES = ("quarry", "lantern", "meadow", "harbour", "pebble", "juniper", "saffron", "willow")


def ambiguous(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """Words that named one of several things of a list point to "that one" instead.

    Faulty since an earlier response shows the thing in a list with others of its form, and nothing
    in the words of this turn or of an earlier one has a part of its name.
    """
    gold, found = m.trace(task), places(task)
    if gold is None or not found:
        return None
    place = rng.choice(found)
    value, turn = place.leaf, task.turns[place.turn]
    rivals = _listed_with(value, [text for row in gold.responses[: place.turn] for text in row])
    rivals = [rival for rival in rivals if not visible(rival, turn.user)]
    if not isinstance(value, str) or not rivals or len(_told(task, place)) > 1:
        return None
    user = _said_as(turn.user, value, rng.choice(POINTERS))
    if user is None:
        return None
    mutant = with_turn(task, place.turn, user=user)
    said, parts = words(mutant, place.turn + 1).casefold(), re.findall(r"[^\W\d_]{3,}", value)
    if any(part.casefold() in said for part in (value, *parts)) or re.search(r"\d", user):
        return None
    return Mutant(mutant, f"turn {place.turn}: {value} or {rivals[:3]}")


def mixed_record(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """An order has the price of another stock.

    Faulty since in all seed tasks with a stock's price the order is at the price of its own stock.
    The start state holds both stocks with different prices, and the words say what the call takes.
    """
    stocks = _stocks(task)
    found = [
        p for p in places(task) if p.name == "price" and _called(task, p).name == "place_order"
    ]
    if not found:
        return None
    place = rng.choice(found)
    own = stocks.get(str(_called(task, place).arguments.get("symbol")))
    others = sorted(price for price in stocks.values() if price != own)
    if own is None or not others:
        return None
    user = _said_as(task.turns[place.turn].user, place.leaf, new := rng.choice(others))
    if user is None or own in (new, None):
        return None
    mutant = with_value(with_turn(task, place.turn, user=user), place, new)
    return _ran(mutant, m, f"turn {place.turn}: price {new}, not {own}")


def out_of_range(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A number is `FAR` times as large as any that the seed tasks have for the parameter.

    Faulty since nobody fills in 5,000 gallons. The tool accepts it, and the words say it.
    """
    found = [p for p in places(task) if isinstance(p.leaf, int | float) and "id" not in p.name]
    found = [p for p in found if p.leaf == _called(task, p).arguments[p.name]]  # no item of a list
    if not found:
        return None
    place = rng.choice(found)
    known = [v for seed in m.world.seeds for v in _used(seed, _called(task, place).name, place)]
    held = [v for seed in (*m.world.seeds, task) for v in _held(seed.start, place.name)]
    if len(set(known)) < 2 or place.name.endswith("number"):
        return None
    new: float = FAR * max(abs(v) for v in (*known, *held)) + rng.randint(1, 9)
    if isinstance(place.leaf, int):
        new = int(new)
    user = _said_as(task.turns[place.turn].user, place.leaf, new)
    if user is None:
        return None
    mutant = with_value(with_turn(task, place.turn, user=user), place, new)
    return _ran(mutant, m, f"turn {place.turn}: {place.name} {new}, seed tasks up to {max(known)}")


def broken_equality(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A tweet of the start state has the number of another under its own key.

    Faulty since in all seed tasks a tweet's key is its number. The ground truth still runs.
    """
    tweets = task.start.get("TwitterAPI", {}).get("tweets", {})
    if len(tweets) < 1:
        return None
    start = copy.deepcopy(dict(task.start))
    key = rng.choice(sorted(tweets, key=str))
    old = tweets[key].get("id")
    if not isinstance(old, int):
        return None
    start["TwitterAPI"]["tweets"][key]["id"] = old + rng.randint(1, 90)
    return _ran(task.model_copy(update={"start": start}), m, f"tweet {key} has another number")


def undone(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """A turn makes a thing and removes it.

    Faulty since the turn leads to nothing. Both calls succeed, and the words ask for both.
    """
    kinds = [row for row in UNDOING if row[0] in task.classes]
    filled = [i for i, turn in enumerate(task.turns) if turn.user and turn.ground_truth]
    if "NVDA" in task.start.get("TradingBot", {}).get("watch_list", ()):
        kinds = [row for row in kinds if row[0] != "TradingBot"]
    if not kinds or not filled:
        return None
    _, *pair, asks = rng.choice(kinds)
    index, name = rng.choice(filled), rng.choice(NAMES)
    turn = task.turns[index]
    if visible(name, json.dumps(task.start, default=str)):
        return None
    calls = [
        Call(name=call[0], arguments={k: v.format(name) for k, v in call[1].items()})
        for call in pair
    ]
    user = f"{turn.user} {asks.format(name, name)}"
    mutant = with_turn(task, index, user=user, ground_truth=(*turn.ground_truth, *calls))
    return _ran(mutant, m, f"turn {index}: {calls[0]}, {calls[1]}")


def wrong_form(task: Task, m: Materials, rng: random.Random) -> Mutant | None:
    """The words say another value than the call takes, in an everyday form.

    Faulty since the words are wrong: the day before, "forty-eight" for 49, "rear right" for
    rear_left, "purchase" for Sell, "unlock" for a lock, "secure" to unlock, another tag. The right
    value is nowhere in the words or responses before.
    """
    made = list(_forms(task, m, rng, wrong=True))
    if not made:
        return None
    place, user, new = rng.choice(made)
    mutant, gold = with_turn(task, place.turn, user=user), m.trace(task)
    if gold is None:
        return None
    seen = words(mutant, place.turn + 1) + shown(gold, place.turn, place.call)
    if not isinstance(place.leaf, bool) and visible(place.leaf, seen):
        return None
    return Mutant(mutant, f"turn {place.turn}: {new!r} for {place.name}={place.leaf!r}")


def in_everyday_form(task: Task, m: Materials, rng: random.Random) -> Task | None:
    """One value of the words in an everyday form; the task stays sound."""
    made = list(_forms(task, m, rng, wrong=False))
    if not made:
        return None
    place, user, _ = rng.choice(made)
    return with_turn(task, place.turn, user=user)


MEANING_MUTATIONS: dict[str, Mutation] = {
    "ambiguous reference": ambiguous,
    "mixed record": mixed_record,
    "number out of range": out_of_range,
    "broken equality": broken_equality,
    "undone step": undone,
    "wrong everyday form": wrong_form,
}


def _forms(
    task: Task, m: Materials, rng: random.Random, *, wrong: bool
) -> Iterator[tuple[Place, str, str]]:
    """Places with words in which their value has an everyday form, and this form."""
    for place in places(task):
        form = _form(place, m, task, rng, wrong)
        if form is not None:
            user = _said_as(task.turns[place.turn].user, place.leaf, form)
            if user is not None:
                yield place, user, form
    for index, turn in enumerate(task.turns):
        locks = [call.name for call in turn.ground_truth].count("lockDoors")
        for position, call in enumerate(turn.ground_truth):
            flag = call.arguments.get("unlock")
            if locks == 1 and call.name == "lockDoors" and isinstance(flag, bool):
                said = "unlock" if flag != wrong else rng.choice(("lock", "secure"))
                user = re.sub(r"\b(un)?lock\b", said, turn.user, flags=re.IGNORECASE)
                changed = user != turn.user
                if (changed or not wrong) and re.search(r"\b(un)?lock\b", turn.user, re.IGNORECASE):
                    yield Place(index, position, "unlock", flag), user, said


def _form(place: Place, m: Materials, task: Task, rng: random.Random, wrong: bool) -> str | None:
    """An everyday form of a place's value, or of another value; None if there is none."""
    leaf = place.leaf
    schema = m.world.tools[_called(task, place).name].parameters.get(place.name, {})
    if isinstance(leaf, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", leaf):
        day = date.fromisoformat(leaf) + timedelta(days=rng.choice((-1, 1, 7)) if wrong else 0)
        return rng.choice((f"{day:%B} {day.day}, {day.year}", f"{day.day} {day:%B} {day.year}"))
    if isinstance(leaf, int) and 10 < leaf < 1000:
        return str(num2words(leaf + (rng.choice((-1, 1, 10)) if wrong else 0)))
    if isinstance(leaf, str) and leaf in (closed := choices(schema)):
        others = [c for c in closed if c != leaf] if wrong else [leaf]
        chosen = str(rng.choice(others)) if others else ""
        forms = (chosen.replace("_", " ").lower(), *ALSO_SAID.get(chosen, ()))
        return rng.choice(forms) if "_" in chosen or chosen.istitle() else None
    if place.name in SIGNED and re.fullmatch(r"[#@]\w+", str(leaf)):
        return f"{leaf[1:]}{'More' if wrong else ''}"
    return None


def _called(task: Task, place: Place) -> Call:
    return task.turns[place.turn].ground_truth[place.call]


def _told(task: Task, place: Place) -> set[Any]:
    """All values that the turn's calls have under the name of a place."""
    return {p.leaf for p in places(task) if p.turn == place.turn and p.name == place.name}


def _said_as(user: str, value: Any, new: Any) -> str | None:
    """The words with something else for a value, everywhere; None if they do not have it."""
    written = re.escape(str(value))
    if isinstance(value, float) and value == int(value):
        written = rf"{int(value)}(?:\.0)?"
    pattern = rf"(?<![\w.]){written}(?!\w|\.\w)"
    made, count = re.subn(pattern, lambda found: str(new), user)
    return made if count else None


def _listed_with(value: Any, texts: list[str]) -> list[str]:
    """Other strings in a list with a value, in the latest response that has it."""
    for text in reversed(texts):
        try:
            stack = [json.loads(text)]
        except ValueError:
            continue
        while stack:
            item = stack.pop()
            if isinstance(item, list) and value in item:
                return [v for v in item if isinstance(v, str) and v != value]
            if isinstance(item, dict | list):
                stack += item.values() if isinstance(item, dict) else item
    return []


def _stocks(task: Task) -> dict[str, float]:
    stocks = task.start.get("TradingBot", {}).get("stocks", {})
    return {name: stock["price"] for name, stock in stocks.items() if "price" in stock}


def _used(seed: Task, tool: str, place: Place) -> list[float]:
    """The numbers that a seed task's calls of a tool have for a parameter."""
    return [
        p.leaf
        for p in places(seed)
        if p.name == place.name and seed.turns[p.turn].ground_truth[p.call].name == tool
        if isinstance(p.leaf, int | float)
    ]


def _held(state: Any, name: str) -> Iterator[float]:
    """The numbers of a state under a name that is like the parameter's."""
    if isinstance(state, dict):
        for key, value in state.items():
            like = name.lower()[:4] in str(key).lower() or str(key).lower()[:4] in name.lower()
            if like and isinstance(value, int | float) and not isinstance(value, bool):
                yield value
            yield from _held(value, name)
    elif isinstance(state, list):
        for item in state:
            yield from _held(item, name)


def _ran(mutant: Task, m: Materials, what: str) -> Mutant | None:
    """The mutant with its record, if no call fails."""
    gold = m.trace(mutant)
    if gold is None or failing(mutant, gold):
        return None
    return Mutant(m.refreshed(mutant), what)
