"""What passes between the driver and an actor that plays: a task to play, and how it was played.

verl stores both in its queue, so they are plain data. Rewards are Python floats, because verl's own
reward is a float32 and signal is decided by exact equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from rods.errors import UserError, shown
from rods.rollout.episode import Ending
from rods.rollout.messages import Conversation
from rods.rollout.rollout import Rollout
from rods.stages import RewardName, Stage
from rods.task import Task

AGENT = "rods"
"""The name under which verl finds our agent loop, and our trainer."""
TRAIN, NOTHING = "rods://train", "rods://nothing"
"""Names of the training data, and of the validation data. The latter is empty: RODS measures its
held-out tasks itself."""
KEY = "rods"
"""The entry of verl's extra fields that holds the result."""
MOST_TEXT = 40_000  # characters of a conversation that travel
MOST_ERROR = 300  # characters of an error that travel


class Order(NamedTuple):
    """A task to play.

    Attributes:
        place: of the task among those of its step, from 0.
        step: the training step.
        reward: name of the reward that is trained on.
        hints: whether failed calls are answered with hints.
    """

    task: Task
    place: int
    step: int
    reward: RewardName
    hints: bool

    @classmethod
    def of(cls, task: Task, place: int, step: int, stage: Stage) -> Order:
        """The order of a step's task in the stage of training that the step belongs to."""
        return cls(task, place, step, stage.reward, stage.hints)

    def row(self) -> dict[str, Any]:
        """The row of verl's data set: our fields, and those that verl reads of every row."""
        return {
            "task": self.task.model_dump_json(),
            "place": self.place,
            "step": self.step,
            "reward_name": self.reward,
            "hints": self.hints,
            # verl's own. No tokens are made of the prompt: the renderer writes it in the actor.
            "raw_prompt": [{"role": "user", "content": self.task.label}],
            "index": self.place,
            "agent_name": AGENT,
            "data_source": AGENT,
            "reward_model": {"style": "rods", "ground_truth": ""},
        }

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Order:
        """The order in a row that an actor got."""
        return cls(
            Task.model_validate_json(row["task"]),
            int(row["place"]),
            int(row["step"]),
            cast(RewardName, str(row["reward_name"])),
            bool(row["hints"]),
        )


@dataclass
class Told(Conversation):
    """A conversation of which only the lines for people are known."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def lines(self) -> list[tuple[str, str]]:
        return self.told


class Result(NamedTuple):
    """How one rollout of an order ended.

    Attributes:
        place: of its task among those of the step.
        session: number of the rollout among the K of its group.
        rollout: without tokens; its mask counts those of the policy.
        error: why it could not be played, or "". The rollout is None then, and the run must end.
    """

    place: int
    session: int
    rollout: Rollout | None
    error: str = ""

    @classmethod
    def failed(cls, place: int, session: int, error: BaseException) -> Result:
        """Of a rollout whose policy, and not whose environment, failed."""
        while isinstance(cause := getattr(error, "cause", None), Exception):
            error = cause  # Ray passes on what another process raised, with its traceback as text
        named = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        why = shown(f"{named}{error}", MOST_ERROR)
        return cls(place, session, None, why)

    def plain(self) -> dict[str, Any]:
        """As plain data. Only the first rollout of a group brings its conversation."""
        found: dict[str, Any] = {"place": self.place, "session": self.session, "error": self.error}
        if (rollout := self.rollout) is None:
            return found
        lines = _bounded(rollout.conversation.lines()) if self.session == 0 else []
        return found | {
            "task_id": rollout.task_id,
            "generated": rollout.generated,
            "progress": rollout.progress,
            "complete": rollout.complete,
            "format": rollout.format,
            "turns": list(rollout.turns),
            "ending": rollout.ending.value,
            "lines": lines,
            "refusals": dict(rollout.refusals),
            "failure": rollout.failure,
            "versions": list(rollout.versions),
        }

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Result:
        """What `plain` made.

        Raises:
            KeyError: it is something else.
        """
        place, session, error = int(found["place"]), int(found["session"]), str(found["error"])
        if error:
            return cls(place, session, None, error)
        rollout = Rollout(
            task_id=found["task_id"],
            prompt_ids=[],
            completion_ids=[],
            mask=[1] * int(found["generated"]),
            logprobs=[],
            progress=float(found["progress"]),
            complete=bool(found["complete"]),
            format=float(found["format"]),
            turns=[bool(passed) for passed in found["turns"]],
            ending=Ending(found["ending"]),
            conversation=Told((), told=[(kind, text) for kind, text in found["lines"]]),
            refusals=dict(found["refusals"]),
            failure=found["failure"],
            versions=tuple(found["versions"]),
        )
        return cls(place, session, rollout)


def _bounded(lines: list[tuple[str, str]]) -> list[list[str]]:
    """The first lines, until their text is too long to travel."""
    found, left = list[list[str]](), MOST_TEXT
    for kind, text in lines:
        if len(text) > left:
            found.append([kind, f"{text[:left]} ..."])
            break
        left -= len(text)
        found.append([kind, text])
    return found
