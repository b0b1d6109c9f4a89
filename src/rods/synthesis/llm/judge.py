"""Stage IV by a model: five criteria, and at most one refinement of one turn's words.

The judge sees tasks that have passed the gates. It can refuse a task, and it can have words
changed, which the gates then check again. It cannot admit a task.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from rods.synthesis.augmentation import structures
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.llm.forms import Classified, Judged, Refined
from rods.synthesis.llm.prompts import Model, ask, call_line, clipped
from rods.synthesis.stages import Executed
from rods.task import Task

REJECTED = "critique: the judge rejects"


@dataclass
class LlmJudge:
    """The quality judge, the classifier and the refiner (C.4 to C.6 of the paper)."""

    model: Model

    def judge(self, task: Task, executed: Executed, rng: random.Random) -> Task:
        """See `stages.Judge`."""
        verdict = self._verdict(task, executed, rng)
        if verdict.decision == "accept":
            return task
        issue = (verdict.fail_reason or verdict.reason)[:300]
        found = ask(self.model, "classify", Classified, rng, turns=_turns(task), issue=issue)
        spoken = [i for i, turn in enumerate(task.turns) if turn.user.strip()]
        if found.kind == "gt_unfixable" or found.turn - 1 not in spoken:
            raise SynthesisError(Kind.CRITIQUE, REJECTED)
        refined = self._refined(task, found.turn - 1, issue, rng)
        if self._verdict(refined, executed, rng).decision != "accept":
            raise SynthesisError(Kind.CRITIQUE, f"{REJECTED} the refinement")
        return refined

    def _verdict(self, task: Task, executed: Executed, rng: random.Random) -> Judged:
        return ask(
            self.model,
            "judge",
            Judged,
            rng,
            category=task.category,
            structures=structures(),
            narrative=executed.plan.narrative,
            turns=_turns(task),
            responses=[[clipped(text, 300) for text in turn] for turn in executed.responses],
        )

    def _refined(self, task: Task, index: int, issue: str, rng: random.Random) -> Task:
        turn = task.turns[index]
        answer = ask(
            self.model,
            "refine",
            Refined,
            rng,
            issue=issue,
            query=turn.user,
            calls=[call_line(call) for call in turn.ground_truth],
        )
        if not answer.answer.strip():
            raise SynthesisError(Kind.CRITIQUE, f"{REJECTED} the refinement")
        better = turn.model_copy(update={"user": answer.answer.strip()})
        turns = (*task.turns[:index], better, *task.turns[index + 1 :])
        lineage = {**task.lineage, "refined": index + 1}
        return task.model_copy(update={"turns": turns, "lineage": lineage})


def _turns(task: Task) -> list[tuple[str, list[str]]]:
    """The user's words of each turn, and its calls."""
    return [(turn.user, [call_line(call) for call in turn.ground_truth]) for turn in task.turns]
