"""Stage IV by a model: five criteria, and at most one refinement of one turn's words.

The judge sees tasks that have passed the gates. It can refuse a task, and it can have words
changed, which the gates check before it sees them again. It cannot admit a task.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from rods.synthesis.augmentation import structures
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.llm.forms import Classified, Judged, Refined
from rods.synthesis.llm.prompts import Model, ask
from rods.synthesis.llm.tool_text import ToolText, clipped
from rods.synthesis.stages import Executed
from rods.task import Task

REJECTED = "critique: the judge rejects"


@dataclass
class LlmJudge:
    """The quality judge, the classifier and the refiner (C.4 to C.6 of the paper)."""

    model: Model
    text: ToolText

    def judge(
        self,
        task: Task,
        executed: Executed,
        rng: random.Random,
        review: Callable[[Task], None],
    ) -> Task:
        """See `stages.Judge`."""
        verdict = self.verdict(task, executed, rng)
        if verdict.decision == "accept":
            return task
        issue = verdict.fail_reason
        turns = self._turns(task, executed)
        found = ask(self.model, "classify", Classified, rng, turns=turns, issue=issue)
        spoken = [i for i, turn in enumerate(task.turns) if turn.user.strip()]
        if found.kind == "gt_unfixable" or found.turn - 1 not in spoken:
            raise SynthesisError(Kind.CRITIQUE, f"{REJECTED}: {issue}", why=REJECTED)
        refined = self._refined(task, found.turn - 1, issue, rng)
        review(refined)
        again = self.verdict(refined, executed, rng)
        if again.decision != "accept":
            raise _not_refined(again.fail_reason, refined)
        return refined

    def verdict(self, task: Task, executed: Executed, rng: random.Random) -> Judged:
        """The judge's decision on a task.

        Raises:
            SynthesisError: there is none.
        """
        return ask(
            self.model,
            "judge",
            Judged,
            rng,
            system=task.system,
            category=task.category,
            structures=structures(),
            narrative=executed.plan.narrative,
            turns=self._turns(task, executed),
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
            calls=self.text.calls(turn.ground_truth),
        )
        words = answer.answer.strip()
        if words in ("", turn.user):
            raise _not_refined("it has no other words", task)
        better = turn.model_copy(update={"user": words})
        turns = (*task.turns[:index], better, *task.turns[index + 1 :])
        lineage = {**task.lineage, "refined": index + 1}
        return task.model_copy(update={"turns": turns, "lineage": lineage})

    def _turns(self, task: Task, executed: Executed) -> list[tuple[str, list[tuple[str, str]]]]:
        """The user's words of each turn, and its calls, each with its response."""
        responses = (text for turn in executed.responses for text in turn)
        return [
            (
                turn.user,
                [(self.text.call(c), clipped(next(responses), 300)) for c in turn.ground_truth],
            )
            for turn in task.turns
        ]


def _not_refined(issue: str, task: Task) -> SynthesisError:
    why = f"{REJECTED} the refinement"
    return SynthesisError(Kind.CRITIQUE, f"{why}: {issue}", why=why, task=task)
