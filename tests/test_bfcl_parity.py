"""The reward's verdict is the official checker's, also on wrong transcripts."""

import pytest

import parity
import single_faults
from official import OfficialChecker
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.reward import Verdict
from rods.scoring import Scored


def test_corrupted_transcripts_get_the_official_verdict() -> None:
    counts = parity.compare(400, seed=11)
    assert counts["disagreements"] == 0
    assert min(counts["right"], counts["wrong"], counts["acted in an empty turn"]) > 20


def test_a_lenient_verdict_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = parity.score_many

    def lenient(*args: object) -> list[Scored]:
        return [
            row._replace(verdicts=[Verdict(True, v.exec, v.empty) for v in row.verdicts])
            for row in scored(*args)
        ]

    monkeypatch.setattr(parity, "score_many", lenient)
    assert parity.compare(200, seed=11)["disagreements"] > 0


def test_gold_and_silence_get_the_official_verdict() -> None:
    official = OfficialChecker()
    for task in list(benchmark_tasks().values())[::40]:
        assert official.check(task, [list(turn.ground_truth) for turn in task.turns])
        assert not official.check(task, [[] for _ in task.turns])


def test_the_official_run_leaves_nothing_that_ours_could_see() -> None:
    official, env = OfficialChecker(), BfclEnvironment()
    task = benchmark_tasks()["multi_turn_long_context_150"]
    before = env.open(task).state()
    official.check(task, [list(turn.ground_truth) for turn in task.turns])
    official.clean()
    assert env.open(task).state() == before


def test_one_fault_is_refused_wherever_the_official_checker_refuses() -> None:
    counts = single_faults.compare(list(benchmark_tasks().values())[::50])
    assert counts["ground truths"] == counts["at progress 1"] == 16
    assert (
        counts["disagreements"] == 0 < min(counts["dropped, refused"], counts["changed, refused"])
    )
