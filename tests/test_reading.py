"""What a user hands over is read as meant, or refused with the place: the rules themselves."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rods.errors import UserError
from rods.files.plain_data import MOST_DEPTH, Author, ReadError, plain
from rods.files.reading import decode, entries, parse_json, parse_yaml, read_text
from rods.presets import preset_names

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text() | st.sampled_from(["on", "12:30", "1e3", "", "~", "<<", "\0", "a\u2028b", "😀"])
data = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


class Quoting(yaml.SafeDumper):
    """Writes out what occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@given(data, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_json_writes_is_read_back(value: Any, escaped: bool, indent: Any) -> None:
    found = parse_json(json.dumps(value, ensure_ascii=escaped, indent=indent))
    assert repr(found) == repr(value)


@given(data)
def test_what_yaml_writes_with_quotes_is_read_back(value: Any) -> None:
    text = yaml.dump(value, Dumper=Quoting, default_style='"', sort_keys=False)
    assert repr(parse_yaml(text)) == repr(value)
    assert repr(parse_yaml(json.dumps(value))) == repr(value), "JSON is YAML"


@given(data, st.lists(st.sampled_from(["k", 0]), max_size=5), texts)
def test_a_key_that_stands_twice_is_always_refused(value: Any, path: list[Any], key: str) -> None:
    said = f"{json.dumps(key)}: {json.dumps(value)}"
    text = f"{{{said}, {said}}}"
    for step in reversed(path):
        text = f'{{"k": {text}}}' if step == "k" else f"[{text}]"
    for parse in (parse_json, parse_yaml):
        with pytest.raises(ReadError, match="appears twice") as caught:
            parse(text)
        assert caught.value.path == path


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((word, word) for word in ("on", "off", "yes", "no", "y", "On", "YES")),
        *((word, word) for word in ("12:30", "1_000", "2024-01-01", "0b1", "=", "0o8", "-0x1")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, None) for word in ("~", "null", "Null", "NULL", "", "# only this\n")),
        ("{<<: 1}", {"<<": 1}),
        ("010", 10),
        ("0o14", 12),
        ("0x1F", 31),
        ("+1", 1),
        ("1e3", 1000.0),
        ("1e-1", 0.1),
        (".5", 0.5),
        ("1.", 1.0),
        ("[1, 1]", [1, 1]),
        ("!!str 12", "12"),
        ("'12'", "12"),
        ("\u0661", "\u0661"),
        ('"\\ud83d\\ude00"', "😀"),
        ('"a\\Lb"', "a\u2028b"),
        ("---\na\n...\n", "a"),
        ("%YAML 1.2\n---\na", "a"),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    ],
)
def test_yaml_is_read_by_the_core_schema(text: str, meant: Any) -> None:
    assert repr(parse_yaml(text)) == repr(meant)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1, c: 2}", "line 2: b: the key 'c' appears twice"),
        ('"a": 1\na: 2', "line 2: the key 'a' appears twice"),
        ("1: a", "line 1: the key 1 is not text; put it in quotes"),
        ("true: a", "line 1: the key True is not text"),
        ("~: a", "line 1: the key None is not text"),
        ("? [a]\n: 1", "line 1: the key ['a'] is not text"),
        ("a: .inf", "line 1: a: not a finite number"),
        ("a: -.INF", "line 1: a: not a finite number"),
        ("a:\n- .NaN", "line 2: a.0: not a finite number"),
        ("1e999", "line 1: not a finite number"),
        ("9" * 30, "line 1: an integer beyond 64 bits"),
        ("9" * 5_000, "line 1: an integer of too many digits"),
        ('b: "\\ud83d"\nid: x', r"line 1: b: '\ud83d' is half of a character; write the whole one"),
        ('{"\\ude00": 1}', r"'\ude00' is half of a character"),
        ("!!python/object/apply:os.system ['touch X']", "the tag !!python/object/apply:os.system"),
        ("!!binary aGk=", "the tag !!binary is not read here"),
        ("!!timestamp 2001-01-01", "the tag !!timestamp is not read here"),
        ("!!set {a}", "the tag !!set is not read here"),
        ("!<map> {a: 1}", "the tag map is not read here"),
        ("!mine 1", "the tag !mine is not read here"),
        ("! 12", "the tag ! is not read here"),
        ("!!int x", "'x' is not a valid int, which its tag says"),
        ("- &a x\n- *a", "line 2: aliases are not read; write the value out"),
        ("- a\n---\n- b", "line 2: a second document"),
        ("%YAML 1.1\n---\non", "YAML 1.1 is not read"),
        ("a:\n\tb: 1", "line 2: not YAML: while scanning for the next token: found character"),
        ("a\n\x01", "line 2: not YAML: the character U+0001"),
        ("- a\n- b\u2028c", "line 2: the character U+2028 is not read; write its escape, within"),
        ("- a\n\ufeff- b", "line 2: the character U+FEFF"),
        ('"\\Uffffffff"', "not YAML: a character that does not exist"),
        ("[" * 100_000, "line 1: nested deeper than 64"),
        ("- " * 3_000, "line 1: nested deeper than 64"),
        ("{a: 1, a", "not YAML"),
    ],
)
def test_yaml_that_is_not_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReadError) as caught:
        parse_yaml(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON at character 1: Expecting value"),
        ("{'a': 1}", "not JSON at character 2: Expecting property name enclosed in double quotes"),
        ("[1,]", "not JSON at character 4"),
        ("{} {}", "not JSON at character 4: Extra data"),
        ("[\n1,\n]", "line 3: not JSON at character 1"),
        ("NaN", "not a finite number"),
        ('{"a": [-Infinity]}', "a.0: not a finite number"),
        ('{"a": 1e999}', "a: not a finite number"),
        ('{"id": "x", "a": "\\ud800"}', r"a: '\ud800' is half of a character; write the whole one"),
        ('{"a\\udfff": 1}', r"'\udfff' is half of a character"),
        ("9" * 20, "an integer beyond 64 bits"),
        ("9" * 5_000, "not JSON that is read: an integer of too many digits"),
        ("[" * 100_000, "not JSON that is read: nested deeper than 64"),
        ("[" * 66 + "]" * 66, "nested deeper than 64"),
        ('{"a": 1, "a": 1}', "the key 'a' appears twice"),
        ('{"\\u0061": 1, "a": 1}', "the key 'a' appears twice"),
    ],
)
def test_json_that_is_not_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReadError) as caught:
        parse_json(text)
    assert message in str(caught.value)


