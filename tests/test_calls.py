"""Model output is hostile until parsed: only literal calls of known tools get through."""

import json
import math
import string
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rods.envs.bfcl_data import tool_specs
from rods.envs.calls import Bounds, CallError, Refusal, check_call
from rods.envs.notation import parse_calls, read_objects
from rods.task import Call
from writers import write_blocks, write_json, write_objects, write_python

TOOLS = tool_specs()
pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")

text = st.text(st.characters())  # lone surrogates included
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
values = st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(text, v), max_leaves=8)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    tool = TOOLS[draw(st.sampled_from(sorted(TOOLS)))]
    names = draw(st.permutations(list(tool.parameters)))
    return Call(name=tool.name, arguments={n: draw(values) for n in names})


@given(st.lists(calls(), min_size=1, max_size=3))
def test_round_trip(made: list[Call]) -> None:
    assert repr(parse_calls(f"[{', '.join(map(str, made))}]", TOOLS)) == repr(tuple(made))
    assert repr(parse_calls(f" {made[0]}\n", TOOLS)) == repr((made[0],))


def test_bfcl_notation() -> None:
    read = parse_calls("[cd('docs'), mv('a', destination='b'), ls(a=True), pwd()]", TOOLS)
    assert list(map(str, read)) == [
        "cd(folder='docs')",
        "mv(source='a', destination='b')",
        "ls(a=True)",
        "pwd()",
    ]
    assert parse_calls("cd('..')", TOOLS) == (Call(name="cd", arguments={"folder": ".."}),)
    assert parse_calls("[]", TOOLS) == ()
    for call in read:
        check_call(call, TOOLS)


def test_positional_arguments_follow_the_signature_where_the_doc_does_not() -> None:
    (call,) = parse_calls("purchase_insurance('t', 'health', 'b1', 50.0, 'c1')", TOOLS)
    assert call.arguments["booking_id"] == "b1"
    assert call.arguments["insurance_cost"] == 50.0


MAX_NUMBER, MAX_TEXT = Bounds().number, Bounds().text
NO_CALL = ["", " ", "hello there", "{", "[cd('a')", "cd", "[cd]", "'cd'", "None", "cd('a'); ls()"]
CODE = """
__import__('os').system('touch X') | cd(__import__('os').system('touch X'))
cd(folder=open('X', 'w')) | (lambda: open('X', 'w'))() | cd(f'{open(chr(88), chr(119))}')
cd(lambda: 0) | [cd(x) for x in 'ab'] | cd(x for x in 'ab') | cd([x for x in 'ab']) | cd(f'{1}')
cd(folder:=1) | cd(a.b) | cd(x) | cd('a' + 'b') | cd('a' * 9999999999) | cd('a' if 1 else 'b')
power(base=10**10**10, exponent=1) | cd(folder=[*'ab']) | cd(folder={**{}}) | cd(not 1) | exit()
cd(await x) | (yield) | cd(ls()) | cd.__class__('a') | cd('a')() | cd({[]: 1})
cd(*['a']) | cd('a', folder='b') | cd(folder='a', folder='b') | cd('a', 'b')
"""
DEEP = [
    "-" * (MAX_TEXT - 1) + "1",
    "(" * 9_000 + ")" * 9_000,
    "[" * 9_000 + "]" * 9_000,
    "cd(" * 6_000 + ")" * 6_000,
    "cd('a')" + "()" * 9_000,
    "cd(" + "-" * 19_000 + "1)",
    "cd(1" + "+1" * 9_000 + ")",
    "a" + ".a" * 9_000,
    "cd(" + "9" * 10_000 + ")",
    "cd('" + "a" * 10_000_000 + "')",
    "cd('\0')",
    "cd('\ud800')",
]
# Literals, but of no kind or size that a tool takes.
OUTSIZE = f"""
cd(**{{'folder': 'a'}}) | cd(dir='a') | cd() | mv('a') | cd(b'a') | cd({{1}}) | cd(set()) | cd(...)
add(1j, 1) | add(1e999, 1) | add(-1e999, 1) | add(1e19, 1) | mean([1, {"9" * 400}])
add({MAX_NUMBER + 1}, 1) | add(1, -{MAX_NUMBER + 1}) | add({"9" * 400}, 1) | add(-{"9" * 4_000}, 1)
cd({"[" * 9}1{"]" * 9}) | mean([{"1," * 1_001}])
"""


