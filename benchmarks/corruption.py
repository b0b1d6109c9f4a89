"""Wrong transcripts, made from right ones at random."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from rods.task import Call, Task

KINDS = (
    "drop", "repeat", "reorder", "alter", "insert_read", "insert_draw", "insert_other",
    "act_early", "act_late", "act_in_empty_turn",
)  # fmt: skip
READS = {
    "GorillaFileSystem": ("pwd()", "ls()", "ls(a=True)"),
    "TwitterAPI": ("get_user_stats(username='x')",),
    "MessageAPI": ("list_users()", "view_messages_sent()", "get_message_stats()"),
    "TicketAPI": ("ticket_get_login_status()", "get_user_tickets()"),
    "TradingBot": ("get_current_time()", "get_watchlist()", "get_account_info()"),
    "TravelAPI": ("list_all_airports()", "get_budget_fiscal_year()"),
    "VehicleControlAPI": ("displayCarStatus(option='fuel')", "find_nearest_tire_shop()"),
}
DRAWS = {
    "VehicleControlAPI": ("get_current_speed()", "get_outside_temperature_from_google()"),
    "TravelAPI": (
        "register_credit_card(access_token='x', card_number='1', expiration_date='01/30',"
        " cardholder_name='a', card_verification_number=1)",
        "authenticate_travel(client_id='a', client_secret='b', refresh_token='c',"
        " grant_type='read_write', user_first_name='a', user_last_name='b')",
    ),
    "MessageAPI": ("add_contact(user_name='Zed')",),
    "TradingBot": ("fund_account(amount=1)",),
}


class Corruption:
    """Draws corrupted answers; calls of other tasks serve as honest but misplaced ones."""

    def __init__(
        self,
        tasks: Sequence[Task],
        read_calls: dict[str, list[Call]],
        draw_calls: dict[str, list[Call]],
    ) -> None:
        self.reads, self.draws = read_calls, draw_calls
        self.others: dict[tuple[str, ...], list[Call]] = defaultdict(list)
        for task in tasks:
            self.others[task.classes] += task.calls

    def draw(self, task: Task, rng: random.Random) -> tuple[list[list[Call]], list[str]]:
        """An answer with one to four faults, and their kinds."""
        answer = [list(turn.ground_truth) for turn in task.turns]
        kinds = [rng.choice(KINDS) for _ in range(rng.randint(1, 4))]
        for kind in kinds:
            getattr(self, f"_{kind}")(task, answer, rng)
        return answer, kinds

    def _some(self, answer: list[list[Call]], rng: random.Random) -> tuple[list[Call], int] | None:
        filled = [turn for turn in answer if turn]
        if not filled:
            return None
        turn = rng.choice(filled)
        return turn, rng.randrange(len(turn))

    def _drop(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        if found := self._some(answer, rng):
            found[0].pop(found[1])

    def _repeat(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        if found := self._some(answer, rng):
            turn, at = found
            turn.insert(rng.randint(at, len(turn)), turn[at])

    def _reorder(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        if found := self._some(answer, rng):
            rng.shuffle(found[0])

    def _alter(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        found = self._some(answer, rng)
        if found is None or not found[0][found[1]].arguments:
            return
        turn, at = found
        name = rng.choice(sorted(turn[at].arguments))
        old = turn[at].arguments[name]
        equal = float(old) if isinstance(old, int) else old  # 100 and 100.0 are one value
        new = rng.choice(["altered", 7, 2.5, [], None, True, equal, [old], {"a": old}, str(old)])
        changed = {**turn[at].arguments, name: new}
        if rng.random() < 0.1:
            del changed[name]
        turn[at] = Call.model_construct(name=turn[at].name, arguments=changed)

    def _insert_read(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        self._insert(self.reads, task, answer, rng)

    def _insert_draw(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        self._insert(self.draws, task, answer, rng)

    def _insert(
        self,
        pool: dict[str, list[Call]],
        task: Task,
        answer: list[list[Call]],
        rng: random.Random,
    ) -> None:
        calls = [call for owner in task.classes for call in pool.get(owner, ())]
        found = self._some(answer, rng)
        if calls and found:
            found[0].insert(rng.randint(0, len(found[0])), rng.choice(calls))

    def _insert_other(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        if found := self._some(answer, rng):
            call = rng.choice(self.others[task.classes])
            found[0].insert(rng.randint(0, len(found[0])), call)

    def _act_early(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        self._move(answer, rng, earlier=True)

    def _act_late(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        self._move(answer, rng, earlier=False)

    def _move(self, answer: list[list[Call]], rng: random.Random, earlier: bool) -> None:
        filled = [i for i, turn in enumerate(answer) if turn]
        if len(filled) < 2:
            return
        one, two = sorted(rng.sample(filled, 2))
        source, target = (two, one) if earlier else (one, two)
        call = answer[source].pop(rng.randrange(len(answer[source])))
        answer[target].insert(rng.randint(0, len(answer[target])), call)

    def _act_in_empty_turn(self, task: Task, answer: list[list[Call]], rng: random.Random) -> None:
        empty = [i for i, turn in enumerate(task.turns) if not turn.ground_truth]
        if empty and task.calls:
            at = rng.choice(empty)
            later = [c for turn in task.turns[at + 1 :] for c in turn.ground_truth]
            answer[at].append(rng.choice(later or task.calls))
