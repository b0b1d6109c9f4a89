"""The folder of an evaluation: what an interruption leaves in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rods.evaluation.episodes import EpisodeRow
from rods.evaluation.folder import EPISODES, EvaluationFolder
from test_eval_table import row

FACTS = {"tasks": {"categories": {"base": 1}}, "agent": {"kind": "endpoint"}}


class Interrupted(EpisodeRow):
    """Test double: Ctrl-C comes after its line was written."""

    def model_copy(self, **_: Any) -> EpisodeRow:  # type: ignore[override]
        raise KeyboardInterrupt


def test_an_episode_that_was_written_is_kept(tmp_path: Path) -> None:
    found = EvaluationFolder(tmp_path / "new", FACTS, FACTS)
    with pytest.raises(KeyboardInterrupt):
        found.append([Interrupted(**row("one", 1.0).model_dump())])
    assert found.rows == []
    found.reread()
    assert [each.task for each in found.rows] == ["one"]
    found.append([row("two", 0.0)])
    found.close()
    again = EvaluationFolder(tmp_path / "new", FACTS, FACTS)
    assert [each.task for each in again.rows] == ["one", "two"]
    again.close()


def test_a_torn_line_is_dropped(tmp_path: Path) -> None:
    found = EvaluationFolder(tmp_path, FACTS, FACTS)
    found.append([row("one", 1.0)])
    with (tmp_path / EPISODES).open("ab") as file:
        file.write(b'{"task": "torn')
    found.reread()
    found.append([row("two", 0.0)])
    assert [each.task for each in found.rows] == ["one", "two"]
    found.reread()
    assert [each.task for each in found.rows] == ["one", "two"]
    found.close()
