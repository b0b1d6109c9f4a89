"""The wordings in phrases.yaml agree with the simulators' function documentation."""

import importlib.util
import inspect
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from rods.grounding import stated

yaml = pytest.importorskip("yaml")

PHRASES = Path(__file__).resolve().parents[1] / "src" / "rods" / "synthesis" / "phrases.yaml"
DOCS = (
    "gorilla_file_system",
    "math_api",
    "message_api",
    "posting_api",
    "ticket_api",
    "trading_bot",
    "travel_booking",
    "vehicle_control",
)
FIELDS = {
    "role", "say", "also", "tell", "tell_also", "instead", "nouns", "slots", "choices", "ranges",
    "needs",
}  # fmt: skip
ROLES = {"read", "write", "session"}
SLOT = re.compile(r"\{(\w+)\}")
PLAIN = re.compile(r"[a-z]+( [a-z]+)*")
CODE = re.compile(r"\w_|_\w|[a-z][A-Z]|\w\(|`")
NUMBERS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

DATA = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
KINDS = DATA["kinds"]
ENTRIES = {name: entry for name, entry in DATA.items() if name != "kinds"}


def blanked(phrase):
    return SLOT.sub("_", phrase)


def words(phrase):
    return SLOT.sub(" ", phrase).split()


def suffixes(entry):
    return entry.get("also", {})


