"""Which words are the answer: drafts are left out, and two answers are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from rods.endpoint.fault import Cause, Fault
from rods.synthesis.llm.forms import read
from rods.synthesis.llm.tagged import to_tags


class Query(BaseModel):
    query: str


class Plan(BaseModel):
    reasoning: str = ""
    narrative: str
    turns: list[str] = Field(alias="turn", min_length=1)


D, F = '{"query": "D"}', '{"query": "F"}'
TAGS = "<query>F</query>"
MARKS = [
    ("<think>", "</think>"),
    ("<Thinking>", "</Thinking>"),
    ("<thought>", "</thought>"),
    ("<REASONING>", "</REASONING>"),
    ("<analysis>", "</analysis>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("[THINK]", "[/THINK]"),
    ("[think]", "[/think]"),
    ("[Reasoning]", "[/Reasoning]"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<thinking style='free'>", "</thinking>"),
    ("◁think▷", "◁/think▷"),
    ("<|think|>", "<|/think|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>commentary to=f<|message|>", "<|call|><|channel|>final<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("analysisWe see ", "assistantfinal"),
]


@pytest.mark.parametrize("answer", [F, TAGS, f"So: {F}", f"```json\n{F}\n```<|return|>"])
@pytest.mark.parametrize(("begin", "end"), MARKS)
def test_a_draft_is_left_out(begin: str, end: str, answer: str) -> None:
    for draft in (f"maybe {D}?", "<query>D</query>", '{"query": "D', "<query> or {", ""):
        assert read(f"{begin}{draft}{end}{answer}", Query).query == "F"
        assert read(f"\n{begin}{draft}{end}\n{answer}", Query).query == "F"


@pytest.mark.parametrize("answer", [F, TAGS])
@pytest.mark.parametrize("end", [end for _, end in MARKS if end != "<channel|>"])
def test_a_draft_whose_beginning_was_left_out(end: str, answer: str) -> None:
    for draft in (f"maybe {D}?", "<query>D</query>", '{"query": "D', "Hm <query> or {"):
        assert read(f"{draft}{end}{answer}", Query).query == "F"


@pytest.mark.parametrize(("begin", "end"), MARKS)
def test_only_a_draft_is_no_answer(begin: str, end: str) -> None:
    for only in (f"{begin}{D}", f"{begin}{D}{end}", f"{begin}<query>D</query>{end}"):
        with pytest.raises(Fault) as caught:
            read(only, Query)
        assert caught.value.cause is Cause.EMPTY
        if begin != "analysisWe see ":  # which is a mark at the beginning only
            with pytest.raises(Fault):
                read(f"Well. {only}", Query)


@pytest.mark.parametrize(
    "said",
    [
        f"{D} {F}",
        f"Draft: {D}\nFinal: {F}",
        f"[{D}, {F}]",
        f"{D}\n{TAGS}",
        f"{TAGS}\n{D}",
        "<query>D</query> no: <query>F</query>",
        f'{D} better: {{"query": 5}}',
        f"**Thinking:** {D} **Answer:** {F}",
        f"{F}<think>or {D}?</think>{D}",
    ],
)
def test_two_different_answers_are_none(said: str) -> None:
    with pytest.raises(Fault) as caught:
        read(said, Query)
    assert (caught.value.cause, caught.value.detail) == (Cause.UNREADABLE, "two different answers")


@pytest.mark.parametrize(
    "said",
    [
        f"{F} {F}",
        f"{F}\n{TAGS}",
        f'{{"example": "D"}} {F}',
        f"{F} as in {{D}}",
        f"{TAGS}<query>\nF </query>",
        f"{F}<think>was {D} better?</think>",
    ],
)
def test_the_same_answer_again_is_one(said: str) -> None:
    assert read(said, Query).query == "F"


@pytest.mark.parametrize(
    "inside",
    [
        "</think>",
        "<think>",
        "[THINK] no [/THINK]",
        "<|channel|>final<|message|>",
        "assistantfinal",
        "<query>D</query>",
        "{ and }",
        '{"query": "D"}',
    ],
)
def test_what_stands_in_a_string_is_data(inside: str) -> None:
    said = Query(query=f"a {inside} b")
    for text in (said.model_dump_json(), f"<think>hm</think>{said.model_dump_json()}"):
        assert read(text, Query) == said
    assert read(to_tags(said), Query) == said


@pytest.mark.parametrize(
    "said", ['{"query": "a", "query": "b"}', '{"query": "a", "more": {"b": 1, "b": 2}}']
)
def test_a_key_twice(said: str) -> None:
    with pytest.raises(Fault) as caught:
        read(said, Query)
    assert caught.value.cause is Cause.UNREADABLE and "appears twice" in caught.value.detail


def test_a_field_of_the_form_is_no_mark() -> None:
    said = Plan(reasoning="first <this>", narrative="n", turn=["a", "b"])
    assert read(to_tags(said), Plan) == said
    assert read(f"<think>hm</think>{to_tags(said)}", Plan) == said


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
marks = st.sampled_from(
    [mark for pair in MARKS for mark in pair] + ["{", "}", '"', "\\", "<query>"]
)


@given(st.lists(words | marks, max_size=6).map("".join))
def test_any_string_of_an_answer_is_read_as_it_is(inside: str) -> None:
    said = Query(query=inside)
    assert read(said.model_dump_json(), Query) == said


@given(st.lists(words | marks | st.sampled_from([D, F, TAGS]), max_size=8).map("".join))
def test_any_words_have_an_answer_or_a_cause(said: str) -> None:
    try:
        read(said, Query)
    except Fault as fault:
        assert fault.cause in (Cause.EMPTY, Cause.UNREADABLE, Cause.INVALID)


@pytest.mark.parametrize(
    "said",
    [
        "x<think></think>" * 16_000,
        "<think>" * 36_000,
        "</think>" * 32_000,
        '{"query": "D"}' * 18_000,
        "<query>D</query>" * 16_000,
        ("{" * 20 + "</think>") * 9_000,
        "<query>" * 36_000 + "</think>" * 10,
        "<|channel|>" * 23_000,
        "<" + "a" * 250_000,
    ],
    ids=range(9),
)
def test_hostile_words_end_soon(said: Any) -> None:
    try:
        read(said, Query)
    except Fault as fault:
        assert len(fault.detail) <= 200
