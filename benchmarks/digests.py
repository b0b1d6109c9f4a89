"""Responses and states of all ground truths, in processes that differ in all that may leak.

Four processes with other hash seeds, time zones and orders of the tasks each run every ground
truth, and three calls whose answers once depended on the hash seed or on today's date; all must
agree.

    python benchmarks/digests.py
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys

SETTINGS = (
    ("0", "UTC"),
    ("1", "Asia/Kolkata"),
    ("4242", "America/St_Johns"),
    ("99", "Pacific/Apia"),
)
LEAKS = """
book_flight(access_token='t', card_id='1', travel_date='2026-01-01', travel_from='SFO',
 travel_to='LAX', travel_class='wood')
edit_ticket(ticket_id=1, updates={'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5})
verify_traveler_information(first_name='A', last_name='B', date_of_birth='2008-06-01',
 passport_number='1')
"""


def digests(order: int) -> dict[str, str]:
    """Task id -> SHA-256 over its ground truth's responses and states."""
    from rods.envs.bfcl import BfclEnvironment
    from rods.envs.bfcl_data import benchmark_tasks, tool_specs
    from rods.envs.notation import parse_calls
    from rods.reward import gold_trace
    from rods.task import Task, Turn

    env = BfclEnvironment()
    tasks = list(benchmark_tasks().items())
    random.Random(order).shuffle(tasks)
    found = {}
    for name, task in tasks:
        trace = gold_trace(task, env)
        text = json.dumps([trace.responses, [state.digest for state in trace.states]])
        found[name] = hashlib.sha256(text.encode()).hexdigest()
    start = {
        "TravelAPI": {
            "access_token": "t",
            "token_expires_in": 9,
            "credit_card_list": {"1": {"balance": 9.0}},
            "user_first_name": "A",
            "user_last_name": "B",
        },
        "TicketAPI": {"ticket_queue": [{"id": 1}], "current_user": "A"},
    }
    session = env.open(
        Task(category="base", classes=tuple(start), start=start, turns=(Turn(user="-"),))
    )
    for call in parse_calls(f"[{LEAKS.strip().replace(')' + chr(10), '),')}]", tool_specs()):
        found[call.name] = session.call(call).text
    return found


def main() -> int:
    results = []
    for order, (hash_seed, zone) in enumerate(SETTINGS):
        done = subprocess.run(
            [sys.executable, __file__, str(order)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        )
        results.append(json.loads(done.stdout))
    same = [name for name in results[0] if all(r[name] == results[0][name] for r in results)]
    for name in sorted(results[0].keys() - same):
        print(f"DIFFERENT {name}: {sorted({r[name] for r in results})}")
    print(f"{len(same)} of {len(results[0])} equal in {len(results)} processes")
    return 0 if len(same) == len(results[0]) else 1


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(digests(int(sys.argv[1]))))
    else:
        sys.exit(main())
