"""The types of failure in synthesis, the advice for each, and the history of a parent's attempts.

The twelve types and their advice are the paper's (appendix E).

Not in the paper: two more types, "critique_rejected", for tasks that a gate or the judge refuses,
which the paper counts separately, and "model_failed", for an endpoint without a usable answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rods.endpoint.fault import Cause, shortened
from rods.task import Call, Task

MAX_DETAIL = 300


class Kind(StrEnum):
    """Types of failure; the values are the paper's names."""

    PARAMETERS = "param_gen_failed"
    DECOMPOSITION = "decompose_failed"
    SAMPLING = "func_sample_failed"
    EXECUTION = "vm_exec_failed"
    DUPLICATE_CALL = "duplicate_func"
    QUERY = "query_gen_failed"
    QUERY_VERIFICATION = "query_verify_failed"
    QUERY_UNTAGGED = "query_verify_no_tag"
    CONVERSATION = "conversation_construct_failed"
    NO_PROMPTS = "no_prompts"
    NO_PATTERN = "no_pattern"
    PIPELINE = "pipeline_exception"
    CRITIQUE = "critique_rejected"
    MODEL = "model_failed"


PATCHABLE = {Kind.PARAMETERS, Kind.DECOMPOSITION, Kind.SAMPLING, Kind.EXECUTION}
ADVICE = {
    Kind.PARAMETERS: "choose functions whose arguments the present state can supply",
    Kind.DECOMPOSITION: "use only functions that the environment offers itself",
    Kind.SAMPLING: "avoid functions that depend on a login or on a particular state",
    Kind.EXECUTION: "leave the path that failed, and fit the state as it is patched",
    Kind.DUPLICATE_CALL: "do not repeat a call within a turn",
    Kind.QUERY: "combine fewer and simpler functions",
    Kind.QUERY_VERIFICATION: "use one function a turn",
    Kind.QUERY_UNTAGGED: "plan with a clearer intent for each turn",
    Kind.CONVERSATION: "make turns that follow from each other and can be resolved in order",
    Kind.NO_PROMPTS: "use a class that is supported",
    Kind.NO_PATTERN: "choose an order of classes that can work",
    Kind.PIPELINE: "make a simpler and entirely different plan",
    Kind.CRITIQUE: "make every call necessary and every value known to the user or shown before",
    Kind.MODEL: "make a simpler plan",
}


class SynthesisError(Exception):
    """An attempt failed.

    Args:
        kind: the type of failure.
        detail: what happened, for the next attempt and the lineage; cut to 300 characters.
        call: the call that failed, if there is one.
        why: which of several faults of this type it is, in the funnel.
        task: the task that was refused, if there was one already.
    """

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        call: Call | None = None,
        *,
        why: str = "",
        task: Task | None = None,
    ) -> None:
        super().__init__(detail or kind.value)
        self.kind, self.detail, self.call = kind, detail[:MAX_DETAIL], call
        self.why, self.task = why, task

    @property
    def cause(self) -> str:
        """Its name in the funnel."""
        if self.kind is Kind.CRITIQUE:
            return self.why or self.detail
        return f"{self.kind}: {self.why}" if self.why else self.kind.value


class ModelError(Exception):
    """The model gave no answer.

    Args:
        role: the role that asked.
        detail: more about the cause; cut at 200 characters. It never contains the key.
    """

    def __init__(self, cause: Cause, role: str, detail: str = "") -> None:
        self.cause, self.role, self.detail = cause, role, shortened(detail)
        super().__init__(f"{role}: {cause}" + (f": {self.detail}" if self.detail else ""))

    def __reduce__(self) -> tuple[type[ModelError], tuple[Cause, str, str]]:
        return ModelError, (self.cause, self.role, self.detail)


@dataclass
class History:
    """What earlier attempts with one parent showed.

    Attributes:
        failures: one of each attempt, in order.
        plans: sequences of tools that were tried; the next plan must differ.
        start: the start state with the patches so far; None without patches.
        patches: the patches made, and those refused with the reason.
        stopped: how often a limit stopped a call of a tool.
    """

    failures: list[SynthesisError] = field(default_factory=list)
    plans: set[tuple[tuple[str, ...], ...]] = field(default_factory=set)
    start: dict[str, Any] | None = None
    patches: list[str] = field(default_factory=list)
    stopped: Counter[str] = field(default_factory=Counter)

    def add(self, failure: SynthesisError, plan: Iterable[Iterable[str]] = ()) -> None:
        self.failures.append(failure)
        if tried := tuple(tuple(turn) for turn in plan):
            self.plans.add(tried)

    @property
    def blocked(self) -> frozenset[str]:
        """Tools that failed in any attempt (the cumulative blocklist)."""
        patchable = (f for f in self.failures if f.kind in PATCHABLE)
        return frozenset(f.call.name for f in patchable if f.call)

    def summary(self) -> list[dict[str, str]]:
        """The failures as plain data, for the lineage."""
        return [
            {"type": f.kind.value, "detail": f.detail, "advice": ADVICE[f.kind]}
            for f in self.failures
        ]
