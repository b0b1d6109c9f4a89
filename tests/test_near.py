"""Near-copies are found among many tasks, and only they."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from rods.envs.bfcl_data import benchmark_tasks
from rods.synthesis.near import TEXT, NearIndex, jaccard, near, shingles
from rods.task import Call, Task, Turn

WORDS = [f"w{i}" for i in range(400)]


def task_of(words: list[str], calls: tuple[Call, ...] = ()) -> Task:
    turns = (Turn(user=" ".join(words), ground_truth=calls),)
    return Task(category="base", classes=("X",), start={}, turns=turns)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 12))
def test_the_index_finds_what_a_comparison_of_all_finds(seed: int, changes: int) -> None:
    rng, index = random.Random(seed), NearIndex()
    known = [task_of(rng.choices(WORDS, k=60)) for _ in range(20)]
    for task in known:
        index.add(task)
    words = known[0].turns[0].user.split()
    for at in rng.sample(range(60), changes):
        words[at] = rng.choice(WORDS)
    copy = task_of(words)
    similar = jaccard(shingles(copy), shingles(known[0]))
    if similar < TEXT:
        assert index.near(copy) == ""
    elif similar > 0.85:  # nearer to the threshold MinHash may miss one in fifty
        assert index.near(copy) == known[0].id


def test_what_was_removed_is_near_to_nothing() -> None:
    rng, index = random.Random(0), NearIndex()
    calls = tuple(Call(name="f", arguments={"a": i}) for i in range(4))
    one, two = task_of(rng.choices(WORDS, k=30), calls), task_of(rng.choices(WORDS, k=30))
    for task in (one, two, one):
        index.add(task)
    index.remove(one.id)
    assert index.near(one) == "" and index.near(two) == two.id
    index.add(one)
    assert index.near(one) == one.id


def test_equal_calls_are_near_whatever_the_words() -> None:
    rng = random.Random(0)
    calls = tuple(Call(name="f", arguments={"a": i}) for i in range(4))
    one, two = task_of(rng.choices(WORDS, k=30), calls), task_of(rng.choices(WORDS, k=30), calls)
    three = task_of(rng.choices(WORDS, k=30), (*calls[:2], Call(name="g", arguments={"a": 1})))
    index = NearIndex()
    index.add(one)
    assert near(one, two) and index.near(two) == one.id
    assert not near(one, three) and index.near(three) == ""


def test_one_common_call_tells_nothing() -> None:
    call = (Call(name="f", arguments={"a": 1}),)
    one, two = task_of(WORDS[:30], call), task_of(WORDS[40:70], call)
    assert not near(one, two)


def test_the_four_forms_of_a_benchmark_task_are_near_each_other() -> None:
    tasks, index = benchmark_tasks(), NearIndex()
    for number in range(0, 200, 5):
        index.add(tasks[f"multi_turn_base_{number}"])
    found = [index.near(tasks[f"multi_turn_long_context_{n}"]) for n in range(0, 200, 5)]
    assert sum(map(bool, found)) >= 38
