"""How much of a generating server the runner keeps busy: `python benchmarks/rollout_capacity.py`.

A simulated server has so many slots and takes a long-tailed (lognormal) time for each action. 512
episodes of 4 to 7 actions, the ground truths of benchmark tasks behind the guard, are played at
once: each at its own pace, as the runner does, and in rounds, by a policy that answers nobody
before all are answered. No schedule can be faster than the work divided by the slots, nor than the
longest episode; the greater of the two, divided by the time that was taken, is the share printed in
the last line. The server takes requests first come, first served, which costs a part of it: at the
end some slots have no more work.

Then the runner's own cost: CPU time of 1,000 actions (render, parse, environment, verdict) of a
policy that takes none. It is measured over whole episodes, and in episodes that repeat the calls of
their first turn until they are 6,000 tokens long: at the beginning of these, and at their end.
Passes of Python's collector over what was there before the episodes are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.guard import GuardedEnvironment
from rods.micro.renderer import MicroRenderer, build_tokenizer, words_of
from rods.rollout.episode import EpisodeLimits
from rods.rollout.policy import Generation, Policy, Sampling
from rods.rollout.rollout import Rollout
from rods.rollout.runner import Runner
from rods.task import Task

EPISODES, SLOTS, MEAN, SIGMA, SEED = 512, 24, 0.2, 1.0, 0
ROUNDS, LIMITS, BUDGET, REPEATS = range(4, 8), EpisodeLimits(attempts=8), 20_000, 9
LONG, WIDTH, ALIKE = 6_000, 1_500, 64
Script = list[list[int]]


class Scripted:
    """Says the ground truth of each episode, at once."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts, self.done = scripts, [0] * len(scripts)

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        said = self.scripts[sampling.episode][self.done[sampling.episode]]
        self.done[sampling.episode] += 1
        return Generation(said, [0.0] * len(said))


class Server(Scripted):
    """Takes its time; so many requests at once, the others wait in their order.

    Args:
        times: seconds of each action of each episode.
    """

    def __init__(self, scripts: Sequence[Script], times: Sequence[Sequence[float]]) -> None:
        super().__init__(scripts)
        self._times, self._free = times, SLOTS
        self._queue: deque[asyncio.Future[float]] = deque()

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        loop = asyncio.get_running_loop()
        start = loop.time()
        if self._free:
            self._free -= 1
        else:
            turn = loop.create_future()
            self._queue.append(turn)
            start = await turn
        end = start + self._times[sampling.episode][self.done[sampling.episode]]
        await asyncio.sleep(end - loop.time())
        if self._queue:
            self._queue.popleft().set_result(end)  # a timer that is late does not slow the server
        else:
            self._free += 1
        return await super().generate(ids, sampling)


class Rounds(Server):
    """Begins a round when all episodes in play have asked, and ends it when all are answered."""

    def enter(self, episodes: int) -> None:
        self._playing = self._size = episodes
        self._asked: list[asyncio.Future[None]] = []
        self._answered: list[asyncio.Future[None]] = []

    def leave(self) -> None:
        self._playing -= 1
        self._begin()

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._asked.append(turn)
        self._begin()
        await turn
        made = await super().generate(ids, sampling)
        end = loop.create_future()
        self._answered.append(end)
        if len(self._answered) == self._size:
            self._answered = release(self._answered)
        await end
        return made

    def _begin(self) -> None:
        if self._playing and len(self._asked) == self._playing:
            self._size, self._asked = self._playing, release(self._asked)


def release(waiting: Sequence[asyncio.Future[None]]) -> list[asyncio.Future[None]]:
    """Let them all go on; nobody waits then."""
    for future in waiting:
        future.set_result(None)
    return []


