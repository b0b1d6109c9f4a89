"""What the policy is pretrained on: perfect episodes of tasks, and short dialogues.

Short dialogues teach the call grammar and copying, and little else. Most have one or two turns of
one call, the others up to three turns of up to three calls. They are made by program over the start
states of the training side, and none has the calls of a training, validation or test task.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from rods.envs.base import Environment
from rods.envs.bfcl_data import LONG_CONTEXT, MISS_FUNC, MISS_PARAM
from rods.envs.calls import STOPPED, retried
from rods.micro.renderer import MicroRenderer
from rods.reward import TraceError, gold_trace
from rods.rollout.episode import Action, Episode, EpisodeLimits
from rods.synthesis.failures import SynthesisError
from rods.synthesis.near import signature
from rods.synthesis.plan import plan_fresh
from rods.synthesis.program import ProgramStages
from rods.task import BASE, Task

MAX_TOKENS = 352
MAX_CALLS = 5
MAX_VALUE_TOKENS = 14
LIMITS = EpisodeLimits(attempts=MAX_CALLS + 1)
LONGER_CALLS = (5, 4, 2)  # weights of one, two and three calls in a turn of a longer dialogue
LATE = 0.7  # share of dialogues with a withheld tool that need it in their last turn
CATEGORIES = (BASE, BASE, MISS_FUNC, MISS_PARAM)

Example = tuple[list[int], list[bool]]
"""Token ids, and for each whether the agent writes it."""


def demonstration(task: Task, env: Environment, renderer: MicroRenderer) -> Example:
    """A perfect episode of the task.

    Each action has one call, because a value that a call needs may be in the response just before.
    An episode in which a limit stopped a call, or that the environment lost, is played again. Its
    verdicts are not read, so the task may be one that no gate has checked.

    Raises:
        TraceError: the environment lost it each time.
    """
    ids, mask, episode = retried(
        lambda: _demonstrated(task, env, renderer),
        lambda made: bool(made[2].failure) or not STOPPED.isdisjoint(made[2].refusals),
    )
    if episode.failure:
        raise TraceError(f"task {task.label}: {episode.failure}")
    return ids, mask


def _demonstrated(
    task: Task, env: Environment, renderer: MicroRenderer
) -> tuple[list[int], list[bool], Episode]:
    episode = Episode(task, env, gold_trace(task, env), LIMITS)
    ids = renderer.begin(episode.conversation)
    mask = [False] * len(ids)
    for turn in task.turns:
        for calls in [*((call,) for call in turn.ground_truth), ()]:
            said = renderer.write(calls)
            seen = renderer.extend(episode.act(Action(calls=calls)))
            if episode.ending is not None:
                seen = []
            ids += said + seen
            mask += [True] * len(said) + [False] * len(seen)
    return ids, mask, episode


def carries(task: Task, env: Environment, renderer: MicroRenderer) -> bool:
    """Whether the policy can express the calls and hold the episode."""
    tools = env.tools(task)
    for turn in task.turns:
        if len(turn.ground_truth) > MAX_CALLS:
            return False
        for call in turn.ground_truth:
            if any(_too_long(value, renderer) for value in call.arguments.values()):
                return False
        if turn.ground_truth:
            read = renderer.parse(renderer.write(turn.ground_truth), tools)
            if repr(read.calls) != repr(turn.ground_truth):  # 5 and 5.0 must stay apart
                return False
    return len(demonstration(task, env, renderer)[0]) <= MAX_TOKENS


def _too_long(value: Any, renderer: MicroRenderer) -> bool:
    if isinstance(value, list):
        return len(value) > 4 or any(_too_long(v, renderer) for v in value)
    if isinstance(value, dict):
        return True
    return len(renderer.tokenizer.encode(str(value))) > MAX_VALUE_TOKENS


def short_dialogues(
    program: ProgramStages,
    renderer: MicroRenderer,
    forbidden: set[str],
    longer: float,
    rng: random.Random,
) -> Iterator[Example]:
    """Dialogues without end.

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
        sizes = [1, 1]  # else a withheld tool would mean that no turn has a call
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
    """Replaces the words and digits of a dialogue's values by others, each always by the same.

    The policy must learn to copy any value. So in pretraining the words that are not part of the
    phrases are exchanged for each other. The dialogue remains consistent, but no tool has executed
    it in these words.
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
