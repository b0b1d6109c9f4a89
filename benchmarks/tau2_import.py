"""Writes the tasks of a domain of tau2-bench as a task file, and says what was left out.

python benchmarks/tau2_import.py tau2-bench retail retail.jsonl
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rods.envs.load import load_environment
from rods.files.output import Output
from rods.importers.tau2 import import_tasks, read_domain


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clone", type=Path, help="clone of tau2-bench")
    parser.add_argument("domain", choices=("retail", "airline"))
    parser.add_argument("out", type=Path, help="JSON lines to write")
    given = parser.parse_args()
    env = load_environment(f"tau2_toolkits:{given.domain.capitalize()}")
    made = import_tasks(read_domain(given.clone, given.domain), given.domain, env)
    Output(given.out).write(json.dumps(entry) + "\n" for entry in made.entries)
    print(f"{given.out}: {len(made.entries) - 1} tasks")
    for known, why in made.left_out.items():
        print(f"left out: {known}: {why}")
    for known, calls in made.dropped.items():
        print(f"dropped from {known}: {'; '.join(calls)}")


if __name__ == "__main__":
    main()
