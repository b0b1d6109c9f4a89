"""A policy that says what it was given."""

from __future__ import annotations

from collections.abc import Sequence

from rods.rollout.policy import Generation, Sampling

Ids = list[int]


class Replay:
    """Test double: an action a round for each episode, and a memory of what it was shown."""

    def __init__(self, scripts: Sequence[Sequence[Ids]]) -> None:
        self.scripts = scripts
        self.shown: list[list[Ids]] = [[] for _ in scripts]

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        script, shown = self.scripts[sampling.episode], self.shown[sampling.episode]
        made = script[len(shown) % len(script)]
        shown.append(list(ids))
        return Generation(list(made), [-float(i) for i in range(len(made))])