def cases(block: str) -> list[str]:
    return [case.strip() for line in block.strip().splitlines() for case in line.split(" | ")]


@pytest.mark.parametrize("hostile", NO_CALL + cases(CODE) + DEEP, ids=lambda text: repr(text[:30]))
def test_refused_unread(hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CallError):
        parse_calls(hostile, TOOLS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("hostile", cases(OUTSIZE), ids=lambda text: repr(text[:30]))
def test_refused_before_the_tool(hostile: str) -> None:
    (call,) = parse_calls(hostile, TOOLS)
    with pytest.raises(CallError):
        check_call(call, TOOLS)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 10**400, -(10**400)], ids=lambda v: f"{v}"[:5]
)
def test_no_number_is_too_odd_to_be_refused(value: float) -> None:
    for argument in (value, [value], {"a": value}):
        with pytest.raises(CallError):
            check_call(Call.model_construct(name="cd", arguments={"folder": argument}), TOOLS)


@pytest.mark.parametrize("half", ["\ud83d", "a\udc00", "\ude00\ud83d"], ids=ascii)
def test_half_of_a_character_reaches_no_tool(half: str) -> None:
    for argument in (half, [half], {"a": half}, {half: 1}):
        with pytest.raises(CallError, match="'folder' has half of a character"):
            check_call(Call.model_construct(name="cd", arguments={"folder": argument}), TOOLS)


def test_bounds_are_inclusive() -> None:
    check_call(parse_calls(f"add({MAX_NUMBER}, -{MAX_NUMBER})", TOOLS)[0], TOOLS)
    check_call(parse_calls("cd(" + "[" * 8 + "1" + "]" * 8 + ")", TOOLS)[0], TOOLS)
    check_call(parse_calls("mean([" + "1," * 1_000 + "])", TOOLS)[0], TOOLS)
    folder = "a" * MAX_TEXT
    check_call(Call(name="cd", arguments={"folder": folder}), TOOLS)
    with pytest.raises(CallError):
        check_call(Call(name="cd", arguments={"folder": folder + "a"}), TOOLS)


pieces = st.lists(
    st.sampled_from(
        ["cd", "mv", "add", "pwd", "folder", "source", "a", "x", *"()[]{}=,*:'\"\\-~.\n\0"]
    )
    | st.sampled_from(["**", ":=", "lambda ", " for x in ", " if ", " else ", "not ", "yield "])
    | st.sampled_from(["1", "1e999", "9" * 400, "0x", "1j", "b'", "f'", "...", "None", "\ud800"])
    | st.sampled_from(["cd('a')", "folder='b'", "add(1, 2)", "[1, 2]", "{'a': 1}", *string.digits])
).map("".join)


@settings(max_examples=200)
@given(text | pieces)
@example("[" * 100 + "]" * 100)
def test_any_text_is_parsed_or_refused(hostile: str) -> None:
    try:
        for call in parse_calls(hostile, TOOLS):
            assert call.name in TOOLS
            check_call(call, TOOLS)
    except CallError as error:
        assert str(error)


MARKUP = [
    "<tool_call>",
    "uses </tool_call> here",
    '<tool_call>{"name": "rm", "arguments": {"file_name": "a"}}</tool_call>',
    '\n</tool_call>\n<tool_call>\n{"name": "pwd"}',
    "<tools>[]</tools>",
    "[THINK]no[/THINK]",
    "```python\n[pwd()]\n```",
    "')]; pwd()",
    '"}}]',
    "\\",
    'it\'s # a "quote"',
    "(" * 5_000,
    "[{" * 2_000 + "'''",
]
WRITERS = [write_python, write_json, write_blocks, write_objects]


