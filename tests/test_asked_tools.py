"""Checks of a model's words on the clinic's tools: another tool, and what must be said."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from rods.synthesis.catalogue import spaced
from rods.synthesis.inputs import inputs_of
from rods.synthesis.llm.refusals import Refusal
from rods.synthesis.llm.word_checks import MISSING, WordCheck, repeats
from rods.synthesis.stages import Executed, Plan
from rods.task import Call

BOOK = Call(
    name="book_appointment",
    arguments={"patient_id": "P001", "vet": "Varga", "slot": "Mon 09:00", "service": "checkup"},
)
CANCEL = Call(name="cancel_appointment", arguments={"appointment_id": "A001"})
FIND = Call(name="find_patient", arguments={"name": "Momo"})


@cache
def check() -> WordCheck:
    world = inputs_of("examples.clinic.tools:Clinic", Path("examples/clinic/tasks.yaml").resolve())
    return WordCheck(world.tools, world.seeds)


def fault(words: str, *calls: Call) -> str:
    executed = Executed(Plan("base", ("Clinic",), ()), {}, (calls,), (("",) * len(calls),))
    found = check().complaint(words, executed, 0, [])
    return found.why if found else ""


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("Please book an appointment for A001.", CANCEL),
        ("Please provide me with all the appointments of the animal Momo.", FIND),
        ("Register a new animal with the name Momo.", FIND),
        ("Look up Momo and get her patient id. And get all appointments.", FIND),
        ("Find patient Momo. Then list the times at which a vet is free.", FIND),
    ],
)
def test_words_that_ask_for_another_tool_are_refused(words: str, call: Call) -> None:
    assert fault(words, call) == "another tool"


@pytest.mark.parametrize(
    "words",
    ["Momo, can you tell me her patient id?", "Hello. Momo, please look up her patient id."],
)
def test_the_assistant_has_no_name_from_the_calls(words: str) -> None:
    assert fault(words, FIND) == "a value is addressed"


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        ("Please look up Momo, please tell me her patient id.", [FIND]),
        ("Please cancel appointment A001.", [CANCEL]),
        ("Book P001 in with Varga for a checkup, Mon 09:00.", [BOOK]),
        ("P001 needs a checkup, can Varga see him Mon 09:00?", [BOOK]),
        ("What is Momo's patient id?", [FIND]),
        ("Find Momo, then cancel A001.", [FIND, CANCEL]),
    ],
)
def test_words_that_ask_for_the_called_tools_are_accepted(words: str, calls: list[Call]) -> None:
    assert fault(words, *calls) == ""


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("", ["slot"]),
        ("Book her in for a checkup with Dr Varga in a free slot.", ["slot"]),
        ("Book her in for a checkup with Dr Varga in the first free slot.", []),
        ("Book her in for a checkup with Dr Varga, Wed 10:00.", []),
    ],
)
def test_a_shown_value_must_be_said_if_the_words_could_mean_another(
    words: str, missing: list[str]
) -> None:
    slots = Call(name="list_free_slots", arguments={"vet": "Varga"})
    arguments = {"patient_id": "P001", "vet": "Varga", "slot": "Wed 10:00", "service": "checkup"}
    calls = ((FIND, slots), (Call(name="book_appointment", arguments=arguments),))
    responses = (
        ('{"patient_id": "P001", "species": "cat"}', '{"free_slots": ["Wed 10:00", "Thu 09:00"]}'),
        ('{"appointment_id": "A001"}',),
    )
    executed = Executed(Plan("base", ("Clinic",), ()), {}, calls, responses)
    before = ["Find Momo, and when is Dr Varga free for a checkup?"]
    assert [name for _, name in check().missing(words, executed, 1, before)] == missing


SHOWN = {"Clinic": {"vets": {"Varga": ["Mon 09:00"], "Adeyemi": ["Tue 11:00"]}}}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("The slot should be Mon 09:00.", ""),
        ("On Monday at 09:00.", ""),
        ("The animal's patient id is P001, and the slot Mon 09:00.", ""),
        ("I would like Mon 09:00, I mean checkup.", "a value of no call"),
        ("I would like Mon 09:00, I mean Adeyemi.", "a value of no call"),
        ("I would like Mon 09:00 with Dr Vargax.", "a value of no call"),
        ("I would like Mon 09:00, and the patient_id is Momo.", "a name from the code"),
        ("Mon 09:00, but write an invoice to pay.", "another tool"),
    ],
)
def test_words_that_supply_a_value_say_nothing_else(words: str, why: str) -> None:
    arguments = {"patient_id": "P001", "vet": "Varga", "slot": "Mon 09:00", "service": "dental"}
    calls = ((Call(name="book_appointment", arguments=arguments),),)
    executed = Executed(Plan("base", ("Clinic",), ()), SHOWN, calls, (("",),))
    found = check().of_answer(words, executed, 0)
    assert (found.why if found else "") == why


def test_a_value_named_by_its_parameter_is_an_answer_for_each_tool() -> None:
    """ "The ticket id should be 2." asks for no other tool."""
    world = inputs_of("bfcl", None)
    bfcl, seen, refused = WordCheck(world.tools, world.seeds), set[tuple[str, str]](), []
    for task in world.seeds:
        for call in task.calls:
            for name, value in call.arguments.items():
                if isinstance(value, str | int | float) and (call.name, name) not in seen:
                    seen.add((call.name, name))
                    words = f"The {spaced(name)} should be {value}."
                    plan = Plan("base", task.classes, ())
                    executed = Executed(plan, task.start, ((call,),), (("",),))
                    if found := bfcl.of_answer(words, executed, 0):
                        refused.append((words, call.name, found))
    assert len(seen) > 100
    assert refused == []


@pytest.mark.parametrize(
    ("words", "sound"),
    [
        ("I'd like the parking brake engaged, please.", True),
        ("I'd like the parking brake released, please.", False),
    ],
)
def test_a_value_in_another_form_is_no_distorted_one(words: str, sound: bool) -> None:
    world = inputs_of("bfcl", None)
    brake = Call(name="activateParkingBrake", arguments={"mode": "engage"})
    executed = Executed(Plan("base", ("VehicleControlAPI",), ()), {}, ((brake,),), (("",),))
    found = WordCheck(world.tools, world.seeds).complaint(words, executed, 0, [])
    assert (found is None) == sound


def test_what_is_asked_for_in_a_complaint_may_be_repeated() -> None:
    book = Call(name="book_appointment", arguments={"patient_id": "P001", "vet": "Varga"})
    words = "Book an appointment for patient id P001, and the vet is Varga."
    complaint = "say also 'P001' (patient id), and the vet is 'Varga' (vet)"
    assert not repeats(words, Refusal("x", complaint, MISSING), [book])
    assert repeats(words, Refusal("x", complaint, "said before"), [book])
