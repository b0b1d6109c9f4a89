"""What a renderer of a chat model costs in CPU time: `python benchmarks/renderer_costs.py`.

One episode repeats the same call, and its response of 200 characters, until it has 13,000 tokens.
What the renderer takes for an action (read it, show it, write the response) is summed up around
6,000 and around 12,000 tokens: it may depend on what is new, and not on the history.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rods.envs.python import PythonEnvironment
from rods.renderers.families import FAMILIES, family_tokenizer
from rods.renderers.load import load_renderer
from rods.renderers.settings import RendererSettings
from rods.rollout.episode import EpisodeLimits
from rods.rollout.policy import Generation, Sampling
from rods.rollout.runner import Runner
from rods.task import Call, Task, Turn

BUDGET, NEAR, LENGTHS, SIZE, REPEATS = 13_000, 500, (6_000, 12_000), 200, 5


class Echo:
    """Says a text again."""

    def echo(self, text: str) -> str:
        return text


class Timed:
    """A renderer, and the CPU seconds of each of its actions."""

    def __init__(self, renderer: Any) -> None:
        self._renderer, self.stop_ids, self.seconds = renderer, renderer.stop_ids, 0.0
        self.begin = renderer.begin

    def __getattr__(self, name: str) -> Any:
        def timed(*arguments: Any) -> Any:
            start = time.process_time()
            try:
                return getattr(self._renderer, name)(*arguments)
            finally:
                self.seconds += time.process_time() - start

        return timed


class Repeating:
    """Always the same action; notes the tokens so far and the renderer's seconds so far."""

    def __init__(self, action: list[int], renderer: Timed) -> None:
        self._action, self._renderer = action, renderer
        self.noted: list[tuple[int, float]] = []

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        self.noted.append((len(ids), self._renderer.seconds))
        return Generation(list(self._action), [0.0] * len(self._action))


def milliseconds(family: str) -> dict[str, float]:
    """Of an action, by the length of the history."""
    renderer = load_renderer(family_tokenizer(family), RendererSettings(), family)
    call = Call(name="echo", arguments={"text": ("The train leaves at 9:40. " * SIZE)[:SIZE]})
    env, turn = PythonEnvironment(Echo), Turn(user="Say it again.", ground_truth=(call,))
    task = Task(category="base", classes=("Echo",), start={}, turns=(turn,), environment=env.name)
    timed = Timed(renderer)
    policy = Repeating(renderer.write([call]), timed)
    limits = EpisodeLimits(attempts=BUDGET)
    runner = Runner(env, timed, limits, BUDGET, sampling=Sampling(BUDGET))
    for _ in range(REPEATS):
        runner.run([task], policy)
    pairs = zip(policy.noted, policy.noted[1:], strict=False)
    taken = [(at, after - before) for (at, before), (_, after) in pairs]
    return {
        str(length): round(1000 * median(s for at, s in taken if abs(at - length) < NEAR), 3)
        for length in LENGTHS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    out = parser.parse_args().out
    found = {family: milliseconds(family) for family in FAMILIES}
    for family, taken in found.items():
        print(family, *(f"{ms} ms at {length} tokens" for length, ms in taken.items()))
    if out:
        out.write_text(json.dumps({"milliseconds of an action": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
