"""The report page: one file, nothing fetched, no text taken for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rods.curriculum.pool import Event
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks
from rods.errors import UserError
from rods.group import Group
from rods.report.browser import MAX_TRANSCRIPT
from rods.report.page import write_report
from rods.store.schema import TaskMeasurement
from rods.store.store import Store
from rods.task import Task, Turn

HOSTILE = "</script><img src=x onerror=alert(1)><!--\u2028 & \"'"
NAMES = [f"multi_turn_{category}_{i}" for category in CATEGORIES for i in (0, 1)]


class Elements(HTMLParser):
    """The page as a browser sees it: tags with attributes, and what each script holds."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        else:
            self.text += data


def variant_of(parent: Task, name: str) -> Task:
    first = parent.turns[0].model_copy(update={"user": f"{HOSTILE} {name}"})
    return Task(
        category=parent.category,
        classes=parent.classes,
        start=parent.start,
        turns=(first, *parent.turns[1:], Turn(user="", restores=("sort",))),
        parent=parent.id,
        origin="program",
        born=1,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Task]]:
    """A run of two epochs: eight seeds, two variants, one of them retired."""
    folder = tmp_path_factory.mktemp("runs") / "<b>run & co"
    seeds = [benchmark_tasks()[name] for name in NAMES]
    made = [variant_of(seeds[0], "one"), variant_of(seeds[2], "two")]
    store = Store(folder)
    with store.transaction():
        config = {"arm": "rods", "preset": "micro", "seed": 3, "steps": 4}
        store.set_meta("config", config | {"boundary": {"low": 0.3, "high": 0.8}})
        store.set_meta("notice", f"Micro tasks, no BFCL score. {HOSTILE}")
        store.set_meta("realisation", {"train": {"calls kept": 300, HOSTILE: 20}})
        store.set_meta("left_out", {HOSTILE: HOSTILE})
        store.add_tasks(seeds, 0)
        store.add_events([Event(0, 0, task.id, "seeded") for task in seeds])
        store.epochs.add(0, 1, [task.id for task in seeds])
        rewards = [(0.0, 1.0), (0.5, 0.5), (1.0, 1.0), (0.0, 0.0), (0.25, 0.75)]
        store.add_groups(
            Group(task.id, task.category, rewards[i % 5], 0, 1) for i, task in enumerate(seeds)
        )
        store.add_tasks(made, 2)
        store.add_events(
            [
                Event(1, 0, seeds[0].id, "chosen"),
                *(Event(2, 1, task.id, "injected", task.parent) for task in made),
                Event(2, 1, seeds[3].id, "rested", "all failed"),
                Event(3, 2, made[1].id, "retired", HOSTILE),
            ]
        )
        store.epochs.add(1, 2, [task.id for task in made])
        store.add_groups(Group(t.id, t.category, (0.4, 0.6), 1, 2) for t in made)
        outcomes = {"tried": 5, "admitted": 2, HOSTILE: 3}
        rows = [(2, 0, seeds[0].id, name, n) for name, n in outcomes.items()]
        store.db.insert("INSERT INTO funnel", rows)
        long = ["agent", "x" * (MAX_TRANSCRIPT + 500)]
        store.add_episode(2, made[0].id, 0.5, HOSTILE, [["user", HOSTILE], long, ["error", "no"]])
        for step, side in ((0, "test"), (0, "validation"), (2, "test"), (2, "validation")):
            store.measures.add_heldout(
                TaskMeasurement(step, side, name, name, 0.25 + step / 10, 0.125 + step / 10, 8)
                for name in CATEGORIES
            )
    store.close()
    return folder, made


@pytest.fixture(scope="module")
def page(run: tuple[Path, list[Task]]) -> str:
    return write_report(run[0]).read_text("utf-8")


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


def test_is_one_file_beside_the_run(run: tuple[Path, list[Task]], page: str) -> None:
    assert {p.name for p in run[0].iterdir()} >= {"report.html", "run.sqlite"}
    assert not [p for p in run[0].iterdir() if p.name.startswith(".")]
    assert page.count("* plotly.js v") == 1


