"""Stage II by a model: arguments that suit the session's state, and patches of the start state.

Each call is proposed by the model and executed at once; the next proposal sees the response.
After a failure of a patchable type the model may change the start state (the paper's C.2); the
next attempt begins with the patched state.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rods.envs.base import Environment, Session
from rods.flows import placed, values_at
from rods.synthesis.execute import Done, ProgramExecutor, carry_out, opened
from rods.synthesis.failures import PATCHABLE, History, Kind, SynthesisError
from rods.synthesis.llm.forms import Arguments, Patches
from rods.synthesis.llm.patches import merge
from rods.synthesis.llm.prompts import Model, ask
from rods.synthesis.llm.tool_text import ToolText, call_line, clipped
from rods.synthesis.stages import Executed, Plan, PlannedCall
from rods.synthesis.state_values import StateValues
from rods.task import Call, ToolSpec

PROPOSALS = 3  # for one call
MAX_STATE = 1_500  # characters of the state in a prompt
CANDIDATES = 6  # values of the state shown for a parameter
HISTORY = 4  # earlier calls shown


@dataclass
class LlmExecutor:
    """Arguments by a model.

    Args:
        env: where its calls run.
        program: draws start states; it has the tools and the values of the seed tasks.
        text: writes the tools into the prompts.
        tries: how often arguments of one call are proposed until it executes.
        patch: whether a failure may change the start state.
    """

    model: Model
    env: Environment
    program: ProgramExecutor
    text: ToolText
    tries: int = PROPOSALS
    patch: bool = True

    def execute(self, plan: Plan, history: History, rng: random.Random) -> Executed:
        """See `stages.Executor`; a patched start state is stored in the history."""
        start = plan.start if history.start is None else history.start
        if start is None:
            start, _ = self.program.draw(plan, rng)

        def do(step: PlannedCall, session: Session, done: Sequence[Done]) -> Done:
            return self._step(step, session, done, plan, rng)

        try:
            return carry_out(plan, start, self.env, do)
        except SynthesisError as failure:
            if self.patch and failure.kind in PATCHABLE and failure.call is not None:
                history.start = self._patched(plan, start, failure, history, rng)
            raise

    def _step(
        self,
        step: PlannedCall,
        session: Session,
        done: Sequence[Done],
        plan: Plan,
        rng: random.Random,
    ) -> Done:
        tool, errors = self.program.graph.tools[step.tools[0]], list[str]()
        given = {
            place: [v for at, key in origins for v in values_at(done[at][1], key)[:1]]
            for place, origins in step.sources.items()
        }
        if any(len(given[place]) < len(origins) for place, origins in step.sources.items()):
            raise SynthesisError(Kind.PARAMETERS, f"{tool.name}: what should flow in is not there")
        failure = SynthesisError(Kind.PARAMETERS, f"{tool.name}: no try")
        for _ in range(self.tries):
            try:
                return self._called(tool, session, done, plan, given, errors, rng)
            except SynthesisError as error:
                if error.kind is Kind.MODEL:
                    raise
                failure = error
                errors.append(error.detail)
        raise failure

    def _called(
        self,
        tool: ToolSpec,
        session: Session,
        done: Sequence[Done],
        plan: Plan,
        given: Mapping[str, list[Any]],
        errors: Sequence[str],
        rng: random.Random,
    ) -> Done:
        """A call that the model proposes, executed.

        Raises:
            SynthesisError: it fails, or there is none.
        """
        answer = ask(
            self.model,
            "arguments",
            Arguments,
            rng,
            Kind.PARAMETERS,
            tool=tool,
            about=self.text.about(tool),
            schema=json.dumps({"properties": tool.parameters, "required": tool.required}),
            given={n: v if "[]" in n else v[0] for n, v in given.items()},
            candidates=self._candidates(tool, session, rng),
            state=_state(session),
            done=[(call_line(c), clipped(text)) for c, text in done[-HISTORY:]],
            narrative=plan.narrative,
            errors=errors,
        )
        try:
            made = answer.arguments
            for place, values in given.items():
                made = placed(made, place, values)
            call = Call(name=tool.name, arguments=made)
        except ValidationError:
            none = Call.model_construct(name=tool.name, arguments={})
            raise SynthesisError(Kind.PARAMETERS, "these are no arguments", none) from None
        if any(call == other for other, _ in done):
            raise SynthesisError(Kind.DUPLICATE_CALL, "this call was made before", call)
        seen = session.call(call)
        if seen.ok and not seen.raised:
            return call, seen.text
        kind = Kind.PARAMETERS if seen.raised else Kind.EXECUTION
        raise SynthesisError(kind, clipped(f"{call_line(call)} was answered: {seen.text}"), call)

    def _candidates(
        self, tool: ToolSpec, session: Session, rng: random.Random
    ) -> dict[str, list[str]]:
        """Values that may suit each parameter: from closed sets, the state or the seed tasks."""
        state, entry = StateValues(session), self.program.graph.phrases[tool.name]
        bank = self.program.bank
        found: dict[str, list[str]] = {}
        for name in tool.parameters:
            kind = entry.slots.get(name, name)
            values = [*entry.choices.get(name, ()), *state.of(kind, name)]
            values = values or bank.parameter(tool.name, name) or bank.kind(kind)
            values = rng.sample(values, min(CANDIDATES, len(values)))
            found[name] = [clipped(json.dumps(v, ensure_ascii=False), 80) for v in values]
        return found

    def _patched(
        self,
        plan: Plan,
        start: dict[str, Any],
        failure: SynthesisError,
        history: History,
        rng: random.Random,
    ) -> dict[str, Any]:
        """The start state with the model's changes; unchanged if they are unusable."""
        assert failure.call is not None
        try:
            answer = ask(
                self.model,
                "patch",
                Patches,
                rng,
                kind=failure.kind.value,
                function=failure.call.name,
                detail=failure.detail,
                start=clipped(json.dumps(start, ensure_ascii=False), 4 * MAX_STATE),
                patches=history.patches,
            )
            session = opened(plan, start, self.env)
            known = session.state().data
            session.close()
            merged, refused = merge(start, answer.patches, known or {})
            history.patches += [f"refused: {why}" for why in refused]
            if merged == start:
                history.patches.append("refused: it changes nothing")
                return start
            opened(plan, merged, self.env).close()
        except SynthesisError as error:
            history.patches.append(f"refused: {str(error)[:120]}")
            return start
        history.patches += [f"{p.owner}.{p.field}"[:120] for p in answer.patches]
        return merged


def _state(session: Session) -> str:
    data = session.state().data
    try:
        text = json.dumps(data, default=str, ensure_ascii=False)
    except (TypeError, ValueError):  # keys that are no texts, or a cycle
        text = repr(data)
    return clipped(text, MAX_STATE)
