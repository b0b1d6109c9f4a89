"""The episode state machine: user turn -> calls -> observations -> verdict -> next turn.

Departure from EnvTuning: progress is always divided by all N turns (its public code divides by the
turns that were reached), and a turn ends directly after its last attempt, not at the next action.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rods.envs.base import Environment, Observation, Outcome, Session, Work
from rods.envs.hints import Hinter
from rods.errors import shown
from rods.reward import NO_TRACE, GoldTrace, Verdict, format_reward, judge_turn, progress
from rods.rollout.messages import Conversation, Message, ToolCall
from rods.task import Call, Task, ToolSpec

FAILED = "environment failure: "
"""The start of the last message if the environment lost the episode."""
MAX_FAILURE = 300  # characters of the reason that are stored


class Ending(StrEnum):
    """Why an episode ended."""

    ANSWERED = "answered"
    ATTEMPTS_SPENT = "attempts spent"
    TOKEN_BUDGET = "token budget"
    FORMAT_FAILURES = "format failures"
    ENVIRONMENT_FAILURE = "environment failure"


@dataclass(frozen=True)
class EpisodeLimits:
    """Bounds: attempts in each turn, calls in each attempt, malformed actions in a row."""

    attempts: int = 5
    calls: int = 10
    malformed: int = 3


@dataclass(frozen=True)
class Action:
    """What the agent did in one round: calls, or none to end the turn; or why it is malformed."""

    calls: tuple[Call, ...] = ()
    malformed: str = ""


@dataclass
class Episode:
    """One agent plays one task. Call `act` until `ending` is set.

    With a `hinter`, failed calls are shown with a hint. The hint is only in the messages: the
    verdict compares the responses without it.

    To play many episodes at once, call `begin` on each, execute all the steps in one batch, and
    give each outcome to `finish`.

    Attributes:
        conversation: the messages so far.
        calls: for each turn that was reached, the calls of the agent that were read. Those in a
            turn without ground truth were not executed.
        failure: why the environment lost the episode, or "".
    """

    task: Task
    env: Environment
    gold: GoldTrace
    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
    verdicts: list[Verdict] = field(default_factory=list)
    ending: Ending | None = None
    hinter: Hinter | None = None
    failure: str = ""

    @classmethod
    def lost(cls, task: Task, env: Environment, why: str) -> Episode:
        """An episode that could not begin: it has only the messages of its first turn."""
        episode = cls(task, env, NO_TRACE, ending=Ending.ENVIRONMENT_FAILURE)
        episode._fail(why)
        return episode

    def __post_init__(self) -> None:
        self.session: Session | None = None if self.ending else self.env.open(self.task)
        self.responses: list[str] = []
        self.calls: list[list[Call]] = []
        self.rounds = self.malformed = self.clean = self.raised = 0
        self.refusals: Counter[str] = Counter()
        self._called = self._spent = self._turn_over = self._spent_now = False
        self._attempts = self._malformed_in_row = self._shown = self._made = 0
        self._calls: Sequence[ToolCall] = ()
        self._tools = self.env.tools(self.task)
        self._offered = {n: t for n, t in self._tools.items() if n not in self.task.withheld}
        by_class = sorted(self._offered.values(), key=self._place)
        withheld = tuple(self._tools[n] for n in self.task.withheld if n in self._tools)
        self.conversation = Conversation(tuple(by_class), withheld)
        if self.task.system:
            self._say(Message("system", self.task.system))
        self._user_turn()

    @property
    def turn(self) -> int:
        """Index of the current user turn."""
        return len(self.verdicts)

    def act(self, action: Action, said: str = "") -> list[Message]:
        """Take one action of the agent and return what it sees next.

        Args:
            action: what it did.
            said: the action as text, which the conversation keeps.
        """
        step = self.begin(action, said)
        return self.finish(self.env.execute([step])[0] if step else None)

    def begin(self, action: Action, said: str = "") -> Work | None:
        """Take one action; returns the step that the environment must execute, or None."""
        self.rounds += 1
        calls = self._numbered(action.calls[: self.limits.calls])
        self.calls[-1] += [made.call for made in calls]
        self._say(Message("assistant", said or _as_text(action), calls))
        self._shown = len(self.conversation.messages)
        self._turn_over = self._spent_now = False
        if action.malformed:
            self.malformed += 1
            self._malformed_in_row += 1
            self._attempts += 1
            self._say(Message("user", action.malformed, error=True))
            if self._malformed_in_row >= self.limits.malformed:
                self.end(Ending.FORMAT_FAILURES)
                return None
        else:
            self._malformed_in_row = 0
            if not calls:
                self._turn_over = True
            elif not self.task.turns[self.turn].ground_truth:
                self._called = self._turn_over = True
                self._refuse(calls)
                calls = ()
            else:
                self._called = True
                self._attempts += 1
        if not self._turn_over and self._attempts >= self.limits.attempts:
            self._turn_over = self._spent_now = True
        judged = self._turn_over and self._called and self.task.turns[self.turn].ground_truth
        if not calls and not judged:
            return None
        self._calls = calls
        assert self.session is not None, "the episode is over"
        expected = self.gold.states[self.turn] if judged else None
        return Work(self.session, [made.call for made in calls], expected)

    def finish(self, outcome: Outcome | None) -> list[Message]:
        """Take the outcome of the step, None without a step; returns what the agent sees next."""
        if self.ending is None and outcome is not None and outcome.lost:
            self._fail(outcome.lost)
            self.end(Ending.ENVIRONMENT_FAILURE)
        if self.ending is None:
            if outcome is not None and outcome.observations:
                self._observe(outcome)
            if self._turn_over:
                self._end_turn(outcome.matches if outcome else None)
        return self.conversation.messages[self._shown :]

    def end(self, ending: Ending) -> None:
        """End the episode; turns not reached count as failed."""
        self.ending = ending
        self.close()

    def close(self) -> None:
        """Release what the session holds."""
        if self.session is not None:
            self.session.close()

    @property
    def progress(self) -> float:
        return progress(self.verdicts, len(self.task.turns))

    @property
    def complete(self) -> bool:
        """The binary reward."""
        return self.progress == 1.0

    @property
    def format(self) -> float:
        return format_reward(self.rounds, self.malformed, self.clean, self.raised)

    def _fail(self, why: str) -> None:
        self.failure = shown(why, MAX_FAILURE)
        self._say(Message("user", f"{FAILED}{self.failure}", error=True))

    def _observe(self, outcome: Outcome) -> None:
        failed = False
        for made, seen in zip(self._calls, outcome.observations, strict=True):
            failed = failed or seen.raised
            self.refusals.update([seen.refused] if seen.refused else [])
            self.responses.append(seen.text)
            hint = self._hint(made.call, seen)
            self._say(Message("tool", seen.text, (), made.id, error=not seen.ok, hint=hint))
        self.raised += failed
        self.clean += not failed

    def _hint(self, call: Call, seen: Observation) -> str:
        if self.hinter is None or self.session is None or seen.ok:
            return ""
        said = (m for m in self.conversation.messages if m.role != "assistant" and not m.repeats)
        shown_text = "\n".join(m.text for m in said if m.text)
        return self.hinter.hint(call, seen, self.session, self._offered, shown_text)

    def _refuse(self, calls: Sequence[ToolCall]) -> None:
        """Answer the calls of a turn without ground truth, of which none is executed."""
        for made in calls:
            text, repeats = "no tool fits this request", made is not calls[0]
            self._say(Message("tool", text, (), made.id, error=True, repeats=repeats))

    def _numbered(self, calls: Sequence[Call]) -> tuple[ToolCall, ...]:
        first, self._made = self._made, self._made + len(calls)
        return tuple(ToolCall(f"call_{first + i}", call) for i, call in enumerate(calls))

    def _say(self, message: Message) -> None:
        self.conversation.messages.append(message)

    def _place(self, tool: ToolSpec) -> int:
        """Position of the tool's class among the task's classes."""
        classes = self.task.classes
        return classes.index(tool.owner) if tool.owner in classes else len(classes)

    def _end_turn(self, matches: bool | None) -> None:
        self._spent = self._spent or self._spent_now
        verdict = judge_turn(self.gold, self.turn, self.responses, self._called, matches)
        self.verdicts.append(verdict)
        said = verdict.text(called=self._called)
        self.conversation.verdicts.append((len(self.conversation.messages), said))
        self._attempts, self._called = 0, False
        if self.turn == len(self.task.turns):
            self.end(Ending.ATTEMPTS_SPENT if self._spent else Ending.ANSWERED)
        else:
            self._user_turn()

    def _user_turn(self) -> None:
        turn = self.task.turns[self.turn]
        self.calls.append([])
        restored = {n: self._tools[n] for n in turn.restores if n in self._tools}
        self._offered |= {n: t for n, t in self._tools.items() if n in restored}
        if turn.user or restored:
            self._say(Message("user", turn.user, tools=tuple(restored.values())))


def _as_text(action: Action) -> str:
    return ", ".join(map(str, action.calls)) if action.calls else action.malformed or "(done)"