class Clocked(Scripted):
    """Repeats the first actions without end, and records the CPU time at each request."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        super().__init__(scripts)
        self.notes: list[tuple[float, int]] = []

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        self.notes.append((time.process_time(), len(ids)))
        self.done[sampling.episode] %= len(self.scripts[sampling.episode])
        return await super().generate(ids, sampling)

    def cost(self, shortest: int, longest: int) -> float:
        """CPU seconds of 1,000 actions after histories of so many tokens."""
        times = [seconds for seconds, tokens in self.notes if shortest <= tokens < longest]
        return (times[-1] - times[0]) * 1000 / (len(times) - 1)


def chosen(renderer: MicroRenderer) -> tuple[list[Task], list[Script]]:
    """Tasks whose ground truth is 4 to 7 actions, and these."""
    tasks, scripts = [], []
    for task in benchmark_tasks().values():
        script = [c for turn in task.turns for c in (*((c,) for c in turn.ground_truth), ())]
        if len(script) in ROUNDS:
            tasks.append(task)
            scripts.append([renderer.write(calls) for calls in script])
    picks = random.Random(SEED).choices(range(len(tasks)), k=EPISODES)
    return [tasks[i] for i in picks], [scripts[i] for i in picks]


def play(runner: Runner, tasks: Sequence[Task], policy: Policy) -> tuple[float, list[Rollout]]:
    """Seconds of wall time, and the result."""
    start = time.monotonic()
    rollouts = runner.run(tasks, policy)
    return time.monotonic() - start, rollouts


def cost(renderer: MicroRenderer, tasks: Sequence[Task], scripts: Sequence[Script]) -> float:
    """CPU seconds of 1,000 actions, in whole episodes."""
    runner = Runner(BfclEnvironment(), renderer, LIMITS, BUDGET)
    runner.traces.visit(tasks)
    gc.freeze()  # what is there already is none of the runner's
    start = time.process_time()
    runner.run(tasks, Scripted(scripts))
    return (time.process_time() - start) * 1000 / sum(map(len, scripts))


def growth(renderer: MicroRenderer, task: Task) -> tuple[float, float]:
    """CPU seconds of 1,000 actions with short histories, and with long ones."""
    runner = Runner(BfclEnvironment(), renderer, EpisodeLimits(attempts=BUDGET), LONG)
    calls = [renderer.write((call,)) for call in task.turns[0].ground_truth]
    policy = Clocked([calls] * ALIKE)
    runner.traces.visit([task])
    gc.freeze()
    runner.run([task] * ALIKE, policy)
    return policy.cost(0, WIDTH), policy.cost(LONG - WIDTH, LONG)


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    out = parser.parse_args().out
    words = words_of(f"{t.calls} {t.turns}" for t in benchmark_tasks().values())
    tokenizer = build_tokenizer(words, tool_specs())
    renderer = MicroRenderer(tokenizer)
    tasks, scripts = chosen(renderer)
    rng = random.Random(SEED)
    times = [[MEAN * rng.lognormvariate(-(SIGMA**2) / 2, SIGMA) for _ in s] for s in scripts]
    work, chain = sum(map(sum, times)), max(map(sum, times))
    least = max(work / SLOTS, chain)
    env = GuardedEnvironment(BfclEnvironment())
    runner = Runner(env, renderer, LIMITS, BUDGET)
    runner.traces.visit(tasks)
    at_own_pace, rollouts = play(runner, tasks, Server(scripts, times))
    in_rounds, same = play(runner, tasks, Rounds(scripts, times))
    env.close()
    assert rollouts == same and all(r.complete for r in rollouts), "a ground truth failed"
    own = median(cost(renderer, tasks, scripts) for _ in range(REPEATS))
    plain = [t for t in tasks if t.source.startswith("multi_turn_base") and t.turns[0].ground_truth]
    costs = [growth(renderer, task) for task in plain[:REPEATS]]
    short, long = (median(column) for column in zip(*costs, strict=True))
    result = {
        "episodes": EPISODES,
        "actions": sum(map(len, scripts)),
        "slots": SLOTS,
        "mean_seconds": MEAN,
        "sigma": SIGMA,
        "least_seconds": round(least, 2),
        "longest_episode_seconds": round(chain, 2),
        "async_seconds": round(at_own_pace, 2),
        "lockstep_seconds": round(in_rounds, 2),
        "async_share": round(least / at_own_pace, 3),
        "lockstep_share": round(least / in_rounds, 3),
        "cpu_seconds_per_1000_actions": round(own, 3),
        "cpu_seconds_below_1500_tokens": round(short, 3),
        "cpu_seconds_4500_to_6000_tokens": round(long, 3),
    }
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, value in result.items():
        print(f"{name:<32}{value}")
    shares = (result["async_share"], result["lockstep_share"])
    print("async/capacity {:.3f}, lockstep/capacity {:.3f}".format(*shares))


if __name__ == "__main__":
    main()