def test_fetches_nothing(elements: Elements) -> None:
    loads = [
        (tag, value)
        for tag, attrs in elements.tags
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "action", "data")
    ]
    assert loads == [("link", "data:,")]


def test_only_named_scripts_may_run(elements: Elements) -> None:
    policy = next(
        attrs["content"] or ""
        for tag, attrs in elements.tags
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    allowed = re.search(r"script-src ([^;]*)", policy)
    assert allowed is not None
    run_scripts = [text for attrs, text in elements.scripts if not attrs]
    hashes = [base64.b64encode(hashlib.sha256(t.encode()).digest()) for t in run_scripts]
    assert allowed[1] == " ".join(f"'sha256-{h.decode()}'" for h in hashes)


def test_no_text_becomes_markup(page: str, elements: Elements) -> None:
    assert "<img" not in page.replace(elements.scripts[1][1], "")
    assert not [tag for tag, attrs in elements.tags if tag == "img" or "onerror" in attrs]
    assert len(elements.scripts) == 3
    assert "<b>run & co" in elements.text
    assert "&lt;/script&gt;&lt;img" in page


def test_the_first_steps_explain_each_part(page: str) -> None:
    text = (Path(__file__).parents[1] / "docs" / "first-steps.md").read_text("utf-8")
    explained = [
        name.rstrip(".") for name in re.findall(r"^\d+\. \*\*(.*?)\*\*", text, re.MULTILINE)
    ]
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert [name for name in explained if name in headings] == headings


def test_data_island_gives_the_texts_back(run: tuple[Path, list[Task]], elements: Elements) -> None:
    attrs, text = elements.scripts[0]
    assert attrs["type"] == "application/json"
    assert not re.search("[<>&]", text)
    browser = json.loads(text)["browser"]
    one, two = run[1]
    assert browser["list"] == [two.id, one.id]
    shown = browser["tasks"][one.id]
    assert shown["turns"][0]["user"] == f"{HOSTILE} one"
    assert shown["turns"][0]["calls"] == [str(call) for call in one.turns[0].ground_truth]
    assert shown["episode"]["ending"] == HOSTILE
    assert browser["tasks"][shown["parent"]]["turns"][0]["user"] != shown["turns"][0]["user"]
    assert (shown["state"], browser["tasks"][two.id]["state"]) == ("trial", "retired")


def test_long_transcripts_are_cut_with_a_mark(
    run: tuple[Path, list[Task]], elements: Elements
) -> None:
    data = json.loads(elements.scripts[0][1])
    messages = data["browser"]["tasks"][run[1][0].id]["episode"]["messages"]
    assert messages[1][1].endswith("characters left out]")
    assert messages[2] == ["cut", "1 more messages left out"]


def test_says_the_numbers(elements: Elements) -> None:
    words = " ".join(elements.text.split())
    assert "25.0% → 45.0%" in words
    assert "12.5% → 32.5%" in words
    assert "complete groups by mean outcome" in words
    assert "37.5% → 100.0%" in words  # groups with signal
    assert "steps done 2 of 4" in words
    assert "At the boundary: 100% of the generated tasks" in words


def test_figures_count_right(elements: Elements) -> None:
    figures = json.loads(elements.scripts[0][1])["figures"]
    zones = {t["name"]: t["y"] for t in figures["zones"]["data"]}
    assert zones == {"mastered": [0.25, 0], "boundary": [0.625, 1], "hard": [0.125, 0]}
    flows = {t["name"]: dict(zip(t["x"], t["y"], strict=True)) for t in figures["pool"]["data"]}
    assert flows["injected"] == {1: 2}
    assert flows["rested"] == {1: -1}
    assert flows["active seeds"] == {0: 8, 1: 7, 2: 7}
    assert flows["active generated"] == {0: 0, 1: 2, 2: 1}
    assert figures["funnel"]["data"][0]["x"] == [3, 2, 5]
    assert not [t for f in figures.values() for t in f["data"] if "<" in str(t.get("name"))]
    assert "<" not in figures["funnel"]["data"][0]["y"][0]


def data_of(folder: Path) -> dict[str, Any]:
    """What the page's script is given."""
    data: dict[str, Any] = json.loads(
        Elements(write_report(folder).read_text("utf-8")).scripts[0][1]
    )
    return data


def test_what_the_environment_lost_is_no_failure(tmp_path: Path) -> None:
    """The first epoch's groups are lost as a whole, in part, or complete; the next one's all."""
    seeds = [benchmark_tasks()[name] for name in NAMES[:3]]
    made = variant_of(seeds[0], "one")
    store = Store(tmp_path)
    with store.transaction():
        store.add_tasks([*seeds, made], 0)
        store.add_events(Event(0, 0, task.id, "seeded") for task in seeds)
        store.add_events([Event(1, 0, made.id, "injected", made.parent)])
        store.add_groups(
            [
                Group(seeds[0].id, "base", (), 0, 1, 4),
                Group(seeds[1].id, "base", (0.0, 0.0), 0, 1, 4),
                Group(seeds[2].id, "base", (0.0, 1.0, 1.0, 1.0), 0, 1, 4),
                Group(made.id, "base", (), 0, 1, 4),
                Group(made.id, "base", (), 1, 2, 4),
                Group(seeds[0].id, "base", (2.0, 1.0), 1, 2, 4, (1.0, 0.5)),
                Group(made.id, "base", (1.5, 0.5, 1.5, 1.5), 2, 3, 4, (0.5, 0.0, 0.5, 0.5)),
            ]
        )
        store.add_episode(2, made.id, 0.0, "environment failure", [["error", "it is away"]])
        store.add_episode(2, seeds[0].id, 0.0, "answered", [["user", "hello"]])
    store.close()
    found = data_of(tmp_path)
    figures, tasks = found["figures"], found["browser"]["tasks"]
    zones = {t["name"]: dict(zip(t["x"], t["y"], strict=True)) for t in figures["zones"]["data"]}
    assert zones == {"mastered": {0: 0, 2: 0}, "boundary": {0: 1, 2: 1}, "hard": {0: 0, 2: 0}}
    variances = {t["name"]: t["x"] for t in figures["variances"]["data"]}
    assert variances == {"mastered": [], "boundary": [0, 2], "hard": []}
    assert [t["name"] for t in figures["landings"]["data"]] == ["seeds (1)", "generated (1)"]
    lost, later, whole = tasks[made.id]["groups"]
    assert (lost["mean"], lost["zone"], lost["signal"]) == (None, None, "incomplete")
    assert later == lost | {"epoch": 1, "step": 2}
    assert whole["rewards"] == [0.5, 1.5, 1.5, 1.5]
    assert whole["outcomes"] == [0.0, 0.5, 0.5, 0.5]
    assert tasks[made.id]["first"] == whole["mean"] == 0.375
    assert tasks[made.id]["episode"]["progress"] is None
    assert tasks[seeds[0].id]["first"] is None
    assert tasks[seeds[0].id]["episode"]["progress"] == 0.0
    (_, partly) = tasks[seeds[0].id]["groups"]
    assert (partly["mean"], partly["signal"]) == (0.75, "incomplete")


def test_a_run_whose_groups_were_all_lost_has_sentences(tmp_path: Path) -> None:
    seed = benchmark_tasks()[NAMES[0]]
    store = Store(tmp_path)
    store.add_tasks([seed], 0)
    store.add_groups([Group(seed.id, "base", (), 0, 1, 4)])
    store.close()
    assert set(data_of(tmp_path)["figures"]) == {"pool", "signals"}
    text = Elements((tmp_path / "report.html").read_text("utf-8")).text
    assert text.count("No group is complete: each lost rollouts.") == 3


def test_unfinished_run_has_sentences(tmp_path: Path) -> None:
    Store(tmp_path / "run").close()
    out = write_report(tmp_path / "run", tmp_path / "elsewhere.html")
    text = Elements(out.read_text("utf-8")).text
    assert "There are no groups yet." in text
    assert "There is no measurement on the test tasks yet." in text
    assert "No task has been generated in this run yet." in text


def test_missing_run_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run here"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_unwritable_page_is_the_users_error(run: tuple[Path, list[Task]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_report(run[0], tmp_path / "absent" / "report.html")
