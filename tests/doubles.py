"""Small tasks, synthesis that needs no benchmark (it alters a word of what the user says), and a
trainer that gives random rewards."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hypothesis import strategies as st

from rods.config import Config
from rods.curriculum.audit import faults
from rods.envs.bfcl_data import CATEGORIES
from rods.group import GroupRewards
from rods.loop import Loop
from rods.presets import load_config
from rods.store.schema import Epoch
from rods.store.store import Store
from rods.task import Call, Task, Turn

WORDS = ("amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heron")


def make_task(name: str, category: str = "base", **fields: object) -> Task:
    """A task that differs from others by its first words."""
    call = Call(name="cd", arguments={"folder": "z"})
    turns = (Turn(user=f"{name} open z", ground_truth=(call,)), Turn(user="then stop"))
    start = {"root": {"z": {"type": "file", "content": "1"}, "a": 2.0}}
    return Task(
        category=category,
        classes=("GorillaFileSystem",),
        start={"GorillaFileSystem": start},
        turns=turns,
        **fields,
    )


def make_seeds(count: int) -> list[Task]:
    """Originals, the categories in turn."""
    kinds = CATEGORIES
    return [make_task(f"seed {i}", kinds[i % len(kinds)]) for i in range(count)]


def make_config(tasks_per_step: int = 2, **sections: object) -> Config:
    """The tiny preset with groups of two and whole sections replaced."""
    base = load_config("tiny").model_dump()
    base["stages"] = [{"reward": "progress"}]
    base["rollout"] |= {"group_size": 2, "tasks_per_step": tasks_per_step}
    base["synthesis"] |= {"mode": "inline"}
    base["optimizer"] |= {"microbatch": 2 * tasks_per_step}
    for name, value in sections.items():
        base[name] = base[name] | value if isinstance(value, dict) else value
    return Config.model_validate(base)


SEEDS = make_seeds(8)
SMALL = {"p_max": 3, "burn_in": 0.2, "hard": 0.1}
configs = st.builds(
    lambda size, arm, rule, cooldown, rest, floor, patience, seed, ours: make_config(
        size,
        arm=arm,
        seed=seed,
        boundary={"rule": rule, "cooldown": cooldown, "quota": 2, "redistribute": seed == 1}
        | {"family_cooldown": ours},
        pool=SMALL
        | {"beta": (0.5, 0.07, 0.29, 0.13)[seed], "rest_epochs": rest, "floor": floor}
        | ({"forecast": True, "family_share": 0.4} if ours else {}),
        synthesis={"patience": patience, "surplus": 1.5 if ours else 1.0},
    ),
    st.integers(1, 3),
    st.sampled_from(["static", "fresh", "rods", "rods"]),
    st.sampled_from(["mean", "variance", "advantage", "posterior", "random"]),
    st.sampled_from([0, 5]),
    st.integers(0, 1),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 3),
    st.booleans(),
)


class RenamingSynthesis:
    """Test double for synthesis. Like the real one it gives nothing now and then, and never the
    same task twice while it lives; unlike it, it needs no environment.

    Args:
        known: tasks that exist already and must not be made again.
    """

    def __init__(self, known: Sequence[Task] = ()) -> None:
        self.known = {task.id for task in known}
        self.funnel: Counter[str] = Counter()
        self.given_up: list[dict[str, str]] = []

    def learn(self, task: Task) -> None:
        self.known.add(task.id)

    def forget(self, task_ids: Collection[str]) -> None:
        self.known.difference_update(task_ids)

    def take_failures(self) -> list[dict[str, str]]:
        taken, self.given_up = self.given_up, []
        return taken

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        for _ in range(3):
            self.funnel["tried"] += 1
            task = self._renamed(parent, rng, epoch, parent.id)
            if rng.random() < 0.2 or task.id in self.known:
                self.funnel["refused"] += 1
                continue
            self.funnel["admitted"] += 1
            return task
        self.given_up.append({"parent": parent.id})
        return None

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        while True:
            category = rng.choice(CATEGORIES)
            task = self._renamed(make_task("seed 0", category), rng, epoch, "")
            if task.id not in self.known:
                return task

    def _renamed(self, like: Task, rng: random.Random, epoch: int, parent: str) -> Task:
        words = like.turns[0].user.split()
        words[rng.randrange(2)] = rng.choice(WORDS) + str(rng.randrange(40))
        return make_task(
            " ".join(words[:2]), like.category, origin="renamed", parent=parent, born=epoch
        )


def play(
    tasks: Sequence[Task], step: int, seed: int = 0, *, shaped: bool = False
) -> list[GroupRewards]:
    """Random rewards for a step, always the same for the same seed, step and task.

    Args:
        shaped: the rewards are twice the outcomes, as the format reward is up to 2.
    """
    groups = []
    for task in tasks:
        rng = random.Random(f"{seed} {step} {task.id}")
        choices = [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (0.0, 0.5), (0.5, 1.0), (0.5, None)]
        values = rng.choice(choices)
        doubled = tuple(v if v is None else 2 * v for v in values)
        rewards, outcomes = (doubled, values) if shaped else (values, None)
        turns = [[place < 2 * (value or 0) for place in range(2)] for value in values]
        groups.append(GroupRewards(task.id, rewards, outcomes, turns))
    return groups


def steps(loop: Loop) -> Iterator[list[Task]]:
    """The tasks of each step that is left of an epoch; of the next one if it is done."""
    yield loop.next_tasks()
    while not loop.epoch_done() and (tasks := loop.next_tasks()):
        yield tasks


def with_signal(tasks: Sequence[Task]) -> list[GroupRewards]:
    """Groups of two whose rewards differ."""
    return [GroupRewards(task.id, (0.0, 1.0)) for task in tasks]


def begin(config: Config, folder: Path, step: int = 0) -> Loop:
    """A new process at this checkpoint; what it writes outlives no power failure, for speed."""
    store = Store(folder, durable=False)
    return Loop(config, store, SEEDS, RenamingSynthesis(), step=step)


def go(loop: Loop, until: int) -> list[Epoch]:
    """Train to that step; returns the epochs that were trained on."""
    epochs: dict[int, Epoch] = {}
    while loop.step < until:
        tasks = loop.next_tasks()
        epochs.setdefault(loop.epoch.number, loop.epoch)
        shaped = loop.stage.reward == "format"
        loop.add_groups(play(tasks, loop.step + 1, shaped=shaped))
    return list(epochs.values())


def finish(loop: Loop) -> list[object]:
    """All that the store holds, closing it."""
    store = loop.store
    found = content(store)
    store.close()
    return found


def faults_of(store: Store, config: Config) -> list[str]:
    """What an audit of the stored history finds."""
    trained: dict[int, list[str]] = {}
    for group in store.iter_groups():
        trained.setdefault(group.step, []).append(group.task_id)
    categories, epochs, ends = store.categories(), store.epochs.all(), store.epochs.ends()
    return list(faults(store.events(), categories, epochs, trained, config, ends))


def content(store: Store) -> list[object]:
    """All that belongs to the loop, without times."""
    query = "SELECT step, epoch, task_id, priority, taken, outcome FROM jobs ORDER BY 3, 1"
    found = [store.tasks(), store.groups(), store.events(), store.epochs.all(), store.funnel()]
    wanted = store.db.read("SELECT wanted FROM epochs ORDER BY epoch")
    errors = store.db.read("SELECT * FROM errors ORDER BY rowid")
    found += [store.db.read(query), [*store.queue.candidates()]]
    found += [store.db.read("SELECT * FROM failures ORDER BY rowid"), errors]
    return [*found, store.epochs.ends(), wanted]
