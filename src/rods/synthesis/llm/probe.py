"""A short self-test of a model: which stages of synthesis it can do (`rods synth --probe`).

Each role answers a few questions about the seed tasks, once each. What a program can check is
checked: whether a plan can be used, a call executes, words pass the checks. The roles that judge
see words that people wrote and planted faults, and must distinguish them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from rods.synthesis.failures import SynthesisError
from rods.synthesis.llm.probe_questions import Question

THREADS = 8


class Row(NamedTuple):
    """The result of a role.

    Attributes:
        what: what was counted.
        passed, asked: questions.
        failures: how often each cause of failure came.
        least: share of questions that must pass.
    """

    role: str
    what: str
    passed: int
    asked: int
    failures: dict[str, int]
    least: float

    @property
    def good(self) -> bool:
        """Whether the role can be done."""
        return self.asked > 0 and self.passed >= self.least * self.asked


def probe(
    asked: Sequence[Question],
    seed: int,
    parallel: int,
    report: Callable[[], None] = lambda: None,
    stop: Callable[[], None] = lambda: None,
) -> list[Row]:
    """The results of questions, by role.

    Args:
        seed: the random seed; equal seeds ask the same.
        parallel: questions under way at once, at most.
        report: called after each question.
        stop: called if an exception ends the test; it must end the questions under way.

    Raises:
        UserError: the endpoint is unusable.
    """

    def answer(numbered: tuple[int, Question]) -> str:
        number, question = numbered
        try:
            return question.ask(random.Random(f"probe {seed} {number}"))
        except SynthesisError as failure:
            return failure.cause
        finally:
            report()

    with ThreadPoolExecutor(min(parallel, THREADS)) as pool:
        try:
            numbered = list(enumerate(asked))
            first = [answer(one) for one in numbered[:1]]  # a server that refuses is asked once
            return _rows(asked, [*first, *pool.map(answer, numbered[1:])])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop()
            raise


def _rows(asked: Sequence[Question], faults: Sequence[str]) -> list[Row]:
    found: dict[tuple[str, str, float], list[str]] = {}
    for question, fault in zip(asked, faults, strict=True):
        found.setdefault((question.role, question.what, question.least), []).append(fault)
    return [
        Row(role, what, rows.count(""), len(rows), dict(Counter(filter(None, rows))), least)
        for (role, what, least), rows in found.items()
    ]


def advice(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """The stages that the model should do, and further options of `rods synth`."""
    good = {
        role: all(row.good for row in rows if row.role == role) for role in {r.role for r in rows}
    }
    roles = {"plan": "plan", "execute": "arguments", "ground": "query", "judge": "judge"}
    stages = [stage for stage, role in roles.items() if good.get(role)]
    options = []
    if "ground" in stages:
        options += [f"--no-{role}" for role in ("rewrite", "verify") if not good.get(role)]
    return stages, options


def as_data(rows: Sequence[Row]) -> dict[str, Any]:
    """The result as plain data, for `--json`."""
    stages, options = advice(rows)
    roles = [{**row._asdict(), "good": row.good} for row in rows]
    return {"roles": roles, "stages": stages, "options": options}
