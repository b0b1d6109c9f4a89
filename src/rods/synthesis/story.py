"""Voices: how phrases become the user's words, with or without a story."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from rods.files.reading import parse_yaml
from rods.synthesis.people import speaker
from rods.synthesis.stages import Executed


class Theme(BaseModel):
    """A person's purpose that fits some classes.

    Attributes:
        classes: those it suits; empty for any.
        goal: what comes after "I am", as "getting the car ready for a long drive".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal: str
    classes: frozenset[str] = frozenset()


class Story(NamedTuple):
    """Who speaks, and why."""

    name: str
    goal: str

    def __str__(self) -> str:
        return f"{self.name} is {self.goal}." if self.name else ""


class Voice(Protocol):
    """How requests are put together."""

    refers: bool
    """Whether it may refer to what the user named before."""
    whole: bool
    """Whether it speaks in whole sentences."""

    def story(self, executed: Executed, rng: random.Random) -> Story: ...

    def request(self, parts: Sequence[str], turn: int, story: Story, rng: random.Random) -> str:
        """A turn's words out of a phrase for each call."""

    def answer(self, noun: str, value: str, rng: random.Random) -> str:
        """The words that supply a missing value."""

    def close(self, rng: random.Random) -> str:
        """The words of a turn that asks for nothing."""


class PlainVoice:
    """Compact requests without a story: what a small policy can read."""

    refers = False
    whole = False
    OPENERS = ("", "", "", "please ", "now ", "next ")
    CLOSERS = ("thank you that is all", "good work so far", "that looks fine to me")

    def story(self, executed: Executed, rng: random.Random) -> Story:
        return Story("", "")

    def request(self, parts: Sequence[str], turn: int, story: Story, rng: random.Random) -> str:
        return rng.choice(self.OPENERS) + " then ".join(parts)

    def answer(self, noun: str, value: str, rng: random.Random) -> str:
        return f"the {noun} is {value}"

    def close(self, rng: random.Random) -> str:
        return rng.choice(self.CLOSERS)


class SentenceVoice:
    """Whole sentences by a named person with a purpose.

    The person is the user that the start state names, if it does.

    Args:
        themes: purposes to draw from; none leaves the story out.
    """

    refers = True
    whole = True
    FIRST = (
        "Could you {}?", "Please {}.", "I'd like you to {}.", "Can you {}?", "{}.",
        "First of all, {}.", "To begin with, please {}.", "I need you to {}.",
        "Would you {}, please?", "Let's start: {}.", "Do me a favor and {}.",
        "I was hoping you could {}.",
    )  # fmt: skip
    LATER = (
        "Now {}.", "Next, {}.", "After that, please {}.", "Then could you {}?", "Once that's done,"
        " {}.", "I also need you to {}.", "Good. Now {}.", "Great, please {}.", "{}, please.",
        "Thanks. Could you {} as well?", "Perfect, now I'd like you to {}.", "And now, {}.",
        "With that out of the way, {}.", "The next thing is to {}.", "Would you also {}?",
        "All right, go on and {}.",
    )  # fmt: skip
    JOINS = (
        ", and then ", ", then ", "; after that, ", ", and afterwards ", "; next, ",
        ", and once that's done, ",
    )  # fmt: skip
    ANSWERS = (
        "The {} should be {}.", "Sorry, I forgot: the {} should be {}.", "Use {1} as the {0}.",
        "For the {}, take {}.", "Right, the {} should be {}.", "Oh, I left out the {}: {}.",
        "Let's take {1} as the {0}.", "As the {}, please use {}.",
        "My mistake, I meant {1} as the {0}.", "Here is the {} that was missing: {}.",
    )  # fmt: skip
    CLOSERS = (
        "Thanks, that's all for now.", "Good work so far.", "That looks fine to me.",
        "Great, nothing else at the moment.", "Thank you, I'm happy with that.",
        "All good, I'll get back to you later.", "Okay, that was what I wanted to know.",
        "Wonderful, let me think about that for a while.", "Fine, leave it like that.",
        "Thanks for your help so far.",
    )  # fmt: skip
    OPENINGS = (
        "Hi, this is {name}. I'm {goal}.", "I'm {name}, and I'm {goal}.",
        "{name} here, and I'm {goal}.", "Hello! I'm {goal}.",
        "I'm {goal} and could use some help.", "Hello, {name} speaking. I'm {goal}.",
        "My name is {name} and I'm {goal}.", "I could use a hand, since I'm {goal}.",
    )  # fmt: skip

    def __init__(self, themes: Sequence[Theme] = ()) -> None:
        self._themes = themes

    def story(self, executed: Executed, rng: random.Random) -> Story:
        classes = set(executed.plan.classes)
        fitting = [t for t in self._themes if not t.classes or t.classes & classes]
        if not fitting:
            return Story("", "")
        close = [t for t in fitting if t.classes] or fitting
        name = speaker(executed.start).given or rng.choice(names())
        return Story(name, rng.choice(close).goal)

    def request(self, parts: Sequence[str], turn: int, story: Story, rng: random.Random) -> str:
        text = parts[0]
        for part in parts[1:]:
            text += rng.choice(self.JOINS) + part
        made = rng.choice(self.LATER if turn else self.FIRST).format(text)
        made = made[0].upper() + made[1:]
        if turn == 0 and story.name:
            opening = rng.choice(self.OPENINGS).format(name=story.name, goal=story.goal)
            return f"{opening} {made}"
        return made

    def answer(self, noun: str, value: str, rng: random.Random) -> str:
        return rng.choice(self.ANSWERS).format(noun.removeprefix("my "), value)

    def close(self, rng: random.Random) -> str:
        return rng.choice(self.CLOSERS)


@cache
def themes() -> tuple[Theme, ...]:
    """The shipped purposes."""
    data = parse_yaml((files("rods.synthesis") / "themes.yaml").read_text("utf-8"))
    return tuple(Theme.model_validate(entry) for entry in data["themes"])


@cache
def names() -> tuple[str, ...]:
    """The shipped first names."""
    data = parse_yaml((files("rods.synthesis") / "themes.yaml").read_text("utf-8"))
    return tuple(data["names"])
