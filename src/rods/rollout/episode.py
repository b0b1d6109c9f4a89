"""The episode state machine: user turn -> calls -> observations -> verdict -> next turn.

Departures from EnvTuning's public code: progress is always divided by all N turns, and the turn
ends right after its last attempt instead of at the forced next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rods.envs.base import Environment, Observation, Outcome, Session, Step
from rods.envs.hints import Hinter
from rods.reward import NO_TRACE, GoldTrace, Verdict, format_reward, judge_turn, progress
from rods.secret import shown
from rods.task import Call, Task

HINT = " Hint: "
"""Stands between a response and its hint in the transcript."""
FAILED = "environment failure: "
"""Begins the transcript's last message where the environment lost the episode."""
MAX_FAILURE = 300  # characters that are kept of why


class Ending(StrEnum):
    """Why an episode was over."""

    ANSWERED = "answered"
    ATTEMPTS_SPENT = "attempts spent"
    TOKEN_BUDGET = "token budget"
    FORMAT_FAILURES = "format failures"
    ENVIRONMENT_FAILURE = "environment failure"


@dataclass(frozen=True)
class Limits:
    """Bounds of an episode: attempts a user turn, calls an attempt, malformed actions in a row."""

    attempts: int = 5
    calls: int = 10
    malformed: int = 3


@dataclass(frozen=True)
class Action:
    """What the agent did in one round: calls, or none to end the turn; or something malformed."""

    calls: tuple[Call, ...] = ()
    malformed: str = ""


@dataclass(frozen=True)
class Message:
    """One entry of the transcript. Roles: tools, user, agent, observation, error."""

    role: str
    text: str


@dataclass
class Episode:
    """One agent's run through one task. Feed `act` until `ending` is set.

    With a `hinter`, failed calls are shown with a hint. It is in the transcript alone: the verdict
    compares the responses without it.

    Who plays many episodes at once calls `begin` on each, hands all the steps to the environment
    together, and gives each outcome to `finish`.

    Attributes:
        failure: why the environment lost it, or "".
    """

    task: Task
    env: Environment
    gold: GoldTrace
    limits: Limits = field(default_factory=Limits)
    verdicts: list[Verdict] = field(default_factory=list)
    transcript: list[Message] = field(default_factory=list)
    ending: Ending | None = None
    hinter: Hinter | None = None
    failure: str = ""

    @classmethod
    def lost(cls, task: Task, env: Environment, why: str) -> Episode:
        """One that could not begin: its first turn is shown, and nothing can be done."""
        episode = cls(task, env, NO_TRACE, ending=Ending.ENVIRONMENT_FAILURE)
        episode._fail(why)
        return episode

    def __post_init__(self) -> None:
        self.session: Session | None = None if self.ending else self.env.open(self.task)
        self.responses: list[str] = []
        self.rounds = self.malformed = self.clean = self.raised = 0
        self.refusals: Counter[str] = Counter()
        self._attempts = self._malformed_in_row = 0
        self._called = self._spent = self._turn_over = self._spent_now = False
        self._shown = 0
        self._calls: Sequence[Call] = ()
        self._tools = self.env.tools(self.task)
        self._offered = {n: t for n, t in self._tools.items() if n not in self.task.withheld}
        self.transcript.append(Message("tools", " ".join(self._offered)))
        self._user_turn()

    @property
    def turn(self) -> int:
        """Index of the current user turn."""
        return len(self.verdicts)

    def act(self, action: Action, said: str = "") -> list[Message]:
        """Take one action of the agent and return what it sees next.

        Args:
            action: what it did.
            said: the action as text, for the transcript.
        """
        step = self.begin(action, said)
        return self.finish(self.env.execute([step])[0] if step else None)

    def begin(self, action: Action, said: str = "") -> Step | None:
        """Take one action; the step is what the environment has to do for it, if anything."""
        self.rounds += 1
        self.transcript.append(Message("agent", said or _as_text(action)))
        self._shown = len(self.transcript)
        self._turn_over = self._spent_now = False
        calls = action.calls[: self.limits.calls]
        if action.malformed:
            self.malformed += 1
            self._malformed_in_row += 1
            self._attempts += 1
            self.transcript.append(Message("error", action.malformed))
            if self._malformed_in_row >= self.limits.malformed:
                self.end(Ending.FORMAT_FAILURES)
                return None
        else:
            self._malformed_in_row = 0
            if not calls:
                self._turn_over = True
            elif not self.task.turns[self.turn].ground_truth:
                self._called = self._turn_over = True
                calls = ()
                self.transcript.append(Message("error", "no tool fits this request"))
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
        return Step(self.session, calls, self.gold.states[self.turn] if judged else None)

    def finish(self, outcome: Outcome | None) -> list[Message]:
        """Take the outcome of the step, None where there was none; returns what the agent sees."""
        if self.ending is not None:
            return self.transcript[self._shown :]
        if outcome is not None and outcome.lost:
            self._fail(outcome.lost)
            self.end(Ending.ENVIRONMENT_FAILURE)
            return self.transcript[self._shown :]
        if outcome is not None and outcome.observations:
            self._observe(outcome)
        if self._turn_over:
            self._end_turn(outcome.matches if outcome else None)
        return self.transcript[self._shown :]

    def end(self, ending: Ending) -> None:
        """Stop here; turns not reached count as failed."""
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
        self.transcript.append(Message("error", f"{FAILED}{self.failure}"))

    def _observe(self, outcome: Outcome) -> None:
        failed = False
        for call, seen in zip(self._calls, outcome.observations, strict=True):
            failed = failed or seen.raised
            self.refusals.update([seen.refused] if seen.refused else [])
            self.responses.append(seen.text)
            shown = seen.text + self._hint(call, seen)
            self.transcript.append(Message("observation" if seen.ok else "error", shown))
        self.raised += failed
        self.clean += not failed

    def _hint(self, call: Call, seen: Observation) -> str:
        if self.hinter is None or self.session is None or seen.ok:
            return ""
        shown = "\n".join(m.text for m in self.transcript if m.role not in ("tools", "agent"))
        hint = self.hinter.hint(call, seen, self.session, self._offered, shown)
        return HINT + hint if hint else ""

    def _end_turn(self, matches: bool | None) -> None:
        self._spent = self._spent or self._spent_now
        self.verdicts.append(
            judge_turn(self.gold, self.turn, self.responses, self._called, matches)
        )
        self._attempts, self._called = 0, False
        if self.turn == len(self.task.turns):
            self.end(Ending.ATTEMPTS_SPENT if self._spent else Ending.ANSWERED)
        else:
            self._user_turn()

    def _user_turn(self) -> None:
        turn = self.task.turns[self.turn]
        if turn.restores:
            self._offered |= {n: t for n, t in self._tools.items() if n in turn.restores}
            self.transcript.append(Message("tools", " ".join(turn.restores)))
        if turn.user:
            self.transcript.append(Message("user", turn.user))


def _as_text(action: Action) -> str:
    return ", ".join(map(str, action.calls)) if action.calls else action.malformed or "(done)"
