"""The benchmark's own checker, kept from its own leftovers, and its decoders, for comparisons."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from rods.envs.bfcl_data import CATEGORIES, data_folder
from rods.task import Call, Task

Answer = Sequence[Sequence[Call]]
DECODERS = {
    "ast_parse",
    "convert_to_function_call",
    "decoded_output_to_execution_list",
    "default_decode_execute_prompting",
    "parse_nested_value",
    "resolve_ast_by_type",
    "resolve_ast_call",
}
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
        from bfcl_eval.eval_checker.multi_turn_eval.func_source_code.travel_booking import TravelAPI

        self._checker = multi_turn_checker.multi_turn_checker
        self._instances = vars(multi_turn_utils)
        self._own = set(self._instances)
        self._twitter, self._travel = TwitterAPI, TravelAPI
        self._tweet = TwitterAPI.post_tweet
        self._tables = {
            k: v for k, v in vars(long_context).items() if isinstance(v, dict) and k[0] != "_"
        }
        self._pristine = copy.deepcopy(self._tables)
        self._runs = count()
        self.rows: dict[str, dict[str, Any]] = {}
        self.gold: dict[str, list[list[str]]] = {}
        folder = folder or data_folder()
        for category in CATEGORIES:
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

    def check(self, task: Task, answer: Answer, sealed: bool = False) -> bool:
        """The verdict on calls, one sequence a turn, from a clean start to a clean end.

        Args:
            sealed: keep its two sides apart, which share tables and default lists.
        """
        self.clean()
        if sealed:
            with self._sealed():
                return self.check(task, answer)
        try:
            return self.verdict(task.source, [[str(call) for call in turn] for turn in answer])
        finally:  # our sessions read the same tables
            self.clean()

    @contextmanager
    def _sealed(self) -> Iterator[None]:
        load, tweet = self._travel._load_scenario, self._tweet

        def load_own(travel: Any, scenario: dict[str, Any], long_context: bool = False) -> None:
            load(travel, scenario, long_context)
            for name in ("credit_card_list", "booking_record"):
                setattr(travel, name, copy.deepcopy(getattr(travel, name)))

        def tweet_own(twitter: Any, content: str, tags: Any = None, mentions: Any = None) -> Any:
            return tweet(
                twitter,
                content,
                [] if tags is None else tags,
                [] if mentions is None else mentions,
            )

        self._travel._load_scenario, self._twitter.post_tweet = load_own, tweet_own
        try:
            yield
        finally:
            self._travel._load_scenario, self._twitter.post_tweet = load, tweet

    def verdict(self, name: str, answer: Sequence[Sequence[str]]) -> bool:
        """The bare call, without cleaning."""
        steps = [[list(turn)] if turn else [] for turn in answer]
        result = self._checker(
            steps, self.gold[name], self.rows[name], "", f"model_{next(self._runs)}"
        )
        return bool(result["valid"])


class OfficialDecoder:
    """What bfcl-eval's runner takes a logged step for: call texts, or none if it skips the step.

    The functions are compiled from the package's source, whose module imports every vendor's SDK.
    They eval sums in arguments: for texts of our own only.
    """

    def __init__(self) -> None:
        from bfcl_eval.constants.enums import ReturnFormat
        from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils import (
            is_empty_execute_response,
        )

        self._is_empty = is_empty_execute_response
        package = find_spec("bfcl_eval")
        assert package is not None and package.submodule_search_locations
        path = Path(package.submodule_search_locations[0]) / "model_handler" / "utils.py"
        tree = ast.parse(path.read_text("utf-8"))
        tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in DECODERS]
        self._functions: dict[str, Any] = {
            "ast": ast, "json": json, "re": re, "ReturnFormat": ReturnFormat
        }  # fmt: skip
        exec(compile(tree, str(path), "exec"), self._functions)

    def prompting(self, step: Any) -> list[str] | None:
        """A step of a model that writes its calls as text."""
        return self._decoded("default_decode_execute_prompting", step)

    def function_calling(self, step: Any) -> list[str] | None:
        """A step of a model that is called with tools."""
        return self._decoded("convert_to_function_call", step)

    def _decoded(self, name: str, step: Any) -> list[str] | None:
        try:
            found: list[str] = self._functions[name](step)
        except Exception:  # as its runner does: the step is skipped
            return None
        return None if self._is_empty(found) else found
