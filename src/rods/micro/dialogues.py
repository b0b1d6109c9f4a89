"""Short dialogues that teach the policy the call grammar and copying, and little else.

Most have one or two turns of one call, the others up to three turns of up to three. They are made
by program over the training seeds' start states, and none has the calls of a training, validation
or test task.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from importlib.resources import files

from rods.envs.bfcl_data import LONG_CONTEXT, MISS_FUNC, MISS_PARAM
from rods.micro.renderer import MicroRenderer
from rods.micro.tasks import MAX_TOKENS, demonstration
from rods.synthesis.failures import SynthesisError
from rods.synthesis.near import signature
from rods.synthesis.plan import plan_fresh
from rods.synthesis.program import ProgramStages
from rods.task import BASE, Task

LONGER_CALLS = (5, 4, 2)  # weights of one, two and three calls in a turn of a longer dialogue
LATE = 0.7  # share of dialogues with a withheld tool that need it in their last turn
CATEGORIES = (BASE, BASE, MISS_FUNC, MISS_PARAM)


def short_dialogues(
    program: ProgramStages,
    renderer: MicroRenderer,
    forbidden: set[str],
    longer: float,
    rng: random.Random,
) -> Iterator[tuple[list[int], list[bool]]]:
    """Endless (token ids, which of them the agent writes).

    Args:
        longer: share of dialogues with up to three turns of up to three calls.
        forbidden: signatures of the tasks that must not appear.
    """
    while True:
        task = _dialogue(program, longer, rng)
        if task is None or signature(task) in forbidden:
            continue
        ids, mask = demonstration(task, program.env, renderer)
        if len(ids) <= MAX_TOKENS:
            yield ids, mask


def _dialogue(program: ProgramStages, longer: float, rng: random.Random) -> Task | None:
    if rng.random() < longer:
        sizes = rng.choices((1, 2, 3), LONGER_CALLS, k=rng.randint(1, 3))
    else:
        sizes = [1] * rng.randint(1, 2)
    category = rng.choice(CATEGORIES)
    if category == MISS_FUNC and len(sizes) == 1:
        sizes = [1, 1]  # a withheld tool must not come to mean silence throughout
    if category == BASE and rng.random() < 0.3:
        category = LONG_CONTEXT
    split = rng.randrange(len(sizes)) if category in (MISS_FUNC, MISS_PARAM) else None
    if category == MISS_FUNC and rng.random() < LATE:
        split = len(sizes) - 1  # most turns before the restored tool need another one
    classes = rng.choice(program.seeds).classes
    plan = plan_fresh(classes, sizes, category, program.graph, rng, split)
    try:
        return program.compose(plan, rng)
    except SynthesisError:
        return None


def phrase_words() -> set[str]:
    """All words of the phrase catalogue."""
    text = (files("rods.synthesis") / "phrases.yaml").read_text("utf-8")
    return set(re.findall("[A-Za-z]+", text))


class Renaming:
    """Other words and digits in place of a dialogue's values, the same everywhere in it.

    The policy must copy values, whatever they are; so while it is pretrained, words that are no
    part of the phrases stand for one another. What it sees stays consistent, though no tool has
    executed it in these words.
    """

    SHARE = 0.5

    def __init__(self, renderer: MicroRenderer, kept: set[str]) -> None:
        """`kept`: words that keep their meaning."""
        tokenizer = renderer.tokenizer
        said = {*kept, "the", "last", "previous", "true", "false", "is"}
        self._words = [
            i
            for i, name in enumerate(tokenizer.vocabulary)
            if name.isalpha() and len(name) > 1 and name not in said
        ]
        self._is_word = set(self._words)
        self._digits = [tokenizer.encode(digit)[0] for digit in "0123456789"]

    def __call__(self, ids: list[int], rng: random.Random) -> list[int]:
        if rng.random() > self.SHARE:
            return ids
        mapping = {i: rng.choice(self._words) for i in sorted(self._is_word.intersection(ids))}
        mapping |= dict(zip(self._digits, rng.sample(self._digits, 10), strict=True))
        return [mapping.get(i, i) for i in ids]
