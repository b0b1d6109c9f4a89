"""Hostile and random strings as an agent's answers: nothing escapes, crashes, hangs or leaks.

Each string is read as calls and, if it is some, executed behind the guard in a session that holds
all eight simulators. Beside them two honest episodes run in every batch and must stay as they are.
First the committed corpus (`corpus/hostile.jsonl`), then strings drawn by hypothesis: text, pieces
of notation, mutations of the corpus, and well-formed calls with hostile values.

    python benchmarks/fuzz.py --strings 100000 --seed 0 --out benchmarks/results/fuzz.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from rods.envs.base import Outcome, Work
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import SIMULATORS, benchmark_tasks, tool_specs
from rods.envs.calls import CallError, CallLimits
from rods.envs.guard import GuardedEnvironment
from rods.envs.notation import parse_calls
from rods.task import Call, Task, Turn

CORPUS = Path(__file__).parent / "corpus" / "hostile.jsonl"
TOOLS = tool_specs()
BATCH = 250
HONEST = ("multi_turn_base_3", "multi_turn_long_context_150")
WORLD = Task(
    category="base",
    classes=tuple(SIMULATORS),
    start={"TwitterAPI": {"authenticated": True}, "VehicleControlAPI": {}},
    turns=(Turn(user="-"),),
)
PIECES = [
    *"()[]{}=,*:'\"\\-~.\n\0", "**", ":=", "lambda ", " for x in ", " if ", "not ", "yield ",
    "await ", "1", "1e999", "-1e400", "nan", "Infinity", "9" * 400, "0x", "1j", "b'", "f'", "...",
    "None", "\ud800", "\u202e", "cd('a')", "folder='b'", "add(1, 2)", "[1, 2]", "{'a': 1}",
    "<tool_call>", "</tool_call>", '{"name": "cd", "arguments": {"folder": "a"}}', '"arguments": ',
    "__import__('os')", ".__class__", "os._exit(1)", "open('x', 'w')", "\x1b[31m", "[bold]",
    "<script>", "%s", "{{7*7}}",
]  # fmt: skip


def corpus() -> list[str]:
    """The committed strings; long ones are stored as [piece, times] parts."""
    made = []
    for line in CORPUS.read_text("utf-8").splitlines():
        parts = json.loads(line)
        made.append("".join(p if isinstance(p, str) else p[0] * p[1] for p in parts))
    return made


def strings(known: list[str]) -> st.SearchStrategy[str]:
    """What hypothesis draws from."""
    text = st.text(st.characters(), max_size=200)  # lone surrogates included
    pieces = st.lists(st.sampled_from(PIECES) | text, max_size=12).map("".join)
    short = st.sampled_from([t for t in known if len(t) < 400])
    mutated = st.tuples(short, st.integers(0, 400), st.integers(0, 8), text).map(
        lambda m: m[0][: m[1]] + m[3][:8] + m[0][m[1] + m[2] :]
    )
    scalars = (
        text | st.integers() | st.floats() | st.booleans() | st.none() | st.sampled_from(PIECES)
        | st.sampled_from(["d", "/", "..", ".", "a" * 5_000, "%n" * 50, 10**9, -(10**9), 10**18])
    )  # fmt: skip
    values = st.recursive(
        scalars,
        lambda v: st.lists(v, max_size=4) | st.dictionaries(text, v, max_size=3),
        max_leaves=8,
    )
    calls = st.sampled_from(sorted(TOOLS)).flatmap(
        lambda name: st.fixed_dictionaries(dict.fromkeys(TOOLS[name].parameters, values)).map(
            lambda arguments: str(Call.model_construct(name=name, arguments=arguments))
        )
    )
    many = st.lists(calls, min_size=1, max_size=4).map(lambda c: f"[{', '.join(c)}]")
    return st.one_of(text, pieces, mutated, calls, calls, many)


class Fuzz:
    """Runs strings in batches and counts what became of them."""

    def __init__(self, env: GuardedEnvironment) -> None:
        self.env = env
        self.counts: Counter[str] = Counter()
        self.waiting: list[str] = []
        tasks = benchmark_tasks()
        self.honest = [tasks[name] for name in HONEST]
        plain = BfclEnvironment()
        self.expected = []
        for task in self.honest:
            session = plain.open(task)
            self.expected.append(tuple(session.call(call) for call in task.calls))

    def add(self, text: str) -> None:
        self.waiting.append(text)
        if len(self.waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Execute what waits, between two honest episodes."""
        steps = [self._honest(0)]
        for text in self.waiting:
            self.counts["strings"] += 1
            try:
                calls = parse_calls(text, TOOLS)
            except CallError as error:
                self.counts[f"refused unread: {error.refusal}"] += 1
                continue
            self.counts["read as calls"] += 1
            steps.append(Work(self.env.open(WORLD), calls))
        steps.append(self._honest(1))
        outcomes = self.env.execute(steps)
        for step, outcome in zip(steps[1:-1], outcomes[1:-1], strict=True):
            self._count(step, outcome)
        for expected, outcome in zip(self.expected, (outcomes[0], outcomes[-1]), strict=True):
            self.counts["honest episodes"] += 1
            self.counts["honest episodes harmed"] += outcome.observations != expected
        for step in steps:
            step.session.close()
        self.waiting = []

    def _honest(self, which: int) -> Work:
        task = self.honest[which]
        return Work(self.env.open(task), task.calls)

    def _count(self, step: Work, outcome: Outcome) -> None:
        self.counts["sessions lost"] += bool(outcome.lost)
        self.counts["calls"] += len(step.calls)
        self.counts["calls without observation"] += len(step.calls) - len(outcome.observations)
        for seen in outcome.observations:
            kind = seen.refused or ("raised" if seen.raised else "ok" if seen.ok else "tool error")
            self.counts[f"call: {kind}"] += 1


def children() -> set[int]:
    """Living processes that this one started, by process id."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                found.add(int(folder.name))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strings", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.0, help="limit of a call")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    out = args.out.resolve() if args.out else None
    before = children()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        os.chdir(folder)
        env = GuardedEnvironment(BfclEnvironment(), CallLimits(seconds=args.seconds))
        fuzz, known = Fuzz(env), corpus()
        for text in known:
            fuzz.add(text)

        @seed(args.seed)
        @settings(
            max_examples=args.strings,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strings(known))
        def run(text: str) -> None:
            fuzz.add(text)

        run()
        fuzz.flush()
        worker = env.lanes[0].child
        env.close()
        written = sorted(os.listdir(folder))
        os.chdir("/")
    made = {
        **{k: fuzz.counts[k] for k in sorted(fuzz.counts)},
        "corpus": len(known),
        "workers started": worker.starts,
        "processes left": len(children() - before),
        "files written": written,
        "longest wait for one call, s": round(worker.longest, 2),
        "limit, s": args.seconds,
    }
    print(json.dumps(made, indent=1))
    if out:
        out.write_text(json.dumps(made, indent=1) + "\n")
    harmed = fuzz.counts["honest episodes harmed"] + fuzz.counts["calls without observation"]
    fine = not harmed and not made["processes left"] and not written
    fine = fine and worker.longest <= args.seconds + 1
    print("harmless" if fine else "HARM DONE")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
