"""Every stage, retry, patch, refinement and rejection of the model's backend, one by one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from competent import competent
from rods.envs.bfcl_data import CATEGORIES
from rods.envs.guard import GuardedEnvironment
from rods.synthesis.execute import opened
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.llm.backend import STAGES, with_model
from rods.synthesis.llm.endpoint import Cause, ModelError, Prompt
from rods.synthesis.pipeline import Pipeline
from rods.task import Call, Task
from test_collector import world


@cache
def program() -> Pipeline:
    return world().pipeline()


@cache
def env() -> GuardedEnvironment:
    return GuardedEnvironment(world().env)


Answer = Callable[[str, random.Random], dict[str, Any]]


class Said:
    """A model double: competent, but for the roles whose answers are given. Counts questions."""

    def __init__(self, **answers: Answer) -> None:
        self.answers, self.asked, self.users = answers, Counter[str](), dict[str, list[str]]()
        self.rng = random.Random(1)

    def ask(self, prompt: Prompt, answer: Any, key: str = "") -> Any:
        self.asked[prompt.role] += 1
        self.users.setdefault(prompt.role, []).append(prompt.user)
        given = self.answers.get(prompt.role)
        found = given(prompt.user, self.rng) if given else None
        return answer.model_validate(found or competent(prompt.system, prompt.user, self.rng))


def seeds(category: str = "base", owner: str = "GorillaFileSystem") -> list[Task]:
    return [t for t in world().parents if t.category == category and t.classes == (owner,)]


def attempts(
    pipeline: Pipeline, count: int = 40, category: str = "base"
) -> Iterator[tuple[Task | None, History]]:
    """Single attempts, each at a seed of its own."""
    for number, parent in zip(range(count), seeds(category) * count, strict=False):
        history = History()
        yield pipeline.attempt(parent, history, random.Random(number), keep=False), history


def failures(pipeline: Pipeline, count: int = 6) -> set[Kind]:
    return {f.kind for _, history in attempts(pipeline, count) for f in history.failures}


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_competent_model_gets_through_in_each_category(category: str) -> None:
    model = Said()
    task = next(
        t for t, _ in attempts(with_model(model, program(), env(), "said"), 60, category) if t
    )
    assert (task.origin, task.category) == ("llm", category)
    assert task.lineage["model"] == "said"
    assert task.lineage["prompts"]["plan"] == "3"
    assert task.lineage["narrative"]
    expected = {"plan", "arguments", "query", "verify", "rewrite", "judge"}
    assert expected <= model.asked.keys()
    assert ("add" in model.asked) == (category == "miss_param")


def test_unknown_functions_end_the_planning_after_three_tries() -> None:
    model = Said(plan=lambda user, rng: competent_plan(user, rng, "no_such_function"))
    pipeline = with_model(model, program(), env(), "said")
    assert failures(pipeline, 1) == {Kind.DECOMPOSITION}
    assert model.asked == {"plan": 3}


def competent_plan(user: str, rng: random.Random, name: str = "") -> dict[str, Any]:
    plan = competent("You design test conversations", user, rng)
    return plan | {"turns": [f"X: {name}" if name else line for line in plan["turns"]]}


def test_a_blocked_function_is_no_choice() -> None:
    model = Said(plan=lambda user, rng: competent_plan(user, rng, "ls"))
    pipeline = with_model(model, program(), env(), "said")
    history = History()
    history.add(SynthesisError(Kind.EXECUTION, "x", Call(name="ls")), [["ls"]])
    with pytest.raises(SynthesisError) as caught:
        pipeline.planner.plan(seeds()[0], history, random.Random(0), keep=False)
    assert caught.value.kind is Kind.SAMPLING


def test_the_same_plan_is_not_tried_twice() -> None:
    fixed = {"narrative": "x"}
    model = Said(plan=lambda u, r: fixed | {"turns": competent_plan(u, random.Random(3))["turns"]})
    pipeline = with_model(model, program(), env(), "said")
    first = pipeline.planner.plan(seeds()[0], History(), random.Random(0), keep=False)
    history = History(plans={first.tools})
    with pytest.raises(SynthesisError) as caught:
        pipeline.planner.plan(seeds()[0], history, random.Random(0), keep=False)
    assert caught.value.kind is Kind.NO_PATTERN


def test_a_failed_plan_is_told_to_the_next_with_advice() -> None:
    model = Said(arguments=lambda user, rng: {"arguments": {"nonsense": 1}})
    pipeline = with_model(model, program(), env(), "said")
    history, rng = History(), random.Random(0)
    for _ in range(2):
        assert pipeline.attempt(seeds()[0], history, rng, keep=False) is None
    assert "EARLIER PLANS FAILED" in model.users["plan"][-1]
    assert "choose functions whose arguments" in model.users["plan"][-1]
    assert f"Never use: {history.failures[0].call.name}" in model.users["plan"][-1]


def test_high_level_functions_are_expanded_and_what_flows_is_fixed() -> None:
    chain = "set_budget_limit_after_compute_exchange_rate"
    parent = next(t for t in world().parents if t.classes == ("TravelAPI",))
    model = Said()
    pipeline = with_model(model, program(), env(), "said")
    own = pipeline.planner.structure.plan(parent, History(), random.Random(0), keep=True)
    lines = [f"TravelAPI: {chain}" for _ in own.turns]
    model.answers["plan"] = lambda user, rng: {"narrative": "x", "turns": lines}
    plan = pipeline.planner.plan(parent, History(), random.Random(0), keep=False)
    assert plan.tools[0] == ("compute_exchange_rate", "set_budget_limit")
    assert plan.turns[0][1].sources == {"budget_limit": ((0, "exchanged_value"),)}
    plan = replace(plan, turns=plan.turns[:1])
    for number in range(30):
        try:
            done = pipeline.executor.execute(plan, History(), random.Random(number))
        except SynthesisError:
            continue
        assert str(done.calls[0][1].arguments["budget_limit"]) in done.responses[0][0]
        return
    pytest.fail("the chain never ran")


def test_a_failure_is_patched_and_the_patch_is_where_the_next_attempt_begins() -> None:
    def closed(user: str, rng: random.Random) -> dict[str, Any]:
        return {"patches": [{"class": "TradingBot", "field": "market_status", "value": "Open"}]}

    model = Said(arguments=lambda user, rng: {"arguments": {"x": 1}}, patch=closed)
    pipeline = with_model(model, program(), env(), "said")
    parent = next(t for t in world().parents if t.classes == ("TradingBot",))
    history = History()
    assert pipeline.attempt(parent, history, random.Random(0), keep=False) is None
    assert history.start["TradingBot"]["market_status"] == "Open"
    assert history.patches == ["TradingBot.market_status"]
    del model.answers["arguments"]
    plan = pipeline.planner.plan(parent, history, random.Random(1), keep=False)
    for number in range(20):
        try:
            done = pipeline.executor.execute(plan, history, random.Random(number))
        except SynthesisError:
            continue
        assert done.start["TradingBot"]["market_status"] == "Open"
        return
    pytest.fail("no attempt ran in the patched state")


@pytest.mark.parametrize("value", [5, {"..": {}}, {"a": {"type": "file"}}])
def test_a_patch_that_tears_the_tree_is_refused_and_reported(value: Any) -> None:
    def torn(user: str, rng: random.Random) -> dict[str, Any]:
        return {"patches": [{"class": "GorillaFileSystem", "field": "root", "value": value}]}

    model = Said(arguments=lambda user, rng: {"arguments": {"x": 1}}, patch=torn)
    history = History()
    pipeline = with_model(model, program(), env(), "said")
    assert pipeline.attempt(seeds()[0], history, random.Random(0), keep=False) is None
    assert history.patches
    assert all(told.startswith("refused: ") for told in history.patches)
    assert "TradingBot" not in history.start


@pytest.mark.parametrize("guarded", [False, True])
def test_a_start_state_that_does_not_load_is_a_failure_of_its_own(guarded: bool) -> None:
    plan = program().planner.plan(seeds()[0], History(), random.Random(0), keep=True)
    with pytest.raises(SynthesisError, match="start state does not load") as caught:
        opened(plan, {"GorillaFileSystem": {"root": 5}}, env() if guarded else world().env)
    assert caught.value.kind is Kind.EXECUTION


def test_a_repeated_call_is_a_failure_of_its_own() -> None:
    pwd = {"narrative": "x"}

    def twice(user: str, rng: random.Random) -> dict[str, Any]:
        turns = competent_plan(user, rng)["turns"]
        return pwd | {"turns": ["GorillaFileSystem: pwd, pwd"] * len(turns)}

    model = Said(plan=twice, arguments=lambda user, rng: {"arguments": {}})
    assert failures(with_model(model, program(), env(), "said"), 1) == {Kind.DUPLICATE_CALL}


def test_words_that_are_refused_once_are_written_anew_with_the_reason() -> None:
    def once(user: str, rng: random.Random) -> dict[str, Any] | None:
        no = model.asked["verify"] % 2 == 1
        return {"verdict": "another value is meant"} if no else None

    model = Said(verify=once)
    pipeline = with_model(model, program(), env(), "said")
    assert any(task for task, _ in attempts(pipeline))
    assert model.asked["query"] >= model.asked["verify"] > 0
    assert any("refused ones: another value is meant" in user for user in model.users["query"])


def raising(cause: Cause) -> Answer:
    def failing(user: str, rng: random.Random) -> dict[str, Any]:
        raise ModelError(cause, "role")

    return failing


@pytest.mark.parametrize(
    ("role", "answer", "kind"),
    [
        ("query", lambda u, r: {"query": "  "}, Kind.QUERY),
        ("query", raising(Cause.UNREADABLE), Kind.QUERY),
        ("verify", lambda u, r: {"verdict": "no"}, Kind.QUERY_VERIFICATION),
        ("verify", raising(Cause.INVALID), Kind.QUERY_UNTAGGED),
        ("rewrite", lambda u, r: {"queries": ["x"] * 8}, Kind.CONVERSATION),
        ("arguments", raising(Cause.UNREADABLE), Kind.PARAMETERS),
        ("plan", raising(Cause.UNREADABLE), Kind.NO_PATTERN),
        *((role, raising(Cause.DOWN), Kind.MODEL) for role in ("plan", "arguments", "query")),
        *((role, raising(Cause.TOO_LONG), Kind.MODEL) for role in ("verify", "rewrite", "judge")),
    ],
)
def test_each_failure_has_its_type(role: str, answer: Answer, kind: Kind) -> None:
    model = Said(**{role: answer})
    pipeline = with_model(model, program(), env(), "said")
    assert kind in failures(pipeline, 12)
    assert pipeline.funnel["admitted"] == 0
    if kind is Kind.MODEL:
        assert any(cause.startswith(f"model_failed: {role}: ") for cause in pipeline.funnel)


def rejecting(user: str, rng: random.Random) -> dict[str, Any]:
    return {"decision": "reject", "fail_reason": "stiff"}


def rejecting_first(model: Said) -> Answer:
    def judge(user: str, rng: random.Random) -> dict[str, Any]:
        asked = model.asked["judge"] - model.asked["refine"]
        first = len(model.users["judge"]) == asked
        return rejecting(user, rng) if first else {"decision": "accept"}

    return judge


def fixable(user: str, rng: random.Random) -> dict[str, Any]:
    return {"kind": "query_fixable", "turn": 1}


def test_a_rejected_task_is_refined_once_and_judged_again() -> None:
    model = Said(classify=fixable)
    model.answers["judge"] = rejecting_first(model)
    pipeline = with_model(model, program(), env(), "said")
    task = next(task for task, _ in attempts(pipeline) if task)
    assert task.lineage["refined"] == 1
    assert "Thank you" in task.turns[0].user
    assert model.asked["refine"] == 1


def test_a_rejection_stands() -> None:
    model = Said(judge=rejecting, classify=fixable)
    pipeline = with_model(model, program(), env(), "said")
    assert not any(task for task, _ in attempts(pipeline, 25))
    assert (
        pipeline.funnel["critique: the judge rejects the refinement"] == model.asked["refine"] > 0
    )
    model.answers["classify"] = lambda user, rng: {"kind": "gt_unfixable"}
    assert not any(task for task, _ in attempts(pipeline, 25))
    assert pipeline.funnel["critique: the judge rejects"] > 0


def test_a_refinement_goes_through_the_gates_whatever_the_judge_says() -> None:
    def leak(user: str, rng: random.Random) -> dict[str, Any]:
        return {"answer": user.split("WORDS: ")[1].splitlines()[0] + " with get_stock_info"}

    parents = [t for t in world().parents if t.classes == ("TradingBot",)]
    model = Said(classify=fixable, refine=leak)
    model.answers["judge"] = rejecting_first(model)
    pipeline = with_model(model, program(), env(), "said")
    for number in range(40):
        parent = parents[number % len(parents)]
        pipeline.attempt(parent, History(), random.Random(number), keep=False)
        if pipeline.funnel["ground: name leaked"]:
            assert pipeline.funnel["admitted"] == 0
            return
        model.users["judge"], model.asked = [], Counter()
        model.answers["judge"] = rejecting_first(model)
    pytest.fail("no refinement was reached")


def test_stages_can_be_mixed() -> None:
    model = Said()
    pipeline = with_model(model, program(), env(), "said", stages=("ground",), rewrite=False)
    task = next(task for task, _ in attempts(pipeline) if task)
    assert model.asked.keys() == {"query", "verify"}
    assert task.lineage["stages"] == ["ground"]
    assert set(STAGES) == {"plan", "execute", "ground", "judge"}


def test_fresh_tasks_are_made_by_program() -> None:
    model = Said()
    task = with_model(model, program(), env(), "said").fresh(random.Random(0), 2)
    assert (task.origin, task.parent, task.born, task.lineage) == (
        "program",
        "",
        2,
        {"attempts": 1},
    )
    assert not model.asked