@pytest.fixture(scope="module")
def docs():
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None:
        pytest.skip("bfcl_eval is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "data" / "multi_turn_func_doc"
    found = {}
    for stem in DOCS:
        for line in (folder / f"{stem}.json").read_text(encoding="utf-8").splitlines():
            if line.strip():
                doc = json.loads(line)
                found[doc["name"]] = doc["parameters"]
    return found


def test_every_function_and_no_other(docs):
    assert len(docs) == 128
    assert set(ENTRIES) == set(docs)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_entry_shape(name):
    entry = ENTRIES[name]
    assert set(entry) <= FIELDS
    assert entry["role"] in ROLES
    assert len(entry["say"]) == len(set(entry["say"])) == 3
    needs = entry.get("needs", [])
    assert set(needs) <= set(ENTRIES) - {name}
    for phrase in [*entry["say"], *suffixes(entry).values()]:
        assert PLAIN.fullmatch(SLOT.sub("x", phrase)), phrase
        assert not re.search(r"\}\s*\{", phrase), phrase
        assert not re.search(r"\b(a|an|the) \{", phrase), phrase
    for phrase in entry["say"]:
        assert 2 <= len(words(phrase)) <= 7, phrase
    for phrase in entry.get("nouns", {}).values():
        assert PLAIN.fullmatch(phrase) and len(phrase.split()) <= 3, phrase


def test_slots_match_parameters(docs):
    for name, entry in ENTRIES.items():
        params = docs[name]["properties"]
        required = set(docs[name]["required"])
        for phrase in entry["say"]:
            assert Counter(SLOT.findall(phrase)) == Counter(required), (name, phrase)
        also = suffixes(entry)
        assert set(also) == set(params) - required, name
        for param, phrase in also.items():
            assert SLOT.findall(phrase) == [param], (name, phrase)
            assert not phrase.startswith("{"), (name, phrase)
        assert set(entry.get("nouns", {})) == set(params), name
        assert set(entry.get("slots", {})) == set(params), name


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_natural_wordings(name):
    tell, also = ENTRIES[name]["tell"], ENTRIES[name].get("tell_also", {})
    assert len(tell) == len({frozenset(words(phrase)) for phrase in tell}) == 4
    assert set(also) == set(suffixes(ENTRIES[name]))
    assert all(re.match(r"[a-z]+( |$)", phrase) for phrase in tell), "begins with a verb"
    assert not any(phrase.startswith("please") for phrase in tell)
    for phrase in [*tell, *also.values()]:
        assert phrase == " ".join(phrase.split())
        assert phrase[-1].isalpha() or phrase[-1] == "}", phrase
        assert not CODE.search(SLOT.sub(" ", phrase)), phrase
        # A number that is written out would count as the value of a parameter.
        assert not NUMBERS & set(words(phrase)), phrase


def test_natural_slots_match_parameters(docs):
    for name, entry in ENTRIES.items():
        for phrase in entry["tell"]:
            assert Counter(SLOT.findall(phrase)) == Counter(docs[name]["required"]), (name, phrase)
        for param, phrase in entry.get("tell_also", {}).items():
            assert SLOT.findall(phrase) == [param], (name, phrase)
            assert not phrase.startswith("{"), (name, phrase)


def test_wordings_of_a_value_state_it(docs):
    """Without a slot for it, as the gate on the words reads them; and they state no other value."""
    for name, entry in ENTRIES.items():
        for param, by_value in entry.get("instead", {}).items():
            schema = docs[name]["properties"][param]
            values = {
                text: text == "true" if entry["slots"][param] == "flag" else text
                for text in by_value
            }
            for text, phrases in by_value.items():
                for phrase in phrases:
                    slots = (
                        set(docs[name]["required"]) - {param}
                        if param in docs[name]["required"]
                        else set()
                    )
                    assert set(SLOT.findall(phrase)) == slots, phrase
                    assert phrase == " ".join(phrase.split()) and not NUMBERS & set(words(phrase))
                    assert stated(values[text], phrase, param, schema), phrase


def test_natural_wordings_tell_the_tools_apart():
    seen = {}
    for name, entry in ENTRIES.items():
        for phrase in entry["tell"]:
            seen.setdefault(" ".join(words(phrase)), set()).add(name)
    assert [names for names in seen.values() if len(names) > 1] == []


def test_names_do_not_leak(docs):
    banned = {name for name in docs if "_" in name or name != name.lower()}
    for params in docs.values():
        banned |= {p for p in params["properties"] if "_" in p or p != p.lower()}
    for name, entry in ENTRIES.items():
        for phrase in [*entry["say"], *suffixes(entry).values()]:
            outside = words(phrase)
            assert not banned & set(outside), (name, phrase)
            assert name not in outside, (name, phrase)


def test_blanked_wordings_are_unique():
    seen = Counter(blanked(p) for entry in ENTRIES.values() for p in entry["say"])
    assert [p for p, times in seen.items() if times > 1] == []
    bags = {}
    for name, entry in ENTRIES.items():
        for phrase in entry["say"]:
            bag = (tuple(sorted(words(phrase))), len(SLOT.findall(phrase)))
            bags.setdefault(bag, set()).add(name)
    assert [names for names in bags.values() if len(names) > 1] == []


def test_kinds_are_closed_and_used():
    used = {kind for entry in ENTRIES.values() for kind in entry.get("slots", {}).values()}
    assert used == set(KINDS)
    assert all(isinstance(text, str) and "\n" not in text for text in KINDS.values())


def test_kinds_fit_parameter_types(docs):
    numeric = {"count", "number", "amount", "ticket_id", "order_id", "tweet_id", "code", "choice"}
    for name, entry in ENTRIES.items():
        for param, kind in entry.get("slots", {}).items():
            kind_of_value = docs[name]["properties"][param]["type"]
            where = (name, param, kind)
            assert (kind_of_value == "dict") == (kind == "updates"), where
            if kind_of_value in {"integer", "float"}:
                assert kind in numeric, where
            if kind_of_value == "boolean":
                assert kind == "flag", where
            if kind == "numbers":
                assert kind_of_value == "array", where


def test_choices(docs):
    for name, entry in ENTRIES.items():
        choices = entry.get("choices", {})
        assert set(choices) <= set(entry.get("slots", {})), name
        for param, kind in entry.get("slots", {}).items():
            if kind in {"choice", "unit", "currency"}:
                assert param in choices, (name, param)
        for param, values in choices.items():
            number = docs[name]["properties"][param]["type"] in {"integer", "float"}
            assert len(values) == len(set(values)) >= 2, (name, param)
            assert all(isinstance(v, (int, float) if number else str) for v in values), name
            listed = documented(docs[name]["properties"][param]["description"])
            assert not listed or set(values) <= listed, (name, param)


def documented(description):
    """The values after `[Enum]:` in a parameter description; empty when there are none."""
    _, found, tail = description.partition("[Enum]:")
    if not found:
        return set()
    return {part.strip(" []\"'.") for part in inspect.cleandoc(tail).split(",")}


def test_ranges(docs):
    for name, entry in ENTRIES.items():
        for param, (low, high) in entry.get("ranges", {}).items():
            assert docs[name]["properties"][param]["type"] in {"integer", "float"}, (name, param)
            assert low < high, (name, param)
            assert all(low <= v <= high for v in entry.get("choices", {}).get(param, []))


def test_small_vocabulary():
    vocabulary = set()
    for entry in ENTRIES.values():
        nouns = entry.get("nouns", {}).values()
        for phrase in [*entry["say"], *suffixes(entry).values(), *nouns]:
            vocabulary.update(words(phrase))
    assert len(vocabulary) < 600
