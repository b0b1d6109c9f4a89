"""The reward's verdict is the official checker's, also on wrong transcripts."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, data_folder
from rods.reward import progress, score
from rods.task import Call, Category, Task

Answer = list[list[Call]]
Checker = Callable[[Task, Answer], bool]
CORRUPTED = 40  # transcripts a category
ENV = BfclEnvironment()


def corrupt(task: Task, rng: random.Random) -> Answer:
    """The gold answer with one to three calls dropped, repeated, altered or moved."""
    answer = [list(turn.ground_truth) for turn in task.turns]
    for _ in range(rng.randint(1, 3)):
        filled = [turn for turn in answer if turn]
        if not filled:
            break
        turn = rng.choice(filled)
        at = rng.randrange(len(turn))
        what = rng.choice(("drop", "repeat", "alter", "reorder", "move"))
        if what == "drop":
            turn.pop(at)
        elif what == "repeat":
            turn.insert(rng.randint(at, len(turn)), turn[at])
        elif what == "alter" and turn[at].arguments:
            name = rng.choice(sorted(turn[at].arguments))
            old = turn[at].arguments[name]
            new = rng.choice(["altered", 7, 2.5, [], None, "" if old else "x"])
            turn[at] = Call(name=turn[at].name, arguments={**turn[at].arguments, name: new})
        elif what == "reorder":
            rng.shuffle(turn)
        elif what == "move":
            rng.choice(filled).append(turn.pop(at))
    return answer


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checker]:
    """The official checker. What it leaves behind in the process is put back before each run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BFCL_PROJECT_ROOT", str(tmp_path_factory.mktemp("bfcl")))
        from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_checker as checker
        from bfcl_eval.eval_checker.multi_turn_eval.func_source_code import long_context
        from bfcl_eval.eval_checker.multi_turn_eval.func_source_code.posting_api import TwitterAPI

        rows: dict[str, dict[str, Any]] = {}
        gold: dict[str, list[list[str]]] = {}
        for category in Category:
            name = f"BFCL_v4_multi_turn_{category}.json"
            for line in (data_folder() / name).read_text().splitlines():
                rows[json.loads(line)["id"]] = json.loads(line)
            for line in (data_folder() / "possible_answer" / name).read_text().splitlines():
                gold[json.loads(line)["id"]] = json.loads(line)["ground_truth"]
        tables = {
            k: v for k, v in vars(long_context).items() if isinstance(v, dict) and k[0] != "_"
        }
        pristine = copy.deepcopy(tables)
        runs = iter(range(10**6))

        def check(task: Task, answer: Answer) -> bool:
            for key, table in tables.items():
                table.clear()
                table.update(copy.deepcopy(pristine[key]))
            patch.setattr(TwitterAPI.post_tweet, "__defaults__", ([], []))
            said = [[[str(call) for call in turn]] if turn else [] for turn in answer]
            result = checker.multi_turn_checker(
                said, gold[task.source], rows[task.source], "", f"model_{next(runs)}"
            )
            return bool(result["valid"])

        yield check


@pytest.mark.parametrize("category", list(Category))
def test_corrupted_transcripts_get_the_official_verdict(
    official: Checker, category: Category
) -> None:
    tasks = [t for t in benchmark_tasks().values() if t.category is category]
    verdicts = set()
    for seed in range(CORRUPTED):
        rng = random.Random(f"{category} {seed}")
        task = rng.choice(tasks)
        answer = corrupt(task, rng)  # makes no call in a turn without ground truth
        ours = progress(list(score(task, ENV, answer)), len(task.turns)) == 1.0
        assert ours == official(task, answer), (task.source, seed)
        verdicts.add(ours)
    assert verdicts == {True, False}


def test_gold_and_silence_get_the_official_verdict(official: Checker) -> None:
    for task in list(benchmark_tasks().values())[::40]:
        assert official(task, [list(turn.ground_truth) for turn in task.turns])
        assert not official(task, [[] for _ in task.turns])
