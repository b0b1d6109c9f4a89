"""Stage III by a model: a query for each turn, its verification, and the holistic rewrite.

As in the paper the words are made after the calls. Each turn's query is written, checked by code
and then verified; then one question rewrites all of them to fit the story. A refused query is
written again: the prompt shows its words and what is wrong with them, or, if only values are
missing, asks for a sentence that says them. If many are missing, or after two tries, each call of
the turn is worded by itself. A turn that augmentation splits is worded again, as if its call did
not have the value that is left out; a sentence with this value is the answer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rods.grounding import stated
from rods.provenance import leaves
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.llm.forms import Judgement, Query, Rewritten
from rods.synthesis.llm.prompts import Model, ask
from rods.synthesis.llm.refusals import Complaint, Refusal, Refusals, accepted
from rods.synthesis.llm.tool_text import ToolText, clipped
from rods.synthesis.llm.word_checks import MISSING, WordCheck, repeats, to_say
from rods.synthesis.llm.words import LlmWords
from rods.synthesis.stages import Executed
from rods.task import Call

TRIES = 4  # queries written for a turn, and rewrites, until one is accepted
FEW = 2  # missing values that a sentence adds at the second try
SHOWN = 4  # latest responses in a prompt
AGAIN = Complaint("the same words again", "these words were refused before")
ECHO = Complaint("words about the prompt", "say what the person wants")


@dataclass
class LlmGrounder:
    """Words by a model.

    Args:
        text: writes the calls into the prompts.
        check: the checks by code.
        rewrite: whether all queries are rewritten to fit the story (C.3 of the paper).
        verify: whether the model also verifies each query.
        tries: how often words are written until they are accepted.

    Attributes:
        turns: turns by the try that was accepted ("1", "2", ...), or "none".
    """

    model: Model
    text: ToolText
    check: WordCheck
    rewrite: bool = True
    verify: bool = True
    tries: int = TRIES
    turns: Counter[str] = field(default_factory=Counter)

    def ground(self, executed: Executed, rng: random.Random) -> LlmWords:
        """See `stages.Grounder`."""
        queries: list[str] = []
        for index in range(len(executed.calls)):
            queries.append(self.query(executed, index, queries, rng))
        if self.rewrite:
            queries = self.rewritten(executed, queries, rng)
        return LlmWords(self, executed, queries, rng)

    def query(self, executed: Executed, index: int, before: list[str], rng: random.Random) -> str:
        """Words for one turn, counted in `turns`.

        Args:
            before: those of the earlier turns.

        Raises:
            SynthesisError: all tries were refused; it is the failure of the last one.
        """
        asked = 0

        def count(refused: Refusals) -> None:
            nonlocal asked
            asked = len(refused) + 1

        try:
            words = self._accepted_query(executed, index, before, (), rng, count)
        except SynthesisError:
            self.turns["none"] += 1
            raise
        self.turns[str(asked)] += 1
        return words

    def without(
        self,
        executed: Executed,
        index: int,
        missing: tuple[int, str],
        before: list[str],
        rng: random.Random,
    ) -> tuple[str, str]:
        """Words for a turn without one value, and the words that supply it.

        Args:
            missing: (call within the turn, parameter) whose value is left out.
            before: the words of the earlier turns.

        Raises:
            SynthesisError: all tries were refused; it is the failure of the last one.
        """
        (which, name), calls = missing, [list(turn) for turn in executed.calls]
        call = calls[index][which]
        values = [*leaves(call.arguments[name])]
        others = {other: value for other, value in call.arguments.items() if other != name}
        calls[index][which] = call.model_copy(update={"arguments": others})
        short = replace(executed, calls=tuple(map(tuple, calls)))
        words = self._accepted_query(short, index, before, values, rng)
        say, story = [to_say(name, call.arguments[name])], executed.plan.narrative

        def examined(answer: str, refused: Refusals) -> Complaint | None:
            if lost := [value for value in values if not stated(value, answer)]:
                return Complaint(MISSING, f"say {lost[0]!r} in the answer")
            known = (
                leaf for leaf in leaves(others) if isinstance(leaf, str) and leaf not in values
            )
            if again := [leaf for leaf in known if stated(leaf, words) and stated(leaf, answer)]:
                return Complaint("said before", f"do not say {again[0]!r} again")
            found = self.check.of_answer(answer, executed, index)
            return found or _copied(answer, refused, [call])

        answer = accepted(
            self.tries,
            lambda refused: self._sentence(words, [call], say, story, refused, rng),
            examined,
        )
        return words, answer

    def _accepted_query(
        self,
        executed: Executed,
        index: int,
        before: list[str],
        values: Sequence[Any],
        rng: random.Random,
        count: Callable[[Refusals], None] = lambda refused: None,
    ) -> str:
        """Words for a turn that do not state some values."""

        def written(refused: Refusals) -> str:
            count(refused)
            return self._written(executed, index, before, refused, rng)

        def examined(words: str, refused: Refusals) -> Complaint | None:
            if left := [value for value in values if stated(value, words)]:
                return Complaint("a value is not left out", f"do not say {left[0]!r}")
            return self._examined(executed, index, before, words, refused, rng)

        return accepted(self.tries, written, examined)

    def _written(
        self,
        executed: Executed,
        index: int,
        before: list[str],
        refused: Refusals,
        rng: random.Random,
    ) -> str:
        calls = executed.calls[index]
        if refused and (len(calls) > 1 or before):
            many = len(calls) > 1 and self._missing(refused[0], executed, index, before) > FEW
            if len(refused) == (1 if many else 2):
                return self._call_by_call(executed, index, before, rng)
        if refused and refused[-1].why == MISSING:
            return self._added(refused[-1].words, executed, index, before, rng)
        say = self.check.values_to_say(executed, index, before)
        said = {"before": before, "shown": _shown(executed, index), "say": say}
        return self._query(executed, calls, rng, **said, refused=refused)

    def _missing(self, refusal: Refusal, executed: Executed, index: int, before: list[str]) -> int:
        """How many values refused words lack; 0 if they have another fault."""
        if refusal.why != MISSING:
            return 0
        return len(self.check.missing(refusal.words, executed, index, before))

    def _call_by_call(
        self, executed: Executed, index: int, before: list[str], rng: random.Random
    ) -> str:
        """A turn's words out of the words for each of its calls.

        Each question has few values, and nothing that was said or shown before: a small model
        repeats that.
        """
        say, said = self.check.values_to_say(executed, index, before), list[str]()
        for call in executed.calls[index]:
            values = {str(leaf) for leaf in leaves(call.arguments)}
            own = {"before": (), "shown": (), "say": [v for v in say if v in values], "refused": ()}
            said.append(self._query(executed, [call], rng, **own))
        return " ".join(said)

    def _query(
        self, executed: Executed, calls: Sequence[Call], rng: random.Random, **shown: Any
    ) -> str:
        """Words for some calls of a turn."""
        asked = {"calls": self.text.calls(calls), "goals": self.text.goals(calls)}
        story = {"narrative": executed.plan.narrative, "like": self._like(executed)}
        return ask(
            self.model, "query", Query, rng, Kind.QUERY, **asked, **story, **shown
        ).query.strip()

    def _added(
        self, words: str, executed: Executed, index: int, before: list[str], rng: random.Random
    ) -> str:
        """Words with one more sentence by the model, which states the values that are missing.

        A small model that is asked for all words again leaves out the same values again.
        """
        missing = self.check.missing(words, executed, index, before)
        short = [call for call in executed.calls[index] if any(call is c for c, _ in missing)]
        say = [to_say(name, call.arguments[name]) for call, name in missing]
        return f"{words} {self._sentence(words, short, say, executed.plan.narrative, [], rng)}"

    def _sentence(
        self,
        words: str,
        calls: Sequence[Call],
        say: list[str],
        narrative: str,
        refused: Refusals,
        rng: random.Random,
    ) -> str:
        """A sentence that completes words with values."""
        shown = {"words": words, "say": say, "narrative": narrative, "refused": refused}
        asked = {"calls": self.text.calls(calls), **shown}
        return ask(self.model, "add", Query, rng, Kind.QUERY, **asked).query.strip()

    def _examined(
        self,
        executed: Executed,
        index: int,
        before: list[str],
        words: str,
        refused: Refusals,
        rng: random.Random,
    ) -> Complaint | None:
        """Check words by code, then ask the model."""
        found = self.check.complaint(words, executed, index, before)
        found = found or _copied(words, refused, executed.calls[index])
        if found is None and self.verify:
            verdict = self.verdict(executed, index, before, words, rng)
            if verdict != "yes":
                found = Complaint(verdict, verdict, Kind.QUERY_VERIFICATION)
        return found

    def verdict(
        self, executed: Executed, index: int, before: list[str], words: str, rng: random.Random
    ) -> str:
        """The model's verdict on words, see `forms.Verdict`.

        Raises:
            SynthesisError: there is none that can be read.
        """
        shown = self._context(executed, index, before)
        asked = ask(self.model, "verify", Judgement, rng, Kind.QUERY_UNTAGGED, query=words, **shown)
        return asked.verdict

    def rewritten(self, executed: Executed, queries: list[str], rng: random.Random) -> list[str]:
        """All queries, rewritten to fit the story.

        Raises:
            SynthesisError: all tries were refused; it is the failure of the last one.
        """
        return accepted(
            self.tries,
            lambda refused: self._rewrite(executed, queries, refused, rng),
            lambda found, refused: self._examined_all(executed, found),
        )

    def _rewrite(
        self, executed: Executed, queries: list[str], refused: Refusals, rng: random.Random
    ) -> list[str]:
        found = ask(
            self.model,
            "rewrite",
            Rewritten,
            rng,
            Kind.CONVERSATION,
            narrative=executed.plan.narrative,
            like=self._like(executed),
            calls=[self.text.calls(turn) for turn in executed.calls],
            queries=queries,
            refused=refused,
        ).queries
        return [query.strip() for query in found]

    def _examined_all(self, executed: Executed, found: list[str]) -> Complaint | None:
        if len(found) != len(executed.calls):
            why = "the rewrite has other turns"
            return Complaint(why, f"write {len(executed.calls)} queries", Kind.CONVERSATION)
        for index, words in enumerate(found):
            fault = self.check.complaint(words, executed, index, found[:index])
            if fault is not None:
                return Complaint(fault.why, f"query {index + 1}: {fault.text}", Kind.CONVERSATION)
        return None

    def _context(self, executed: Executed, index: int, before: list[str]) -> dict[str, Any]:
        """What a prompt about a turn shows of the calls and of what was before."""
        calls = self.text.calls(executed.calls[index])
        return {"calls": calls, "before": before, "shown": _shown(executed, index)}

    def _like(self, executed: Executed) -> str:
        """The parent's words, if they are in another language than the prompts; else ""."""
        return "" if self.check.english else next(iter(executed.plan.said), "")


def _copied(words: str, refused: Refusals, calls: Sequence[Call]) -> Complaint | None:
    """The fault of words that copy refused ones or a complaint; None if they do not."""
    if any(words == refusal.words for refusal in refused):
        return AGAIN
    return ECHO if any(repeats(words, refusal, calls) for refusal in refused) else None


def _shown(executed: Executed, index: int) -> list[str]:
    """The latest responses before a turn, cut."""
    return [clipped(text) for turn in executed.responses[:index] for text in turn][-SHOWN:]