def test_the_outermost_id_is_named_wherever_it_stands() -> None:
    for text in ('{"a": {"id": "in", "b": NaN}, "id": "out"}', '{"id": "out", "a": {"b": NaN}}'):
        with pytest.raises(ReadError, match=r"^a\.b: not a finite number \(id 'out'\)$"):
            parse_json(text)


def test_who_wrote_a_value_decides_what_it_may_be() -> None:
    own, model = f"[{10**30}, NaN, Infinity]", '["\\ud800", 1e999]'
    assert repr(parse_json(own, Author.RODS)) == repr([10**30, float("nan"), float("inf")])
    assert parse_json(model, Author.MODEL) == ["\ud800", float("inf")]
    for text in ('"\\ud800"', "1e999", '{"a": 1, "a": 1}'):
        with pytest.raises(ReadError):
            parse_json(text, Author.RODS)
    with pytest.raises(ReadError, match="appears twice"):
        parse_json('{"a": 1, "a": 1}', Author.MODEL)


def test_arguments_become_what_json_can_hold() -> None:
    assert plain({"a": (1, (True, None))}) == {"a": [1, [True, None]]}
    for value, message in (
        ({1: 2}, "the key 1 is not text"),
        ({"a": {1}}, "a: a set; only"),
        ({"a": b""}, "a: a bytes; only"),
        ({"a": [1j]}, r"a\.0: a complex; only"),
        ({"a": ...}, "a: a ellipsis; only"),
    ):
        with pytest.raises(ReadError, match=message):
            plain(value)
    deep: Any = 0
    for _ in range(MOST_DEPTH + 1):
        deep = [deep]
    assert plain(deep) == deep
    with pytest.raises(ReadError, match="nested deeper than 64"):
        plain([deep])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}".encode("utf-16"), "begins with the byte order mark of UTF-16; save it as UTF-8"),
        (b"\xfe\xff\0{\0}", "byte order mark of UTF-16"),
        ("{}".encode("utf-32"), "byte order mark of UTF-32"),
        (b"\0\0\xfe\xff\0\0\0{", "byte order mark of UTF-32"),
        ("{}".encode("utf-16-le"), "a zero at byte 1, which is no text; save it as UTF-8"),
        ("{}".encode("utf-16-be"), "a zero at byte 0"),
        (b"abc\xe9", "not UTF-8 at byte 3; save it as UTF-8"),
        (b"\xed\xa0\x80", "not UTF-8 at byte 0"),
    ],
)
def test_bytes_that_are_not_utf_8_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=message):
        decode(content)
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{path}: .*{message}"):
        list(entries(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b" " * 11)
    assert read_text(tmp_path / "large", 11) == " " * 11
    for name, message in (
        ("none", "cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
        ("a" * 5_000, "cannot be read: File name too long"),
        ("\0", "cannot be read: embedded null"),
        ("large", "larger than 0 MB; split it"),
        ("/dev/zero", "larger than 0 MB"),
    ):
        with pytest.raises(UserError, match=message):
            read_text(tmp_path / name, 10)


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.jsonl", "", []),
        ("a.jsonl", " \n\n\t\r\n", []),
        ("a.jsonl", "\ufeff", []),
        ("a.jsonl", '{"a": 1}\n\n{"b": 2}', ["line 1", "line 3"]),
        ("a.jsonl", '\ufeff{"a": 1}\r\n\ufeff{"b": 2}\r\n', ["line 1", "line 2"]),
        ("a.jsonl", '{"a": "x\u2028\x85y"}\n', ["line 1"]),
        ("a.json", '[{"a": 1},\n {"b": 2}]', ["task 1", "task 2"]),
        ("a.json", '{"a": 1}\n{"b": 2}\n', ["line 1", "line 2"]),
        ("a.yaml", "", []),
        ("a.yaml", "# nothing\n", []),
        ("a.YML", "\ufeff- a: 1\r\n- b: 2\r\n", ["line 1: task 1", "line 2: task 2"]),
    ],
)
def test_entries_and_their_places(
    tmp_path: Path, name: str, content: str, wanted: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    found = list(entries(path))
    assert [where for where, _ in found] == [f"{path}: {place}" for place in wanted]
    values = [{"a": "x\u2028\x85y"}] if "\u2028" in content else [{"a": 1}, {"b": 2}]
    assert [value for _, value in found] == values[: len(wanted)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{}\n{"id": "x", "b": {"c": NaN}}', r"line 2: b.c: not a finite .*\(id 'x'\)"),
        ("a.jsonl", '{}\n{"a": 1\n}', "line 2: not JSON at character 8"),
        ("a.json", '[{},\n {"a": [NaN]}]', r"task 2: a\.0: not a finite number"),
        ("a.json", "[{},\n {]", "line 2: not JSON at character 3"),
        ("a.yaml", "- a\n- id: x\n  b:\n    c: .inf", r"line 4: task 2: b\.c: not .*\(id 'x'\)"),
        ("a.yaml", "a: 1", "must be a list of tasks"),
        ("a.yaml", "just text", "must be a list of tasks"),
        ("a.yaml", "- a\n- b: [", "line 2: not YAML"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content, "utf-8")
    with pytest.raises(UserError, match=f"^{path}: {message}"):
        list(entries(path))


def test_the_shipped_files_mean_what_other_readers_read() -> None:
    package = files("rods")
    paths = [package / "presets" / f"{name}.yaml" for name in preset_names()]
    paths += [package / "synthesis" / name for name in ("phrases.yaml", "themes.yaml")]
    for path in paths:
        text = path.read_text("utf-8")
        assert repr(parse_yaml(text)) == repr(yaml.safe_load(text)), path
