"""The report page: one file, nothing fetched, no text taken for markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pages import Elements
from rods.curriculum.pool import Event
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks
from rods.errors import UserError
from rods.group import Group
from rods.html import readable
from rods.report.episode import MAX_TRANSCRIPT
from rods.report.page import write_report
from rods.store.schema import TaskMeasurement
from rods.store.store import Store
from rods.task import Task, Turn

HOSTILE = "</script><img src=x onerror=alert(1)><!--\u2028 & \"'"
NAMES = [f"multi_turn_{category}_{i}" for category in CATEGORIES for i in (0, 1)]


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


def test_fetches_nothing(elements: Elements) -> None:
    assert elements.loads() == [("link", "data:,")]


def test_only_named_scripts_may_run(elements: Elements) -> None:
    assert len(elements.scripts) == 2
    elements.check_policy()


def test_no_text_becomes_markup(page: str, elements: Elements) -> None:
    assert "<img" not in page
    assert not [tag for tag, attrs in elements.tags if tag == "img" or "onerror" in attrs]
    assert "<b>run & co" in elements.text
    assert "&lt;/script&gt;&lt;img" in page


def test_the_first_steps_explain_each_part(page: str) -> None:
    text = (Path(__file__).parents[1] / "docs" / "first-steps.md").read_text("utf-8")
    explained = [
        name.rstrip(".") for name in re.findall(r"^\d+\. \*\*(.*?)\*\*", text, re.MULTILINE)
    ]
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert [name for name in explained if name in headings] == headings


def test_variants_are_shown_beside_their_parents(
    run: tuple[Path, list[Task]], page: str, elements: Elements
) -> None:
    one, _ = run[1]
    tasks = [attrs for tag, attrs in elements.tags if attrs.get("class") == "task"]
    assert [task["data-state"] for task in tasks] == ["trial", "retired"], "with an episode first"
    first = Elements(page[page.index('class="task"') : page.index('data-state="retired"')])
    shown = readable(HOSTILE)
    assert f"{shown} one" in first.text and f"{shown} two" not in first.text
    parent = benchmark_tasks()[NAMES[0]]
    assert parent.turns[0].user in first.text, "the parent beside it"
    for call in one.turns[0].ground_truth:
        assert str(call) in first.text
    assert f"ending: {shown}" in first.text
    assert f"retired: {shown}" in elements.text


def test_long_transcripts_are_cut_with_a_mark(elements: Elements) -> None:
    left_out = len(HOSTILE) + 500
    assert f"[… {left_out:,} characters left out]" in elements.text
    assert "1 more messages left out" in elements.text
    assert "x" * MAX_TRANSCRIPT not in elements.text


def test_says_the_numbers(elements: Elements) -> None:
    words = elements.words
    assert "25.0% → 45.0%" in words
    assert "12.5% → 32.5%" in words
    assert "complete groups by mean outcome" in words
    assert "37.5% → 100.0%" in words  # groups with signal
    assert "steps done 2 of 4" in words
    assert "At the boundary: 100% of the generated tasks" in words


def test_figures_count_right(elements: Elements) -> None:
    (zones,) = elements.sections["zones"]
    assert zones.columns == {
        "epoch": ["0", "1"],
        "mastered": ["25.0 % (2 of 8)", "0"],
        "boundary": ["62.5 % (5 of 8)", "100.0 % (2 of 2)"],
        "hard": ["12.5 % (1 of 8)", "0"],
    }
    flows, sizes = elements.sections["pool"]
    assert flows.columns == {
        "epoch": ["1", "2"],
        "injected": ["2", "0"],
        "rested": ["1", "0"],
        readable(HOSTILE): ["0", "1"],
    }
    assert sizes.columns["active seeds"] == ["8", "7", "7"]
    assert sizes.columns["active generated"] == ["0", "2", "1"]
    (funnel,) = elements.sections["funnel"]
    assert funnel.rows[1:] == [["tried", "5"], ["admitted", "2"], [readable(HOSTILE), "3"]]
    (families,) = elements.sections["families"]
    assert families.columns["variants"] == ["1", "1"]


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
    found = Elements(write_report(tmp_path).read_text("utf-8"))
    (zones,), (variances,) = found.sections["zones"], found.sections["variances"]
    assert zones.columns["epoch"] == ["0", "2"], "nothing was measured in between"
    assert zones.columns["boundary"] == ["100.0 % (1 of 1)"] * 2
    assert variances.columns["boundary"] == ["0.188", "0.047"]
    (landings,) = found.sections["landings"]
    assert landings.rows[0][1:] == ["seeds (1)", "generated (1)"]
    for text in (
        "epoch 0, step 1: mean -, -, incomplete",
        "epoch 1, step 2: mean -, -, incomplete",
        "epoch 2, step 3: mean 0.38, boundary, signal",
        "rewards 0.50 1.50 1.50 1.50",
        "outcomes 0.00 0.50 0.50 0.50",
        "progress -, ending: environment failure",
        "epoch 1, step 2: mean 0.75, boundary, incomplete",
    ):
        assert text in found.words, text


def test_a_run_whose_groups_were_all_lost_has_sentences(tmp_path: Path) -> None:
    seed = benchmark_tasks()[NAMES[0]]
    store = Store(tmp_path)
    store.add_tasks([seed], 0)
    store.add_groups([Group(seed.id, "base", (), 0, 1, 4)])
    store.close()
    found = Elements(write_report(tmp_path).read_text("utf-8"))
    shown = {key for key, tables in found.sections.items() if tables}
    assert shown == {"signals"}, "the pool has no event"
    text = found.text
    assert text.count("No group is complete: each lost rollouts.") == 3


def test_unfinished_run_has_sentences(tmp_path: Path) -> None:
    Store(tmp_path / "run").close()
    out = write_report(tmp_path / "run", tmp_path / "elsewhere.html")
    text = Elements(out.read_text("utf-8")).text
    assert "There are no groups yet." in text
    assert "There is no measurement on the test tasks yet." in text
    assert "No task has been generated in this run yet." in text


def test_a_report_of_large_tasks_stays_small(tmp_path: Path) -> None:
    """Below two megabytes, whatever is in it; the page says how many tasks are left out."""
    seed = benchmark_tasks()[NAMES[0]]
    store = Store(tmp_path)
    made = [variant_of(seed, f"{i} " + "words " * 2_000) for i in range(400)]
    with store.transaction():
        store.add_tasks([seed, *made], 0)
        store.add_events([Event(0, 0, seed.id, "seeded")])
        store.add_events(Event(i, i, t.id, "injected", seed.id) for i, t in enumerate(made, 1))
        for i, task in enumerate(made):
            store.add_episode(i, task.id, 0.5, "answered", [["assistant", "said " * 5_000]])
            store.add_groups([Group(task.id, "base", (0.0, 1.0), i, i + 1)])
    store.close()
    out = write_report(tmp_path)
    assert out.stat().st_size < 2_000_000
    found = Elements(out.read_text("utf-8"))
    shown = sum(attrs.get("class") == "task" for _, attrs in found.tags)
    assert 10 < shown < 300 and f"{shown} of 400 tasks" in found.text


def test_missing_run_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run here"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_unwritable_page_is_the_users_error(run: tuple[Path, list[Task]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_report(run[0], tmp_path / "absent" / "report.html")
