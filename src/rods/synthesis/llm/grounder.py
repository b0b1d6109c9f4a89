"""Stage III by a model: a query for each turn, its verification, and the holistic rewrite.

As in the paper the words are made after the calls. Each turn's query is written and verified
separately; then one question rewrites all of them to fit the story. For a turn that augmentation
splits, the model is asked for a query without the value and for the words that supply it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from rods.grounding import stated
from rods.provenance import leaves
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.llm.forms import Judgement, Omitted, Query, Rewritten
from rods.synthesis.llm.prompts import Model, ask, call_line, clipped
from rods.synthesis.stages import Executed
from rods.task import Call

TRIES = 2  # queries written for a turn until one is verified


@dataclass
class LlmGrounder:
    """Words by a model.

    Args:
        rewrite: whether all queries are rewritten to fit the story (C.3 of the paper).
    """

    model: Model
    rewrite: bool = True

    def ground(self, executed: Executed, rng: random.Random) -> LlmWords:
        """See `stages.Grounder`."""
        queries: list[str] = []
        for index in range(len(executed.calls)):
            queries.append(self._query(executed, index, queries, rng))
        if self.rewrite:
            queries = self._rewritten(executed, queries, rng)
        return LlmWords(self.model, executed, queries, rng)

    def _query(self, executed: Executed, index: int, before: list[str], rng: random.Random) -> str:
        calls = [call_line(call) for call in executed.calls[index]]
        problem = ""
        for _ in range(TRIES):
            query = ask(
                self.model,
                "query",
                Query,
                rng,
                Kind.QUERY,
                calls=calls,
                before=before,
                shown=[clipped(t) for turn in executed.responses[:index] for t in turn][-4:],
                narrative=executed.plan.narrative,
                problem=problem,
            ).query.strip()
            if not query:
                raise SynthesisError(Kind.QUERY, "an empty query")
            verdict = ask(
                self.model,
                "verify",
                Judgement,
                rng,
                Kind.QUERY_UNTAGGED,
                calls=calls,
                query=query,
                before=before,
            )
            if verdict.verdict == "yes":
                return query
            problem = verdict.reason[:300]
        raise SynthesisError(Kind.QUERY_VERIFICATION, f"turn {index + 1}: {problem}")

    def _rewritten(self, executed: Executed, queries: list[str], rng: random.Random) -> list[str]:
        found = ask(
            self.model,
            "rewrite",
            Rewritten,
            rng,
            Kind.CONVERSATION,
            narrative=executed.plan.narrative,
            calls=[[call_line(call) for call in turn] for turn in executed.calls],
            queries=queries,
        ).queries
        if len(found) != len(queries) or not all(query.strip() for query in found):
            raise SynthesisError(Kind.CONVERSATION, "the rewrite has other turns")
        return [query.strip() for query in found]


@dataclass
class LlmWords:
    """See `stages.Words`."""

    model: Model
    executed: Executed
    queries: list[str]
    rng: random.Random
    _omitted: dict[tuple[int, str], Omitted] = field(default_factory=dict)

    def turn(self, index: int, missing: tuple[int, str] | None = None) -> str:
        if missing is None:
            return self.queries[index]
        which, name = missing
        call = self.executed.calls[index][which]
        answer = ask(
            self.model,
            "omit",
            Omitted,
            self.rng,
            Kind.QUERY,
            query=self.queries[index],
            call=call_line(call),
            parameter=name,
            value=str(call.arguments[name]),
        )
        self._omitted[id(call), name] = answer
        return answer.query.strip()

    def stated(self, index: int) -> list[tuple[int, str]]:
        return [
            (which, name)
            for which, call in enumerate(self.executed.calls[index])
            for name, value in call.arguments.items()
            if all(stated(leaf, self.queries[index]) for leaf in leaves(value))
        ]

    def answer(self, call: Call, parameter: str) -> str:
        return self._omitted[id(call), parameter].answer.strip()
