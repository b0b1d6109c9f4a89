"""How often a hint names what was wrong: `python benchmarks/hints.py` -> results/hints.json.

Every ground-truth call of the 800 benchmark tasks is made wrong in all ways of `wrong_calls.py`;
a hint is useful if it names the argument (or the tool) that was touched. A call that fails since
an earlier one was left out counts as useful if the hint names the tool of the call left out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.envs.hints import PRECONDITION, Hinter, error_text
from wrong_calls import failures, gold_values, leaked

RESULT = Path(__file__).parent / "results" / "hints.json"


def main() -> None:
    """Measure, print the table, and write the raw counts."""
    env, hinter = BfclEnvironment(), Hinter()
    tried, named, hinted = Counter[str](), Counter[str](), Counter[str]()
    skipped: dict[str, Counter[str]] = {}
    leaks = longest = 0
    for task in benchmark_tasks().values():
        gold = gold_values(task)
        for f in failures(task, env):
            hint = hinter.hint(f.call, f.observation, f.session, f.offered, f.seen)
            kind = f.kind
            if kind == "call skipped":
                state = PRECONDITION.search(error_text(f.observation.text)) is not None
                kind += ", state not ready" if state else ", value not there"
            right = re.search(rf"(?<!\w){re.escape(f.wanted)}(?!\w)", hint) is not None
            tried[kind] += 1
            named[kind] += right
            hinted[kind] += bool(hint)
            if f.kind == "call skipped":
                counts = skipped.setdefault(f.wanted, Counter())
                counts.update(failures=1, named=int(right))
            leaks += len(leaked(hint, gold, f.visible))
            longest = max(longest, len(hint))
    rows = {
        kind: {"failures": n, "hinted": hinted[kind], "named": named[kind]}
        for kind, n in tried.items()
    }
    order = sorted(skipped, key=lambda name: -skipped[name]["failures"])
    result = {
        "environment": f"{env.name} {env.version}",
        "kinds": rows,
        "skipped": {name: dict(skipped[name]) for name in order},
        "leaks": leaks,
        "longest": longest,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{'the call was made wrong by':<34}{'failures':>9}{'hinted':>8}{'named':>8}")
    for kind, row in rows.items():
        n = row["failures"]
        print(f"{kind:<34}{n:>9}{row['hinted'] / n:>8.1%}{row['named'] / n:>8.1%}")
    print(f"values leaked: {leaks}; longest hint: {longest} characters")
    for name in order[:16]:
        print(f"  skipped {name:<26}{skipped[name]['failures']:>9}{skipped[name]['named']:>8}")


if __name__ == "__main__":
    main()
