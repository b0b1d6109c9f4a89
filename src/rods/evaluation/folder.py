"""The folder of an evaluation: what identifies it, its episodes, and its summary.

Episodes are appended as they end, and one process at a time writes them. So an interrupted
evaluation continues where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.evaluation.episodes import EpisodeRow, read_rows
from rods.files.held import hold
from rods.files.output import Output
from rods.files.plain_data import ReadError
from rods.files.reading import parse_json, read_text

FACTS, EPISODES, SUMMARY = "evaluation.json", "episodes.jsonl", "summary.json"
PARTS = ("identity", "about")  # of the facts
Facts = dict[str, Any]


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation as it is stored, whole or not.

    Attributes:
        identity: all that decides its numbers.
        about: what does not, such as the address of the endpoint.
        rows: its episodes in the order in which they ended.
    """

    path: Path
    identity: Facts
    about: Facts
    rows: list[EpisodeRow]


def read_evaluation(folder: Path, *, messages: bool = False) -> StoredEvaluation:
    """Read the folder of an evaluation.

    Raises:
        UserError: it is none, or a file in it is damaged.
    """
    identity, about = _read_facts(folder)
    return StoredEvaluation(
        folder, identity, about, list(read_rows(folder / EPISODES, messages=messages))
    )


class EvaluationFolder:
    """The folder of an evaluation that this process continues; other processes are refused.

    Args:
        identity: all that decides the numbers of the evaluation.
        about: other facts; those of an evaluation that is continued are replaced.

    Attributes:
        rows: the episodes so far, without their messages.

    Raises:
        BusyError: another process writes it.
        UserError: it holds something else, or another evaluation; the message names what differs.
    """

    def __init__(self, path: Path, identity: Facts, about: Facts) -> None:
        self.path = path
        episodes, facts = path / EPISODES, path / FACTS
        output = Output(facts, folders=True)
        with output.named():
            self._fresh = not path.exists()
            if path.exists() and not facts.exists() and any(path.iterdir()):
                raise UserError(f"{path}: holds something else; name a new folder by --out")
            path.mkdir(parents=True, exist_ok=True)
            self._file = hold(episodes, path, b'{"task":', "an episode", "another --out")
        try:
            if facts.exists():
                _check_same(path, _read_facts(path)[0], identity)
            output.write(
                json.dumps(dict(zip(PARTS, (identity, about), strict=True)), indent=1) + "\n"
            )
            self.reread()
        except BaseException:
            self.close()
            raise

    def append(self, rows: Sequence[EpisodeRow]) -> None:
        """Keep episodes.

        Raises:
            UserError: the file cannot be written.
        """
        try:
            self._file.write("".join(f"{row.line()}\n" for row in rows).encode())
            self._file.flush()
        except OSError as error:
            message = f"cannot be written: {error.strerror}; the same command continues"
            raise UserError(f"{self.path / EPISODES}: {message}") from None
        self.rows += [row.model_copy(update={"messages": [], "turns": []}) for row in rows]

    def reread(self) -> None:
        """Read what is kept; an interruption may come between a write and its place in `rows`.

        Raises:
            UserError: a line is no episode.
        """
        self._file.flush()
        self.rows = list(read_rows(self.path / EPISODES))
        self._keep_whole_lines()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary of the episodes so far."""
        Output(self.path / SUMMARY).write(json.dumps(summary, indent=1) + "\n")

    def close(self) -> None:
        """Let other processes write. A new folder without an episode is removed."""
        if self._fresh and not getattr(self, "rows", None):
            with suppress(OSError):
                for name in (FACTS, EPISODES):
                    (self.path / name).unlink(missing_ok=True)
                self.path.rmdir()
        self._file.close()

    def _keep_whole_lines(self) -> None:
        """Drop a line that an interruption has torn, and append from there on."""
        self._file.seek(0)
        whole = sum(len(line) for line in self._file if line.endswith(b"\n"))
        self._file.truncate(whole)
        self._file.seek(whole)


def _read_facts(folder: Path) -> tuple[Facts, Facts]:
    path = folder / FACTS
    if folder.is_dir() and not path.exists():
        raise UserError(f"{folder}: no evaluation; there is no {FACTS} in it")
    text = read_text(path)
    try:
        data = parse_json(text)
    except ReadError as error:
        raise UserError(f"{path}: {error}") from None
    identity, about = (data.get(n) if isinstance(data, dict) else None for n in PARTS)
    if not isinstance(identity, dict) or not isinstance(about, dict) or not _whole(identity):
        raise UserError(f"{path}: no facts of an evaluation; name another folder")
    return identity, about


def _whole(identity: Facts) -> bool:
    """Whether an identity has the parts that are read by name."""
    tasks, agent = identity.get("tasks"), identity.get("agent")
    named = isinstance(tasks, dict) and isinstance(tasks.get("categories"), dict)
    return named and isinstance(agent, dict)


def differences(one: Facts, two: Facts) -> Iterator[tuple[str, Any, Any]]:
    """The names of facts that differ, with dots, and both values; None: there is none."""
    for name in dict.fromkeys([*one, *two]):
        left, right = one.get(name), two.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            for inner, first, second in differences(left, right):
                yield f"{name}.{inner}", first, second
        elif left != right:
            yield name, left, right


def _check_same(path: Path, stored: Facts, asked: Facts) -> None:
    found = [
        f"{name} is {there!r} in it and {here!r} here"
        for name, there, here in differences(stored, json.loads(json.dumps(asked)))
    ]
    if found:
        more = f", and {len(found) - 2} more differences" if len(found) > 2 else ""
        named = "; ".join(found[:2])
        raise UserError(f"{path}: holds another evaluation: {named}{more}; name a new --out")
