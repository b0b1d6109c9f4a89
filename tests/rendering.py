"""Random episodes of chat models: tools, tasks, a policy that writes any action, and the messages
of a chat template that the episode should equal."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from copy import copy
from functools import cache
from typing import Any

from rods.envs.python import PythonEnvironment
from rods.renderers.chat import ChatRenderer
from rods.renderers.families import FAMILIES, family_tokenizer
from rods.renderers.load import load_renderer
from rods.renderers.notation import END
from rods.renderers.settings import RendererSettings
from rods.renderers.template import known_templates
from rods.renderers.tools import content, function_schema
from rods.rollout.policy import Generation, Sampling
from rods.rollout.rollout import Rollout
from rods.rollout.runner import Runner
from rods.task import Call, Task, Turn

LETTERS = (
    "abc XYZ 019 .,;:!?'\"\\/()[]{}|<>_-\n\t äßéñ €∑ 漢字 かな 한글 हिन्दी عربى 😀👩‍👩‍👧🏽\u200b"
)
SAME = {"qwen3-2507": "qwen3", "llama3.2": "llama3.1"}  # they differ in the chat template only
PAGE = 10_000
WORDS = "I look."
WHOLE = ("calls", "calls", "words", "done")
KINDS = (*WHOLE, "calls", "broken", "cut")


class Desk:
    """Tools that answer with any text."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def echo(self, text: str) -> str:
        """Say the text again. It may be long.

        Args:
            text: What to say.
        """
        return text

    def page(self, number: int) -> str:
        """A page of letters of all kinds.

        Args:
            number: Which one.
        """
        return words(random.Random(number), PAGE)

    def note(
        self,
        items: list[str],
        count: int = 1,
        sure: bool = False,
        more: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write notes down.

        Args:
            items: What to write.
        """
        self.notes += items * count
        return {"notes": len(self.notes), "sure": sure, **(more or {})}

    def fail(self, reason: str) -> str:
        """Fail.

        Args:
            reason: The text of the error.
        """
        raise ValueError(reason)

    def later(self, value: float) -> float:
        """A tool that is not offered at first."""
        return value


ENV = PythonEnvironment(Desk)


def words(rng: random.Random, size: int) -> str:
    """Text of this many letters, without a control token."""
    return "".join(rng.choices(LETTERS, k=size))


def any_call(rng: random.Random) -> Call:
    """Of any tool, right or not."""
    name = rng.choice(["page", *["echo", "note", "fail", "later", "nothing", "echo", "note"] * 4])
    arguments: dict[str, Any] = {
        "echo": {"text": words(rng, rng.randrange(60))},
        "note": {
            "items": [words(rng, 5) for _ in range(rng.randrange(3))],
            "count": rng.choice([0, 2, -3]),
            "sure": rng.random() < 0.5,
            "more": {words(rng, 3): [None, 1.5, {}]},
        },
        "fail": {"reason": words(rng, 20)},
        "later": {"value": rng.choice([0.5, 1e-7, 12345678901234567890])},
        "page": {"number": rng.randrange(50)},
        "nothing": {},
    }[name]
    if rng.random() < 0.1:
        arguments["unknown"] = words(rng, 4)
    return Call(name=name, arguments=arguments)


def any_task(rng: random.Random) -> Task:
    """Turns with and without words, calls and restored tools."""
    turns = []
    for number in range(rng.randrange(1, 5)):
        said = words(rng, rng.randrange(80)) if number == 0 or rng.random() < 0.8 else ""
        right = [Call(name="echo", arguments={"text": words(rng, 9)})] * rng.randrange(3)
        restores = ("later",) if number and rng.random() < 0.3 else ()
        turns.append(Turn(user=said, ground_truth=tuple(right), restores=restores))
    withheld = ("later",) if any(turn.restores for turn in turns) else ()
    return Task(
        category="base",
        classes=("Desk",),
        start={},
        turns=tuple(turns),
        withheld=withheld,
        environment=ENV.name,
        source=str(rng.random()),
    )


class AnyPolicy:
    """Writes actions of all kinds, and keeps each as ids and as a message of a chat template.

    Attributes:
        seen: number of ids before each action, by episode.
    """

    def __init__(self, renderer: ChatRenderer, seed: int, kinds: Sequence[str]) -> None:
        self._renderer, self._seed, self._kinds = renderer, seed, kinds
        self._rngs: dict[int, random.Random] = {}
        self.seen: dict[int, list[int]] = {}
        self.made: dict[int, list[list[int]]] = {}
        self.said: dict[int, list[dict[str, Any]]] = {}

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        episode = sampling.episode
        rng = self._rngs.setdefault(episode, random.Random(f"{self._seed} {episode}"))
        made, said = self._action(rng)
        self.seen.setdefault(episode, []).append(len(ids))
        self.made.setdefault(episode, []).append(made)
        self.said.setdefault(episode, []).append({"role": "assistant", **said})
        return Generation(made, [-1.0] * len(made))

    def _action(self, rng: random.Random) -> tuple[list[int], dict[str, Any]]:
        renderer, kind = self._renderer, rng.choice(self._kinds)
        done = renderer.show(renderer.write(()))
        if kind == "done":
            return renderer.write(()), {"content": done}
        calls = [any_call(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        text, stop = renderer.show(renderer.write(calls)), [renderer.stop_ids[0]]
        message: dict[str, Any] = {"content": "", "tool_calls": [_of_template(c) for c in calls]}
        if kind in ("broken", "cut"):
            start = re.search("[{=]", text)
            assert start is not None
            text = text[: rng.randrange(start.start(), len(text))].rstrip()
            message, stop = {"content": text}, stop if kind == "broken" else []
        elif renderer.facts.notation == "Bare":
            message = message if len(calls) == 1 else {"content": text}  # it writes one at most
        elif kind == "words":
            before = done.removesuffix(END)
            gap = {"Named": "", "Tagged": "\n\n"}.get(renderer.facts.notation, "\n")
            text, message["content"] = before + WORDS + gap + text.removeprefix(before), WORDS
        return [*renderer.tokenizer.encode(text, add_special_tokens=False), *stop], message


def _of_template(call: Call) -> dict[str, Any]:
    return {"type": "function", "function": call.model_dump()}


@cache
def tokenizer_of(family: str) -> Any:
    """The tokenizer of a family; tests share it, since it takes a second to make."""
    if (same := SAME.get(family)) is None:
        return family_tokenizer(family)
    tokenizer = copy(tokenizer_of(same))
    tokenizer.chat_template = known_templates()[FAMILIES[family].template]
    return tokenizer


@cache
def renderer_of(family: str, thinking: bool = False, **settings: Any) -> ChatRenderer:
    """The renderer of a family.

    Args:
        thinking: whether the model may write thoughts, if the family has them.
    """
    kwargs = {"enable_thinking": False} if family == "qwen3" and not thinking else {}
    chosen = RendererSettings(**{"chat_template_kwargs": kwargs, **settings})
    return load_renderer(tokenizer_of(family), chosen, f"family={family}")


def play(
    renderer: ChatRenderer, seed: int, episodes: int, kinds: Sequence[str] = KINDS
) -> tuple[list[Rollout], AnyPolicy]:
    """Random episodes of a random policy."""
    tasks = [any_task(random.Random(f"{seed} {number}")) for number in range(episodes)]
    policy = AnyPolicy(renderer, seed, kinds)
    runner = Runner(ENV, renderer, token_budget=10**6, sampling=Sampling(10**6))
    return runner.run(tasks, policy), policy


def template_chat(rollout: Rollout, answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation up to the last answer, as the chat template takes it."""
    said = iter(answers)
    chat = [
        next(said)
        if message.role == "assistant"
        else {
            "role": message.role,
            "content": content(message, "full"),
            "tool_call_id": message.tool_call_id,
        }
        for message in rollout.conversation.messages
    ]
    if chat[0]["role"] == "assistant":  # the user begins, although without a word
        chat.insert(0, {"role": "user", "content": ""})
    last = max(at for at, message in enumerate(chat) if message["role"] == "assistant")
    return chat[: last + 1]


def template_ids(renderer: ChatRenderer, rollout: Rollout, chat: list[dict[str, Any]]) -> list[int]:
    """What the family's own chat template makes of the whole conversation."""
    found = renderer.tokenizer.apply_chat_template(
        chat,
        tools=[function_schema(tool) for tool in rollout.conversation.tools],
        chat_template=known_templates()[renderer.facts.family],
        return_dict=False,
        **renderer.facts.chat_template_kwargs,
    )
    return list(found)
