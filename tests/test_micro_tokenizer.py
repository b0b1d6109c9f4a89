"""The micro tokenizer loses nothing and cannot be tricked."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rods.micro.tokenizer import MicroTokenizer

WORDS = ["file", "files", "File", "move", "a", "the", "user", "pad", "mkdir"]
SYMBOLS = ["<user>", "<call>", "fn:mkdir", "arg:source"]
TOKENIZER = MicroTokenizer.build(WORDS, SYMBOLS)
CONTROL = {TOKENIZER.symbol(name) for name in SYMBOLS} | {TOKENIZER.pad_id}

tricky = st.lists(
    st.sampled_from([*WORDS, *SYMBOLS, "zebra", "b", "12", "7", " ", "  ", "\n", "_", ".", "é"])
    | st.sampled_from(["<pad>", "<space>", "<join>", "<spell>", "</spell>", "<0x41>", "漢", "\0"])
).map("".join)


@given(st.text() | tricky)
def test_round_trip_and_no_forgery(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert CONTROL.isdisjoint(ids)


@given(st.lists(st.integers(0, len(TOKENIZER) - 1)))
def test_any_ids_decode(ids: list[int]) -> None:
    TOKENIZER.decode(ids)
    assert "fn:mkdir" not in TOKENIZER.decode([TOKENIZER.symbol("fn:mkdir")], skip_symbols=True)


def test_lone_surrogate_becomes_replacement() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud800b")) == "a\ufffdb"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("move the file", ["move", "the", "file"]),
        ("file 12", ["file", "1", "2"]),
        ("file12", ["file", "<join>", "1", "2"]),
        ("move  a_file", ["move", "<space>", "<space>", "a", "_", "file"]),
        ("the zoo", ["the", "<spell>", "z", "o", "o", "</spell>"]),
        ("1 2", ["1", "<space>", "2"]),
        ("é", ["<0xC3>", "<0xA9>"]),
    ],
)
def test_segmentation(text: str, names: list[str]) -> None:
    assert [TOKENIZER.vocabulary[index] for index in TOKENIZER.encode(text)] == names


def test_save_and_load(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "tokenizer.json")
    loaded = MicroTokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.vocabulary == TOKENIZER.vocabulary
    assert loaded.symbol("<call>") == TOKENIZER.symbol("<call>")


@pytest.mark.parametrize("symbol", ["file", "x", "<pad>", "a b", ""])
def test_symbols_that_text_could_produce_are_refused(symbol: str) -> None:
    with pytest.raises(ValueError, match="control symbol"):
        MicroTokenizer.build(WORDS, [symbol])


def test_words_are_letters() -> None:
    with pytest.raises(ValueError, match="letters"):
        MicroTokenizer.build(["file1"], [])


def test_transformers_form_keeps_ids() -> None:
    fast = TOKENIZER.to_transformers(eos="<call>")
    ids = [TOKENIZER.symbol("<user>"), *TOKENIZER.encode("move  zoo12.é"), fast.eos_token_id]
    text = " ".join(TOKENIZER.vocabulary[index] for index in ids)
    assert fast(text)["input_ids"] == ids
    assert fast.pad_token_id == TOKENIZER.pad_id
    assert len(fast) == len(TOKENIZER)
