"""A lossless word-level tokenizer whose vocabulary is given, not learned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD = "<pad>"
SPACE = "<space>"
JOIN = "<join>"
SPELL = "<spell>"
END_SPELL = "</spell>"

_BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
_CHARACTERS = tuple(chr(code) for code in range(0x21, 0x7F))
_RESERVED = (PAD, SPACE, JOIN, SPELL, END_SPELL, *_BYTES, *_CHARACTERS)

_WORD = re.compile(r"[A-Za-z]+")
_SEGMENT = re.compile(r"( *)([A-Za-z]+|[^ ])", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")

# Whether one space is understood between two neighbours is the product of a left and a right
# class: word-word, word-digit and digit-word are spaced; digit-digit and anything else are not.
_OTHER, _LETTERS, _DIGIT = 0, 1, 2
_SPACED = frozenset({(_LETTERS, _LETTERS), (_LETTERS, _DIGIT), (_DIGIT, _LETTERS)})


class MicroTokenizer:
    """Text to token ids and back, exactly, over a fixed list of words.

    A run of letters is one token when it is a known word and is otherwise spelled letter by
    letter between `<spell>` and `</spell>`; a digit or a printable ASCII mark is one token; any
    other character is its UTF-8 bytes. Spaces cost tokens only where they differ from the
    default: one space between words, and between a word and a number; none elsewhere.

    Control symbols are atomic tokens that `encode` never produces, so text cannot forge them.
    """

    def __init__(self, symbols: Sequence[str], words: Sequence[str]) -> None:
        """`symbols` and `words` in the order of their ids; see `build` for the usual way in."""
        for symbol in symbols:
            if symbol in _RESERVED or not symbol or symbol.isalpha() or re.search(r"\s", symbol):
                raise ValueError(f"not usable as a control symbol: {symbol!r}")
        for word in words:
            if not _WORD.fullmatch(word):
                raise ValueError(f"words are ASCII letters only: {word!r}")
        self._symbols = tuple(symbols)
        # A word of one letter is already there as a character.
        self._words = tuple(word for word in words if len(word) > 1)
        self.vocabulary: tuple[str, ...] = (
            PAD, *self._symbols, SPACE, JOIN, SPELL, END_SPELL, *_CHARACTERS, *_BYTES, *self._words,
        )  # fmt: skip
        self._ids = {name: index for index, name in enumerate(self.vocabulary)}
        if len(self._ids) != len(self.vocabulary):
            raise ValueError("control symbols and words must each be distinct")
        self.pad_id = self._ids[PAD]
        self._symbol_ids = {name: self._ids[name] for name in self._symbols}
        self._space_id, self._join_id = self._ids[SPACE], self._ids[JOIN]
        self._spell_id, self._end_spell_id = self._ids[SPELL], self._ids[END_SPELL]
        self._byte_ids = tuple(self._ids[name] for name in _BYTES)
        self._bytes = {index: value for value, index in enumerate(self._byte_ids)}
        known = (*_CHARACTERS, *self._words)
        self._segments = {name: (_kind(name), (self._ids[name],)) for name in known}
        self._text = {self._ids[name]: (_kind(name), name) for name in known}

    @classmethod
    def build(cls, words: Iterable[str], symbols: Iterable[str]) -> MicroTokenizer:
        """A tokenizer over these words (case matters) and control symbols, duplicates dropped.

        Symbols keep the given order, words are sorted, so equal sets of words give equal ids.
        """
        return cls(tuple(dict.fromkeys(symbols)), sorted(set(words)))

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The control symbols in the order of their ids."""
        return self._symbols

    def symbol(self, name: str) -> int:
        """The id of a control symbol; KeyError for any other name."""
        return self._symbol_ids[name]

    def encode(self, text: str) -> list[int]:
        """Token ids of the text, none of them a control symbol.

        A lone surrogate is read as U+FFFD.
        """
        segments, space = self._segments, self._space_id
        ids: list[int] = []
        previous, end = _OTHER, 0
        for match in _SEGMENT.finditer(text):
            spaces, piece = match.groups()
            kind, piece_ids = segments.get(piece) or self._unknown(piece)
            expected = (previous, kind) in _SPACED
            if len(spaces) != expected:
                ids += [space] * len(spaces) or [self._join_id]
            ids += piece_ids
            previous, end = kind, match.end()
        ids += [space] * (len(text) - end)
        return ids

    def decode(self, ids: Iterable[int], *, skip_symbols: bool = False) -> str:
        """The text of any ids, well formed or not.

        Control symbols appear by their names, or not at all with `skip_symbols`; padding never
        appears. Bytes that are not UTF-8 become U+FFFD, and an open spelling ends at the first
        token that is not a letter. Ids outside the vocabulary raise IndexError.
        """
        pieces: list[bytes] = []
        previous, spelling = _OTHER, False
        for index in ids:
            kind, text = self._text.get(index, (_OTHER, ""))
            if not text:
                if index in self._bytes:
                    pieces.append(bytes((self._bytes[index],)))
                elif index == self._space_id:
                    pieces.append(b" ")
                elif index == self._spell_id:
                    # The space before a spelled word is due now, as its letters are joined.
                    if (previous, _LETTERS) in _SPACED:
                        pieces.append(b" ")
                elif index == self._end_spell_id:
                    kind = _LETTERS if spelling else previous
                elif index not in (self.pad_id, self._join_id):
                    name = self.vocabulary[index]
                    pieces.append(b"" if skip_symbols else name.encode())
                spelling = index == self._spell_id
            else:
                spelling = spelling and kind == _LETTERS
                if not spelling and (previous, kind) in _SPACED:
                    pieces.append(b" ")
                pieces.append(text.encode())
            previous = kind
        return b"".join(pieces).decode("utf-8", "replace")

    def save(self, path: str | Path) -> None:
        """Write the tokenizer to a JSON file."""
        content = {"symbols": self._symbols, "words": self._words}
        Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> MicroTokenizer:
        """The tokenizer that `save` wrote to the file."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(tuple(content["symbols"]), tuple(content["words"]))

    def to_transformers(self, eos: str) -> PreTrainedTokenizerFast:
        """The same vocabulary as a `transformers` tokenizer, with `eos` as its end token.

        Its text form is token names separated by white space: `" ".join(vocabulary[i] for i in
        ids)` is read back as exactly `ids`. It does not segment plain text; `encode` does.
        """
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from tokenizers.pre_tokenizers import WhitespaceSplit
        from transformers import PreTrainedTokenizerFast

        if eos not in self._ids:
            raise KeyError(eos)
        backend = Tokenizer(WordLevel(dict(self._ids)))
        backend.pre_tokenizer = WhitespaceSplit()
        return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=backend, pad_token=PAD, eos_token=eos, padding_side="left"
        )

    def _unknown(self, piece: str) -> tuple[int, tuple[int, ...]]:
        """Class and ids of a segment that is neither a known word nor printable ASCII."""
        if _WORD.match(piece):
            letters = (self._ids[letter] for letter in piece)
            return _LETTERS, (self._spell_id, *letters, self._end_spell_id)
        encoded = _SURROGATE.sub("\ufffd", piece).encode()
        return _OTHER, tuple(self._byte_ids[value] for value in encoded)


def _kind(name: str) -> int:
    """The spacing class of a printable ASCII segment."""
    return _LETTERS if name.isalpha() else _DIGIT if name.isdigit() else _OTHER
