"""The benchmark's own checker, kept from its own leftovers, for comparisons."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from rods.envs.bfcl_data import data_folder
from rods.task import Call, Category, Task

Answer = Sequence[Sequence[Call]]
FOLDER = tempfile.TemporaryDirectory(prefix="bfcl")  # it makes result folders when imported
os.environ.setdefault("BFCL_PROJECT_ROOT", FOLDER.name)


class OfficialChecker:
    """`multi_turn_checker` of bfcl-eval, called as its runner calls it.

    Args:
        folder: questions and answers laid out as the benchmark's; default: the benchmark's own.
    """

    def __init__(self, folder: Path | None = None) -> None:
        from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_checker, multi_turn_utils
        from bfcl_eval.eval_checker.multi_turn_eval.func_source_code import long_context
        from bfcl_eval.eval_checker.multi_turn_eval.func_source_code.posting_api import TwitterAPI

        self._checker = multi_turn_checker.multi_turn_checker
        self._instances = vars(multi_turn_utils)
        self._own = set(self._instances)
        self._tweet = TwitterAPI.post_tweet
        self._tables = {
            k: v for k, v in vars(long_context).items() if isinstance(v, dict) and k[0] != "_"
        }
        self._pristine = copy.deepcopy(self._tables)
        self._runs = count()
        self.rows: dict[str, dict[str, Any]] = {}
        self.gold: dict[str, list[list[str]]] = {}
        folder = folder or data_folder()
        for category in Category:
            name = f"BFCL_v4_multi_turn_{category}.json"
            if not (folder / name).exists():
                continue
            for line in (folder / name).read_text("utf-8").splitlines():
                row = json.loads(line)
                self.rows[row["id"]] = row
            for line in (folder / "possible_answer" / name).read_text("utf-8").splitlines():
                row = json.loads(line)
                self.gold[row["id"]] = row["ground_truth"]

    def clean(self) -> None:
        """Undo what earlier runs left in the process: shared tables, defaults, instances."""
        for key, table in self._tables.items():
            if table != self._pristine[key]:
                table.clear()
                table.update(copy.deepcopy(self._pristine[key]))
        self._tweet.__defaults__ = ([], [])
        for name in self._instances.keys() - self._own:
            del self._instances[name]

    def check(self, task: Task, answer: Answer) -> bool:
        """The verdict on calls, one sequence a turn, from a clean start."""
        self.clean()
        return self.verdict(task.source, [[str(call) for call in turn] for turn in answer])

    def verdict(self, name: str, answer: Sequence[Sequence[str]]) -> bool:
        """The bare call, without cleaning."""
        steps = [[list(turn)] if turn else [] for turn in answer]
        result = self._checker(
            steps, self.gold[name], self.rows[name], "", f"model_{next(self._runs)}"
        )
        return bool(result["valid"])
