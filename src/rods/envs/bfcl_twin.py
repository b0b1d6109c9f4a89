"""The two sides of the official checker, which share objects by mistake.

It plays the agent and the ground truth in one process. The long-context cards and bookings are
objects of a module, and a tweet posted without tags or mentions holds the method's own default
list: a change by one side also changes the other. For that reason it refuses the ground truth
itself on some tasks. Here two sessions share these objects in the same way, and nothing else in the
process is changed.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from rods.envs.bfcl import BfclEnvironment, BfclSession
from rods.envs.bfcl_data import LONG_CONTEXT
from rods.envs.bfcl_mends import mutable_defaults, shared_records
from rods.task import Call, Task

TABLES = ("credit_card_list", "booking_record")


def accepts_ground_truth(task: Task, env: BfclEnvironment) -> bool:
    """Whether the official checker, given the ground truth as an answer, would accept it.

    Raises:
        UserError: the task cannot be opened.
    """
    answer = TwinSession(env.open(task))
    truth = TwinSession(env.open(task), answer, task.category == LONG_CONTEXT)
    seen: Counter[str] = Counter()
    for turn in task.turns:
        seen.update(answer.call(call).text for call in turn.ground_truth)
        expected = Counter([truth.call(call).text for call in turn.ground_truth])
        if turn.ground_truth and (expected - seen or not answer.matches(truth.state())):
            return False
    return True


class TwinSession(BfclSession):
    """One side. It shares the defaults of methods and the records of long context with its twin.

    Args:
        session: must not be used afterwards.
        twin: the other side; None for the first side.
        long: whether the task has long context.
    """

    def __init__(
        self, session: BfclSession, twin: TwinSession | None = None, long: bool = False
    ) -> None:
        super().__init__(session._instances, session._tools, session._bounds)
        self._defaults: dict[str, dict[str, Any]] = twin._defaults if twin else {}
        if twin and long and "TravelAPI" in self._instances:
            mine, others = (vars(s._instances["TravelAPI"]) for s in (self, twin))
            for name in TABLES:
                theirs = {k: v for k, v in others[name].items() if k in shared_records()}
                mine[name].update(theirs)

    def _arguments(self, owner: str, call: Call) -> dict[str, Any]:
        if call.name not in self._defaults:
            self._defaults[call.name] = copy.deepcopy(mutable_defaults(owner, call.name))
        return {**self._defaults[call.name], **copy.deepcopy(call.arguments)}
