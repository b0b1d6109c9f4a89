"""The journal: every question with its answer, so that a run can be repeated without a model.

An interrupted run asks the same questions again and gets recorded answers from here, so it ends
like an uninterrupted one. The file has JSON lines, each appended and flushed at once. A line
contains a digest of the prompt, the prompt itself only if the endpoint's settings ask for it, and
nothing about the connection.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import AGAIN, DETAIL, Cause, Fault
from rods.errors import UserError
from rods.files.held import hold, remove_empty
from rods.files.output import Output
from rods.synthesis.llm.prompts import Prompt

ANSWER = 256_000  # characters of an answer
FAILED = 2_000  # characters kept of a failed answer
PROMPT = 30_000  # characters kept of each part of a prompt
LINE = 2_000_000  # bytes
START = b'{"role":'


class JournalEntry(BaseModel):
    """One question. If it failed, `cause` is set, and `answer` has what was received."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    role: str
    version: str
    key: str
    digest: str
    n: int = Field(ge=0, description="how often the same was asked before")
    answer: str | None = Field(None, max_length=ANSWER)
    cause: Cause | None = None
    detail: str = Field("", max_length=DETAIL)
    tokens_in: int = Field(0, ge=0)
    tokens_out: int = Field(0, ge=0)
    cost: float = Field(0.0, ge=0)
    seconds: float = Field(0.0, ge=0)
    tries: int = Field(0, ge=0)
    system: str = Field("", max_length=PROMPT, description="with the example")
    user: str = Field("", max_length=PROMPT)


def digest_of(config: EndpointConfig, prompt: Prompt) -> str:
    """A digest of the model, its sampling settings, and the prompt."""
    decoding = [config.temperature, config.top_p, config.max_tokens]
    asked = dumps([config.model, decoding, prompt.system, prompt.user, prompt.example])
    return sha256(asked.encode()).hexdigest()


class Journal:
    """Questions and answers in a file, written by many threads of one process.

    An incomplete last line is not read, and is removed before anything is appended. A device or a
    pipe is only written to.

    Args:
        replay: take answers from the file, which is not changed.

    Raises:
        BusyError: another process writes it.
        UserError: the file cannot be read or written, or a line of it is no entry.
    """

    def __init__(self, path: Path, replay: bool = False) -> None:
        self.path, self.replay = Path(path), replay
        self._lock = threading.Lock()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._known: dict[tuple[str, str, int], JournalEntry] = {}
        self._file: IO[bytes] | None = None
        try:
            if replay:
                with self.path.open("rb") as file:
                    self._known = {(e.digest, e.key, e.n): e for e, _ in self._entries(file)}
                return
            output = Output(self.path, folders=True)
            self._target = output.target
            if output.through:
                self._file = output.open_through()
                return
            output.make_folders()
            self._file = hold(self._target, self.path, START, "a journal", "another --journal")
            end = 0
            for entry, place in self._entries(self._file):
                self._known[entry.digest, entry.key, entry.n], end = entry, place
            self._file.truncate(end)
            self._file.seek(end)
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}") from None

    def remembered(self, digest: str, key: str, n: int) -> JournalEntry | None:
        """The entry of a question that an interrupted run has asked before.

        None if there is none, or if its failure may be over now.
        """
        entry = self._known.get((digest, key, n))
        return None if entry is None or entry.cause in AGAIN else entry

    def next_number(self, digest: str, key: str) -> int:
        """How often this was asked before; each call counts one more."""
        with self._lock:
            self._asked[digest, key] += 1
            return self._asked[digest, key] - 1

    def rewind(self) -> None:
        """Number questions from 0 again: those that a run repeats find their answers."""
        with self._lock:
            self._asked.clear()

    def recorded(self, digest: str, key: str, n: int) -> JournalEntry:
        """The entry of a question.

        Raises:
            Fault: there is none.
        """
        entry = self._known.get((digest, key, n))
        if entry is None:
            raise Fault(Cause.UNRECORDED, f"no answer {n} for key {key!r}; was the prompt changed?")
        return entry

    def record(self, entry: JournalEntry) -> None:
        """Append an entry.

        Raises:
            UserError: it cannot be written.
        """
        empty = {name for name in ("system", "user") if not getattr(entry, name)}
        line = dumps(entry.model_dump(mode="json", exclude=empty)).encode() + b"\n"
        with self._lock:
            if self._file is None:
                return
            self._known[entry.digest, entry.key, entry.n] = entry
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise UserError(f"{self.path}: cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Close the file; no more entries are recorded. A file without entries is removed."""
        with self._lock:
            if self._file is not None:
                remove_empty(self._file, self._target)
                self._file.close()
                self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _entries(self, file: IO[bytes]) -> Iterator[tuple[JournalEntry, int]]:
        """Complete lines, each with the position after it."""
        place, number = 0, 0
        while True:
            line = file.readline(LINE)
            if not line.endswith(b"\n") and len(line) < LINE:
                return
            place, number = place + len(line), number + 1
            try:
                yield JournalEntry.model_validate_json(line), place
            except ValidationError as error:
                first = error.errors(include_input=False)[0]
                where = ".".join(map(str, first["loc"])) or "line"
                raise UserError(
                    f"{self.path}: line {number}: {where}: {first['msg']}; delete the line"
                ) from None