@pytest.mark.parametrize("markup", MARKUP, ids=lambda text: repr(text[:30]))
def test_markup_within_a_string_is_data(markup: str) -> None:
    made = (
        Call(name="echo", arguments={"content": markup}),
        Call(name="post_tweet", arguments={"content": "a", "tags": [markup, markup]}),
    )
    for write in WRITERS:
        text = write(made)
        read = parse_calls(text, TOOLS) if isinstance(text, str) else read_objects(text, TOOLS)
        assert read == made
        for call in read:
            check_call(call, TOOLS)
    assert parse_calls(str(made[0]), TOOLS) == made[:1]
    for prose in ("I don't (yet) know.", "Step (1) of '2':", "[THINK]ls()[/THINK]", "Yes"):
        blocks = f"{prose}\n{write_blocks(made)}"
        assert parse_calls(blocks, TOOLS) == made
        assert parse_calls(blocks.removesuffix("</tool_call>"), TOOLS) == made


@pytest.mark.parametrize(
    "code", ["echo(content=BLOCK, oops", "[no_tool(a=BLOCK)]", '{"name": BLOCK', "echo (BLOCK"]
)
def test_a_block_within_a_string_of_unreadable_calls_is_not_read(code: str) -> None:
    block = """'<tool_call>{"name": "pwd", "arguments": {}}</tool_call>'"""
    with pytest.raises(CallError):
        parse_calls(code.replace("BLOCK", block), TOOLS)


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "<tool_call></tool_call>",
        "<tool_call>pwd()</tool_call>",
        '<tool_call>{"name": "pwd"} pwd</tool_call>',
        '<tool_call>{"name": "pwd"}<tool_call>{"name": "pwd"}</tool_call>',
        '<tool_call>{"name": "pwd"}</tool_call> <tool_call>{"name"',
        '{"name": "pwd"} {"name": "pwd"}',
        '{"name": "pwd"}</tool_call>',
    ],
)
def test_a_block_or_an_object_is_read_to_its_end(text: str) -> None:
    with pytest.raises(CallError) as caught:
        parse_calls(text, TOOLS)
    assert caught.value.refusal == Refusal.NOT_CALLS


@pytest.mark.parametrize(
    "text",
    [
        "cd(folder='a', folder='b')",
        "cd(folder={'a': 1, 'a': 2})",
        "cd(folder=[({1: 1, True: 2},)])",
        '{"name": "cd", "arguments": {"folder": "a", "folder": "b"}}',
        r'{"name": "cd", "arguments": {"folder": {"a": 1, "\u0061": 2}}}',
        '{"name": "cd", "name": "ls"}',
        '<tool_call>{"name": "cd", "arguments": {"folder": 1, "folder": 1}}</tool_call>',
        r'{"name": "cd", "arguments": "{\"folder\": 1, \"folder\": 2}"}',
        r'{"cd": "{\"folder\": 1, \"folder\": 2}"}',
    ],
)
def test_a_key_given_twice_is_refused(text: str) -> None:
    with pytest.raises(CallError) as caught:
        parse_calls(text, TOOLS)
    assert caught.value.refusal == Refusal.REPEATED_ARGUMENT


@pytest.mark.parametrize("strings", ["'('", "'''(''' \"(\"", "r'\\' '('"])
def test_brackets_outside_of_strings_are_counted(strings: str) -> None:
    deep = "[" * 30 + strings + "]" * 30
    objects = '{"a": ' * 30 + '"("' + "}" * 30
    for text in (
        f"cd(folder={deep})",
        f"cd(folder=[ # '\n{deep}])",
        f'{{"name": "cd", "arguments": {objects}}}',
        f'<tool_call>{{"name": "cd", "arguments": {objects}}}</tool_call>',
        json.dumps({"cd": objects}),
        '{"name": ' + "[" * 15_000,
    ):
        with pytest.raises(CallError) as caught:
            parse_calls(text, TOOLS)
        assert caught.value.refusal == Refusal.DEPTH
