"""Tasks of tau2-bench become a task file; here of a small domain in its layout."""

import json
from pathlib import Path
from typing import Any

import pytest

from rods.envs.load import load_environment
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.importers.imported import Imported
from rods.importers.tau2 import import_tasks, read_domain
from rods.reward import progress
from rods.scoring import score

HERE = Path(__file__).parent
DATABASE = {
    "users": {f"ann_{n}": {"name": f"Ann {n}", "loans": [f"C{n}"]} for n in range(9)},
    "copies": {f"C{n}": {"title": "dune", "places": {f"shelf-{n}": n}} for n in range(20)},
}


def task(name: str, *calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    told = {"known_info": "You are Ann 3.", "reason_for_call": "Lend me what is on shelf-7."}
    actions = [{"name": n, "arguments": a} for n, a in calls]
    return {
        "id": name,
        "user_scenario": {"instructions": told},
        "evaluation_criteria": {"actions": actions},
    }


LEND = ("lend", {"user_id": "ann_3", "place": "shelf-7"})
TASKS = [
    task("0", ("find_member", {"name": "Ann 3"}), LEND),
    task("1"),
    task("2", ("get_copy", {"copy_id": "C99"}), LEND),
    task("3", ("get_copy", {"copy_id": "C99"})),
]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(HERE))
    folder = tmp_path / "data" / "tau2" / "domains" / "library"
    folder.mkdir(parents=True)
    (folder / "db.json").write_text(json.dumps(DATABASE))
    (folder / "tasks.json").write_text(json.dumps(TASKS))
    (folder / "policy.md").write_text("# Policy\n\nLend one book at a time.\n")
    return tmp_path


def made(clone: Path) -> Imported:
    env = load_environment("toolkits:Library")
    return import_tasks(read_domain(clone, "library"), "library", env)


def test_the_tasks_score_one_by_their_reference_calls(clone: Path) -> None:
    path = clone / "library.jsonl"
    path.write_text("\n".join(map(json.dumps, made(clone).entries)))
    env = load_environment("toolkits:Library")
    tasks = read_task_file(path, env)
    assert [t.label for t in tasks] == ["library_0", "library_2"]
    for each in tasks:
        assert each.system == "# Policy\n\nLend one book at a time."
        assert each.turns[0].user == "You are Ann 3. Lend me what is on shelf-7."
        assert progress(score(each, env, [each.turns[0].ground_truth]), 1) == 1.0
        assert progress(score(each, env, [each.turns[0].ground_truth[:-1]]), 1) == 0.0


def test_a_start_state_is_the_part_that_the_calls_need(clone: Path) -> None:
    found = made(clone)
    start = found.entries[1]["start"]["Library"]["db"]
    assert {"ann_3"} < start["users"].keys() and len(start["users"]) == 3  # and two strangers
    assert {"C3", "C7"} <= start["copies"].keys() and len(start["copies"]) == 4
    assert found.entries == made(clone).entries


def test_what_is_left_out_is_told(clone: Path) -> None:
    found = made(clone)
    assert found.left_out == {"1": "no reference call", "3": "no reference call"}
    assert found.dropped.keys() == {"2", "3"}
    assert found.dropped["2"][0].startswith("get_copy: Error during execution: KeyError: 'C99'")


def test_a_clone_that_is_none_is_one_line(clone: Path) -> None:
    with pytest.raises(UserError, match=r"--domain shop: .* there are library"):
        read_domain(clone, "shop")
    with pytest.raises(UserError, match="--domain library: "):
        read_domain(clone / "data", "library")
    folder = clone / "data" / "tau2" / "domains" / "library"
    (folder / "db.json").write_text("[1]")
    with pytest.raises(UserError, match="not the files of a domain of tau2-bench"):
        read_domain(clone, "library")
