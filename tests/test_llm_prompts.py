"""The prompts show their form by an example, and what was refused; no try repeats a prompt."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause
from rods.errors import UserError
from rods.synthesis.augment import base_form
from rods.synthesis.case import Gate
from rods.synthesis.critique import Critic
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.llm import forms
from rods.synthesis.llm.backend import with_model
from rods.synthesis.llm.endpoint import ModelError
from rods.synthesis.llm.planner import planned_names
from rods.synthesis.llm.prompts import FOLDER, INVENTED, Prompt, copied, render
from rods.synthesis.llm.questions import request_of
from rods.synthesis.llm.refusals import Refusal
from rods.synthesis.llm.tagged import parse_tags
from rods.synthesis.stages import Executed, Plan
from rods.task import Call
from scripted_endpoint import Reply, ScriptedEndpoint, endpoint
from test_collector import world
from test_llm_stages import Said, attempts, env, program, seeds

FORMS: dict[str, type[BaseModel]] = {
    "add": forms.Query,
    "arguments": forms.Arguments,
    "classify": forms.Classified,
    "judge": forms.Judged,
    "patch": forms.Patches,
    "plan": forms.Planned,
    "query": forms.Query,
    "refine": forms.Refined,
    "rewrite": forms.Rewritten,
    "verify": forms.Judgement,
}
WITHOUT_TEXT = {"classify", "verify"}  # answers of closed choices, which a real answer may be, too


class Kept:
    """A model double that keeps each prompt, and answers by another one."""

    def __init__(self, said: Said) -> None:
        self.said, self.prompts = said, list[Prompt]()

    def ask(self, prompt: Prompt, answer: Any, key: str = "") -> Any:
        self.prompts.append(prompt)
        return self.said.ask(prompt, answer, key)


@cache
def prompts() -> dict[str, Prompt]:
    """One prompt of each role, as the pipeline asks them."""
    answers = {
        "judge": lambda user, rng: {"decision": "reject", "fail_reason": "stiff"},
        "classify": lambda user, rng: {"kind": "query_fixable", "turn": 1},
    }
    found: dict[str, Prompt] = {}
    bad = {"arguments": lambda user, rng: {"arguments": {"x": 1}}}
    short = {"query": lambda user, rng: {"query": "Do it."}}
    for model in (Kept(Said(**answers)), Kept(Said(**bad)), Kept(Said(**short))):
        for category in ("miss_param", "base"):
            pipeline = with_model(model, program(), env(), "said")
            for _ in attempts(pipeline, 20, category):
                pass
        found |= {prompt.role: prompt for prompt in model.prompts}
    return found


def test_each_template_is_asked_with_an_example_of_its_form() -> None:
    assert prompts().keys() == FORMS.keys() == {path.stem for path in FOLDER.glob("*.j2")}
    for role, prompt in prompts().items():
        assert prompt.example is not None
        shown = FORMS[role].model_validate_json(prompt.example.answer)
        schema = forms.response_format(FORMS[role])["json_schema"]["schema"]
        assert json.loads(prompt.example.answer).keys() == schema["properties"].keys()
        if role not in WITHOUT_TEXT:
            assert copied(prompt, shown), role


def test_no_verdict_is_a_copy_of_the_example() -> None:
    for verdict in get_args(forms.Verdict):
        assert not copied(prompts()["verify"], forms.Judgement(verdict=verdict))


@pytest.mark.parametrize("structured", ["schema", "tags", "auto"])
def test_the_example_is_shown_in_the_form_that_is_asked_for(structured: str) -> None:
    said: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> Reply:
        said.extend(request["messages"])
        return Reply('{"query": "Go."}' if structured != "tags" else "<query>Go.</query>")

    with ScriptedEndpoint(script) as server:
        asked = endpoint(server.url, structured=structured)
        assert asked.ask(prompts()["query"], forms.Query).query == "Go."
    assert [turn["role"] for turn in said] == ["system", "user", "assistant", "user"]
    assert "feed_glowmoth" in said[1]["content"]
    answer = said[2]["content"]
    if structured == "tags":
        assert "Quillo" in parse_tags(answer, forms.Query)["query"]
    else:
        assert "Quillo" in json.loads(answer)["query"]


def test_no_tool_of_ours_and_no_seed_task_has_a_word_of_the_examples() -> None:
    for text in (*map(str, world().tools.values()), *map(str, world().seeds)):
        assert not INVENTED.search(text)


@pytest.mark.parametrize(
    "query",
    [
        "Please feed Quillo and list the files.",
        "Please give the report 3 drops of nectar, he looks hungry. And how bright is it?",
    ],
)
def test_an_answer_that_copies_the_example_is_counted_and_refused(query: str) -> None:
    with ScriptedEndpoint(lambda request: Reply(json.dumps({"query": query}))) as server:
        asked = endpoint(server.url)
        with pytest.raises(ModelError) as caught:
            asked.ask(prompts()["query"], forms.Query)
        assert caught.value.cause is Cause.EXAMPLE
        assert asked.counts["query: copies the example"] == 1
        own = prompts()["query"]._replace(user=f"CALL: say('{query}')")
        assert asked.ask(own, forms.Query).query == query, "words of the user's own"


@pytest.mark.parametrize(
    ("block", "named"),
    [
        ("{% block example %}{}{% endblock %}", "end it with a line ANSWER: and JSON"),
        ('{% block example %}\nANSWER: {"query": 1}\n{% endblock %}', "query: Input should be"),
    ],
)
def test_an_example_of_another_form_is_named(block: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "query.j2").write_text(
        "{# version: 1 #}{% block system %}S{% endblock %}{% block user %}U{% endblock %}" + block
    )
    with ScriptedEndpoint(lambda request: Reply("{}")) as server:
        config = endpoint(server.url).config
        with pytest.raises(UserError, match=r"query\.j2: block 'example': ") as caught:
            request_of(config, render("query", tmp_path), forms.Query)
    assert named in str(caught.value)


def test_prompts_say_what_tools_do_and_mean() -> None:
    plan, query, verify = (prompts()[role].user for role in ("plan", "query", "verify"))
    assert "GorillaFileSystem: mkdir(dir_name: The name of the new directory" in plan
    assert " - writes: Create a new directory" in plan and " - reads: " in plan
    for user in (query, verify):
        assert "  it writes: " in user or "  it reads: " in user or "  it changes" in user


def test_the_judge_sees_each_response_beside_its_call() -> None:
    lines = prompts()["judge"].user.splitlines()
    calls = [i for i, line in enumerate(lines) if ", CALL: " in line]
    assert calls
    for at in calls:
        after = next(line for line in lines[at + 1 :] if line.startswith("TURN "))
        assert after.startswith(lines[at].split(", ")[0] + ", RESPONSE: ")


def unreadable(user: str, rng: random.Random) -> dict[str, Any]:
    raise ModelError(Cause.CUT_OFF, "role")


@pytest.mark.parametrize(
    "answers",
    [
        {
            "query": lambda user, rng: {"query": "list all"},
            "add": lambda user, rng: {"query": "please"},
            "verify": lambda u, r: {"verdict": "no"},
        },
        {"query": unreadable},
        {"verify": unreadable},
        {"plan": lambda user, rng: {"narrative": "x", "turns": ["ls: ls"]}},
        {"plan": lambda user, rng: {"narrative": "x", "turns": ["ls: ls"] * 3}},
        {"plan": unreadable},
        {"arguments": lambda user, rng: {"arguments": {}}, "patch": lambda u, r: {"patches": []}},
        {"arguments": unreadable},
        {"rewrite": lambda user, rng: {"queries": ["x"]}},
        {"rewrite": lambda user, rng: {"queries": ["do it"] * user.count("QUERY SO FAR")}},
        {
            "judge": lambda user, rng: {"decision": "reject", "fail_reason": "stiff"},
            "classify": lambda user, rng: {"kind": "query_fixable", "turn": 1},
            "refine": lambda user, rng: {"answer": user.split("WORDS: ")[1].splitlines()[0]},
        },
    ],
    ids=range(11),
)
def test_no_try_is_the_same_prompt_as_an_earlier_one(answers: dict[str, Any]) -> None:
    for number, parent in enumerate(seeds()[:12]):
        model = Kept(Said(**answers))
        pipeline, history = with_model(model, program(), env(), "said"), History()
        asked: list[tuple[int, str, str]] = []
        for attempt in range(3):
            pipeline.attempt(parent, history, random.Random(number), keep=False)
            for prompt in model.prompts[len(asked) :]:
                # Two attempts may find the same words for the same calls, which are verified then.
                which = attempt if prompt.role == "verify" else 0
                asked.append((which, prompt.role, prompt.user))
        assert len(asked) == len(set(asked))


def test_a_retry_shows_the_refused_words_and_the_exact_complaint() -> None:
    def query(user: str, rng: random.Random) -> dict[str, Any] | None:
        return None if "REFUSED" in user else {"query": "Make the folder notes and file 4711."}

    model, calls = Said(query=query), (Call(name="mkdir", arguments={"dir_name": "notes"}),)
    words(model, calls)
    assert len(model.users["query"]) == 2 and model.asked["verify"] == 1
    again = model.users["query"][1]
    assert "REFUSED WORDS: Make the folder notes and file 4711." in again
    assert again.endswith("than the refused ones: do not say '4711'; no call takes it.")


def test_a_prompt_names_the_values_that_are_not_known_yet() -> None:
    copy = Call(name="cp", arguments={"source": "a.txt", "destination": "b.txt"})
    show = Call(name="du", arguments={"human_readable": True})
    model = Said(
        query=lambda user, rng: {"query": "Copy it to b.txt and show the sizes in readable form."}
    )
    grounder = with_model(model, program(), env(), "said").grounder
    executed = Executed(
        Plan("base", ("GorillaFileSystem",), ()), {}, ((), (copy, show)), ((), ("", ""))
    )
    grounder.query(executed, 1, ["Look at a.txt."], random.Random(0))
    assert "\nVALUES TO SAY: b.txt\n" in model.users["query"][0]


def words(model: Any, calls: Sequence[Call], said: Sequence[str] = (), tries: int = 3) -> str:
    """The words of the grounder for one turn.

    Raises:
        SynthesisError: all tries were refused.
    """
    grounder = with_model(model, program(), env(), "said").grounder
    grounder.tries = tries
    plan = Plan("base", ("GorillaFileSystem",), (), said=tuple(said))
    executed = Executed(plan, {}, (tuple(calls),), (("",) * len(calls),))
    return grounder.query(executed, 0, [], random.Random(0))


MKDIR = Call(name="mkdir", arguments={"dir_name": "notes"})
TOUCH = Call(name="touch", arguments={"file_name": "a.txt"})
PARENT = "Could you make a new folder for me that has the name notes, please?"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "no words"),
        ("mkdir(dir_name='notes')", "code in the words"),
        ("Run mkdir('notes') please.", "code in the words"),
        ('{"name": "mkdir", "arguments": {"dir_name": "notes"}}', "code in the words"),
        ("Make a folder with dir_name notes.", "a name from the code"),
        ("Make the folder notes by a function call.", "words about the prompt"),
        ("Bitte lege für mich einen neuen Ordner mit dem Namen notes an.", "another language"),
        ("请帮我新建一个文件夹 notes", "another language"),
        ("Создай мне папку notes", "another language"),
        (PARENT, "the parent's words"),
        ("Make me a new folder.", "a value is missing"),
        ("Make the folder notes with the number 4711.", "a value of no call"),
        ('Make the folder notes, I mean "papers".', "a value of no call"),
        ("Please search the folder notes for the file.", "another tool"),
        ("Please count the lines and words in notes.", "another tool"),
        ("notes, notes", "no request"),
        ("Hallo notes, what a fine morning for singing songs.", "a call is not asked for"),
    ],
)
def test_words_are_refused_by_code_before_the_model_is_asked(query: str, why: str) -> None:
    def same(user: str, rng: random.Random) -> dict[str, Any]:
        return {"query": query}

    model = Said(query=same, add=same)
    with pytest.raises(SynthesisError) as caught:
        words(model, [MKDIR], [PARENT.replace("notes", "drafts")])
    assert caught.value.cause == f"query_gen_failed: {why}"
    assert model.asked.total() == 3 and model.asked.keys() <= {"query", "add"}


@pytest.mark.parametrize(
    "query",
    [
        "Make a folder called notes.",
        "notes, please",
        "I need a place for my papers (call it notes), in here = where we are.",
    ],
)
def test_words_of_a_person_are_accepted(query: str) -> None:
    assert words(Said(query=lambda user, rng: {"query": query}), [MKDIR]) == query


def test_values_that_are_missing_are_added_by_the_model() -> None:
    copy = Call(name="cp", arguments={"source": "a.txt", "destination": "b.txt"})
    said = {"query": "Copy my file."}
    model = Said(query=lambda user, rng: said, add=lambda user, rng: {"query": "a.txt to b.txt."})
    assert words(model, [copy]) == "Copy my file. a.txt to b.txt."
    (shown,) = model.users["add"]
    assert "SAID: Copy my file.\nMISSING VALUES: 'a.txt' (source) | 'b.txt' (destination)" in shown
    with pytest.raises(SynthesisError, match=r"say also 'a\.txt'"):
        words(model, [copy], tries=1)
    half = Said(query=lambda user, rng: said, add=lambda user, rng: {"query": "To b.txt."})
    with pytest.raises(
        SynthesisError, match=r"say also 'a\.txt' \(source\): Copy my file\. To b\.txt\."
    ):
        words(half, [copy])
    assert half.asked == {"query": 1, "add": 2}


def test_the_third_try_words_each_call_by_itself() -> None:
    def query(user: str, rng: random.Random) -> dict[str, Any]:
        found = re.findall(r"^CALL: (.*)$", user, re.M)
        if len(found) > 1:
            return {"query": "What is the weather in Rome?"}
        if json.loads(found[0])["name"] == "mkdir":
            return {"query": "Make the folder notes."}
        assert "BEFORE" not in user and "VALUES TO SAY: a.txt" in user
        return {"query": "Create the file a.txt."}

    model = Said(query=query, add=lambda user, rng: {"query": "You know which."})
    assert words(model, [MKDIR, TOUCH]) == "Make the folder notes. Create the file a.txt."
    assert model.asked["query"] == 3 and model.asked["add"] == 1


def test_words_of_an_earlier_turn_are_no_words_for_this_one() -> None:
    said = "Please make a new folder with the name notes for me."
    grounder = with_model(Said(), program(), env(), "said").grounder
    plan = Plan("base", ("GorillaFileSystem",), ())
    drafts = Call(name="mkdir", arguments={"dir_name": "drafts"})
    executed = Executed(plan, {}, ((MKDIR,), (drafts,)), (("",), ("",)))
    again = grounder.check.complaint(said.replace("notes", "drafts"), executed, 1, [said])
    assert again is not None and again.why == "said before"
    assert grounder.check.complaint("And one called drafts.", executed, 1, [said]) is None


def test_the_person_does_not_ask_for_what_the_calls_take() -> None:
    login = Call(name="message_login", arguments={"user_id": "USR001"})
    grounder = with_model(Said(), program(), env(), "said").grounder
    executed = Executed(Plan("base", ("MessageAPI",), ()), {}, ((), (login,)), ((), ("",)))

    def why(words: str) -> str:
        found = grounder.check.complaint(words, executed, 1, ["I am USR001."])
        return found.why if found else ""

    assert why("Please provide the user id to log in to messaging.") == "a value is asked for"
    assert why("Give me access: log in to messaging with my user id.") == ""
    assert why("Log in to messaging, I provide the user id USR001.") == ""


def test_words_that_repeat_the_complaint_are_refused() -> None:
    grounder = with_model(Said(), program(), env(), "said").grounder
    executed = Executed(Plan("base", ("GorillaFileSystem",), ()), {}, ((MKDIR,),), (("",),))
    repeated = "say also that you make the folder notes"
    found = grounder._examined(
        executed, 0, [], repeated, [Refusal("x", repeated)], random.Random(0)
    )
    assert found is not None and found.why == "words about the prompt"
    assert grounder._examined(executed, 0, [], repeated, [], random.Random(0)) is None
    complaint = "this was said before and is done; ask for the calls"
    part = "Making the folder notes was said before and is done; please make the folder."
    refusal = Refusal("x", complaint, "said before")
    found = grounder._examined(executed, 0, [], part, [refusal], random.Random(0))
    assert found is not None and found.why == "words about the prompt"
    assert grounder._examined(executed, 0, [], part, [], random.Random(0)) is None


def test_a_value_is_left_out_and_supplied_a_turn_later() -> None:
    copy = Call(name="cp", arguments={"source": "a.txt", "destination": "b.txt"})
    without = iter(["Copy a.txt to b.txt.", "Copy a.txt."])
    answers = iter(["To the other one.", "cp(destination='b.txt')", "To b.txt."])

    def query(user: str, rng: random.Random) -> dict[str, Any]:
        (call,) = re.findall(r"^CALL: (.*)$", user, re.M)
        whole = "destination" in json.loads(call)["arguments"]
        return {"query": "Copy a.txt to b.txt." if whole else next(without)}

    model = Said(query=query, add=lambda user, rng: {"query": next(answers)})
    grounder = with_model(model, program(), env(), "said").grounder
    executed = Executed(Plan("base", ("GorillaFileSystem",), ()), {}, ((copy,),), (("",),))
    found = grounder.ground(executed, random.Random(0))
    assert found.turn(0, (0, "destination")) == "Copy a.txt."
    assert found.answer(copy, "destination") == "To b.txt."
    complaints = re.findall(r"refused ones?: (.*)\.$", "\n".join(model.users["query"]), re.M)
    assert "do not say 'b.txt'" in complaints
    assert "REFUSED SENTENCE: To the other one." in model.users["add"][-1]
    assert "say 'b.txt' in the answer" in model.users["add"][-2]
    assert "write no code" in model.users["add"][-1]


def test_calls_that_no_words_can_save_are_refused_before_the_model_is_asked() -> None:
    model = Said()
    pipeline = with_model(model, program(), env(), "said", ("ground",))
    never = Gate("plan", "never", lambda case: False)
    pipeline.critic = Critic(env(), more=[never])
    assert not any(task for task, _ in attempts(pipeline))
    assert pipeline.funnel["plan: never"] > 0 and pipeline.passed["sound"] == 0
    assert not model.asked


def test_numbers_that_count_or_date_are_no_values_of_no_call() -> None:
    flight = Call(
        name="get_flight_cost",
        arguments={
            "travel_from": "LAX", "travel_to": "JFK", "travel_date": "2026-11-15",
            "travel_class": "first",
        },
    )  # fmt: skip
    said = "What do the 2 of us pay from LAX to JFK on November 15th 2026 in first class?"
    assert words(Said(query=lambda user, rng: {"query": said}), [flight]) == said


def test_each_try_is_sampled_at_a_higher_temperature() -> None:
    config = EndpointConfig(url="http://x", model="m", temperature=0.3)
    asked: dict[str, Any] = {"calls": ["c"], "goals": ["do it"], "narrative": "", "like": ""}
    asked |= {"before": [], "shown": [], "say": []}
    refused = [Refusal("words", "why")]
    heats = [
        request_of(
            config, render("query", refused=refused * tries, **asked), forms.Query
        ).temperature
        for tries in range(4)
    ]
    assert heats == [None, 0.6, 0.9, 1.0]
    hot = config.model_copy(update={"temperature": 1.2})
    prompt = render("query", refused=refused, **asked)
    assert request_of(hot, prompt, forms.Query).temperature == 1.2


def test_values_may_look_like_code() -> None:
    code = "print(x=1) {'a': 2} file_name"
    call = Call(name="echo", arguments={"content": code, "file_name": "a.py"})
    query = f'Write "{code}" into a.py for me.'
    assert words(Said(query=lambda user, rng: {"query": query}), [call]) == query


def test_seed_tasks_are_not_forbidden() -> None:
    """Of the 1,173 turns that people wrote, the checks refuse 4 %. They name a parameter or a value
    that is for a later turn, or tell what was done before ("I've just filled my car up")."""
    check, found = with_model(Said(), program(), env(), "said").grounder.check, []
    for task in world().seeds:
        base, _ = base_form(task)
        calls = tuple(turn.ground_truth for turn in base.turns)
        executed = Executed(Plan(task.category, task.classes, ()), {}, calls, empty(calls))
        said = [turn.user for turn in base.turns]
        for index, user in enumerate(said):
            fault = check.complaint(user, executed, index, said[:index])
            if fault and fault.why != "a value is missing":  # without the responses
                found.append((fault.why, user))
    causes = Counter(why for why, _ in found)
    assert causes == {
        "a value of no call": 20, "another tool": 21, "a name from the code": 2,
    }  # fmt: skip


def empty(calls: Sequence[Sequence[Call]]) -> tuple[tuple[str, ...], ...]:
    """A response without text for each call."""
    return tuple(("",) * len(turn) for turn in calls)


@pytest.mark.parametrize(
    ("cause", "kind", "funnel"),
    [
        (Cause.CUT_OFF, Kind.QUERY_UNTAGGED, "query_verify_no_tag: cut off"),
        (Cause.REPEATS, Kind.QUERY_UNTAGGED, "query_verify_no_tag: repeats"),
        (Cause.EXAMPLE, Kind.QUERY_UNTAGGED, "query_verify_no_tag: copies the example"),
        (Cause.DOWN, Kind.MODEL, "model_failed: verify: down"),
    ],
)
def test_a_verdict_that_is_cut_off_is_no_failure_of_the_model(
    cause: Cause, kind: Kind, funnel: str
) -> None:
    def failing(user: str, rng: random.Random) -> dict[str, Any]:
        raise ModelError(cause, "verify")

    model = Said(
        verify=failing,
        query=lambda u, r: {"query": f"Make the folder{r.randint(3, 9) * '!'} notes"},
    )
    with pytest.raises(SynthesisError) as caught:
        words(model, [MKDIR])
    assert (caught.value.kind, caught.value.cause) == (kind, funnel)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("Shop: find, cancel", ["find", "cancel"]),
        ("Shop.cancel(order_id)", ["cancel"]),
        ("Shop: Shop.find(name: str), Shop.cancel(order_id=5, why='a (b)')", ["find", "cancel"]),
        ("Shop: find, Shop: cancel", ["find", "cancel"]),
        ("1. Shop: find() -> cancel()", ["find", "cancel"]),
        ("Shop: cancel - Cancels an order, and more", ["cancel"]),
        ("Shop: find - looks it up, cancel - ends it", ["find", "cancel"]),
        ("cancel(order_id, why", ["cancel"]),
        ("Shop: vanish", ["vanish"]),
        ("Shop: cancel the order", ["cancel", "the", "order"]),
        ("Shop", []),
        ("", []),
    ],
)
def test_the_functions_in_a_line_of_a_plan(line: str, names: list[str]) -> None:
    assert planned_names(line, {"find", "cancel"}, {"Shop"}) == names


def test_the_issue_of_a_judge_is_cut() -> None:
    said = forms.Judged.model_validate({"decision": "reject", "fail_reason": "x y " * 999})
    assert len(said.fail_reason) <= forms.MAX_ISSUE
