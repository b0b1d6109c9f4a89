"""What is written: plain files whole, and devices, pipes, links and mounts as what they are."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from commandline import RODS, Done, refused
from doubles import make_task
from rods.errors import UserError
from rods.files.output import Output
from rods.files.tasks import read_tasks, write_tasks
from runs import Runs
from scripted_endpoint import Reply, ScriptedEndpoint
from small_shop import OPTIONS

SIMULATE = ("simulate", "--tasks", 8, "--steps", 4, "--seeds", 1, "--arm", "static")


def synth(out: object, count: int = 2) -> tuple[object, ...]:
    return ("synth", "--count", count, "--seed", 5, "--workers", 1, *OPTIONS, "--out", out)


def null_device(path: Path) -> None:
    """A device like /dev/null, where the test may lose it."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        path.open("w").close()
    except PermissionError:
        pytest.skip("no devices can be made or opened here")


@pytest.mark.parametrize("command", [synth, lambda out: (*SIMULATE, "--out", out)])
def test_a_device_stays_a_device(rods: Any, shop: Path, command: Callable[..., Any]) -> None:
    null_device(shop / "null")
    before = set(shop.iterdir())
    done = rods(*command(shop / "null"))
    assert done.code == 0, done.err
    assert stat.S_ISCHR((shop / "null").stat().st_mode)
    assert set(shop.iterdir()) - before <= {shop / "__pycache__"}


def through_pipe(path: Path, write: Callable[[], Any]) -> bytes:
    """What a reader of a named pipe gets."""
    os.mkfifo(path)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(path.read_bytes()), daemon=True)
    reader.start()
    write()
    reader.join(60)
    assert stat.S_ISFIFO(path.stat().st_mode)
    return b"".join(seen)


def test_pipes_are_written_through(rods: Any, shop: Path) -> None:
    assert rods(*synth("plain.jsonl")).code == 0
    plain = (shop / "plain.jsonl").read_bytes()
    assert plain.count(b"\n") == 2
    assert through_pipe(shop / "pipe", lambda: rods(*synth("pipe"))) == plain
    assert not list(shop.glob("pipe.*"))


def test_standard_output_gets_the_tasks_alone(rods: Any, shop: Path) -> None:
    assert rods(*synth("plain.jsonl")).code == 0
    command = [RODS, *map(str, synth("/dev/stdout"))]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == (shop / "plain.jsonl").read_bytes()
    assert b"2 tasks" in done.stderr
    with (shop / "redirected").open("wb") as file:
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True)
    assert (shop / "redirected").read_bytes() == done.stdout


def test_standard_output_gets_the_page_alone() -> None:
    command = [RODS, *map(str, (*SIMULATE, "--json", "--out", "/dev/stdout"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("<!doctype html>") and done.stdout.rstrip().endswith("</html>")
    assert json.loads(done.stderr)


@pytest.mark.slow
def test_open_streams_are_written_where_they_stand(rods: Any, shop: Path) -> None:
    assert rods(*synth("plain.jsonl")).code == 0
    plain = (shop / "plain.jsonl").read_text()
    (shop / "link").symlink_to("/dev/fd/1")
    for out, name in (("/dev/stdout", "one"), ("/proc/self/fd/1", "two"), ("link", "three")):
        command = shlex.join([RODS, *map(str, synth(out))])
        subprocess.run(f"(echo head; {command}; echo foot) >{name} 2>/dev/null", shell=True)
        assert (shop / name).read_text() == f"head\n{plain}foot\n"
        subprocess.run(f"{command} >>{name} 2>/dev/null", shell=True, check=True)
        assert (shop / name).read_text() == f"head\n{plain}foot\n{plain}"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [RODS, *map(str, synth("/dev/stdout"))]
        subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
        assert ours.recv(len(plain) + 1).decode() == plain


@pytest.mark.parametrize(
    "command",
    [synth, pytest.param(lambda out: (*SIMULATE, "--out", out), marks=pytest.mark.slow)],
)
def test_streams_that_are_not_open_for_writing_are_refused(
    shop: Path, command: Callable[..., Any]
) -> None:
    before = (shop / "shop.py").read_text()
    for out, redirection in (
        ("/dev/fd/9", "9>&-"),
        ("/dev/fd/3", "3>&-"),  # a number that the process itself uses later
        ("/dev/fd/7", "7<shop.py"),
        ("/dev/stdin", "<shop.py"),
    ):
        line = f"{shlex.join([RODS, *map(str, command(out))])} {redirection}"
        done = subprocess.run(line, shell=True, capture_output=True, text=True)
        refused(Done(done.returncode, done.stdout, done.stderr), out, "cannot be written")
    assert (shop / "shop.py").read_text() == before


def test_what_a_command_reads_is_not_overwritten(rods: Any, shop: Path, runs: Runs) -> None:
    before = (shop / "tasks.jsonl").read_bytes()
    (shop / "link").symlink_to("tasks.jsonl")
    for name in ("tasks.jsonl", "link", str(shop / "tasks.jsonl")):
        refused(rods(*synth(name)), name, "something else")
    assert (shop / "tasks.jsonl").read_bytes() == before
    model = ("--backend", "llm", "--url", "http://127.0.0.1:1/v1", "--model", "m")
    refused(rods(*synth("a"), *model, "--journal", "a"), "something else")
    run = shutil.copytree(runs.root / "whole", shop / "run")
    stored = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    refused(rods("report", run, "--out", run / "metrics.jsonl"), "something else")
    for command in (("report", run, "--out"), (*SIMULATE, "--out"), synth("")[:-1]):
        refused(rods(*command, run / "run.sqlite"), "database")
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == stored


def test_files_of_others_are_left_alone(rods: Any, shop: Path) -> None:
    model = ("--backend", "llm", "--url", "http://127.0.0.1:1/v1", "--model", "m")
    for name, command in (
        ("a.part", synth("a")),
        ("notes", (*synth("b"), *model, "--journal", "notes")),
    ):
        (shop / name).write_text('{"my": "notes"}')  # a line without an end, as one torn off has
        refused(rods(*command), name, "line 1: not ")
        assert (shop / name).read_text() == '{"my": "notes"}'
    long = "x" * 245  # with an ending it is too long
    refused(rods(*synth(long)), long, "too long")


def test_seeds_that_can_be_read_once_are_refused(rods: Any, shop: Path) -> None:
    os.mkfifo(shop / "pipe")
    command = ("synth", "--count", 2, "--env", "shop:Shop", "--out", "a", "--tasks")
    refused(rods(*command, "pipe"), "pipe", "plain file")
    refused(rods(*command, "nothing"), "nothing", "No such file")
    refused(rods(*command, "."), "cannot be read")


def test_export_by_a_link_in_a_circle(rods: Any, shop: Path) -> None:
    assert rods(*synth("t.jsonl")).code == 0
    (shop / "circle").symlink_to("circle")
    export = ("export", "t.jsonl", "--format", "trl", "--env", "shop:Shop", "--out")
    refused(rods(*export, "circle"), "circle")
    train = ("train", *OPTIONS, "--preset", "tiny", "--run")
    for name in ("n" * 300, os.fsdecode(b"n\xff")):
        refused(rods(*train, name), "name")


def test_a_journal_has_one_writer(rods: Any, shop: Path) -> None:
    model = ("--backend", "llm", "--model", "m", "--journal", "journal", "--url")
    with ScriptedEndpoint(lambda request: Reply(hang=True)) as server:
        command = [RODS, *map(str, (*synth("a"), *model, server.url))]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as first:
            try:
                while not server.requests:
                    assert first.poll() is None
                refused(rods(*synth("b"), *model, server.url), "journal", "another process")
                assert (shop / "journal").exists(), "the first one's"
            finally:
                first.kill()


@pytest.mark.parametrize("old", [True, False], ids=["to a file", "dangling"])
@pytest.mark.parametrize("links", [1, 2])
@pytest.mark.parametrize(
    "write",
    [
        lambda rods, out: rods(*synth(out)).code,
        lambda rods, out: rods(*SIMULATE, "--out", out).code,
        lambda rods, out: write_tasks(out, [make_task("x")]),
    ],
    ids=["synth", "simulate", "tasks"],
)
def test_links_are_followed(rods: Any, shop: Path, write: Any, links: int, old: bool) -> None:
    (shop / "real").mkdir()
    target = shop / "real" / "file"
    if old:
        target.write_text("old\n")
    for number in range(links):
        (shop / f"link{number}").symlink_to(shop / f"link{number - 1}" if number else "real/file")
    assert not write(rods, shop / f"link{links - 1}")
    assert all((shop / f"link{number}").is_symlink() for number in range(links))
    assert target.is_file() and target.stat().st_size > 10
    assert {p.name for p in target.parent.iterdir()} <= {"file", "file.given_up.jsonl"}


def test_what_cannot_be_written_is_told_before_any_work(rods: Any, shop: Path) -> None:
    (shop / "circle").symlink_to("circle")
    (shop / "folder").mkdir()
    for name, why in (
        ("folder", "is a folder"),
        ("shop.py/x", "Not a directory"),
        ("circle", "cannot be written"),
        ("n" * 300, "too long"),
    ):
        refused(rods(*synth(name)), name, why)
        refused(rods(*SIMULATE, "--out", name), name, why)
    assert not list((shop / "folder").iterdir())


def refusal_without_privileges(path: Path) -> str:
    """What is said of an output by a process that root's rights do not help."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            Output(path).write("new")
        except UserError as error:
            os.write(theirs, str(error).encode())
        os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with open(ours) as said:
        return said.read()


def test_protected_files_stay() -> None:
    with TemporaryDirectory() as name:  # those of the tests can be entered by their user alone
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "file").write_text("old")
        (folder / "file").chmod(0o444)
        assert "file: cannot be written: Permission denied" in refusal_without_privileges(
            folder / "file"
        )
        assert (folder / "file").read_text() == "old"
        assert refusal_without_privileges(folder / "other") == ""
        assert (folder / "other").read_text() == "new"
        assert {path.name for path in folder.iterdir()} == {"file", "other"}


def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    def pieces() -> Iterator[str]:
        yield "new"
        raise RuntimeError

    (tmp_path / "file").write_text("old")
    with pytest.raises(RuntimeError):
        Output(tmp_path / "file").write(pieces())
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file", "old")]


def test_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o640)
    Output(path).write("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    umask = os.umask(0o027)
    try:
        Output(tmp_path / "other").write("new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o640


def test_a_full_device_is_one_line(rods: Any, shop: Path) -> None:
    if not stat.S_ISCHR(os.stat("/dev/full").st_mode):
        pytest.skip("no /dev/full")
    refused(rods(*synth("/dev/full")), "/dev/full", "No space left")
    with pytest.raises(UserError, match="No space left"):
        write_tasks(Path("/dev/full"), [make_task("x")])


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts at a place in the test's folder."""
    made: list[Path] = []

    def mount(place: Path, *options: str) -> Path:
        done = subprocess.run(["mount", *options, str(place)], capture_output=True)
        if done.returncode:
            pytest.skip("nothing can be mounted here")
        made.append(place)
        return place

    yield mount
    for place in made:
        subprocess.run(["umount", str(place)], check=True)


def test_a_folder_that_is_a_mount_is_filled(
    rods: Any, shop: Path, mounted: Callable[..., Path]
) -> None:
    (shop / "place").mkdir()
    place = mounted(shop / "place", "-t", "tmpfs", "none")
    assert rods(*synth("t.jsonl")).code == 0
    export = ("export", "t.jsonl", "--format", "trl", "--out", place, "--env", "shop:Shop")
    done = rods(*export)
    assert done.code == 0, done.err
    assert os.path.ismount(place)
    elsewhere = shop / "elsewhere"
    assert rods(*export[:5], elsewhere, *export[6:]).code == 0
    assert {p.name: p.read_bytes() for p in place.iterdir()} == {
        p.name: p.read_bytes() for p in elsewhere.iterdir()
    }
    refused(rods(*export), "not empty")


def test_a_file_that_is_a_mount_is_written_in_place(
    rods: Any, shop: Path, mounted: Callable[..., Path]
) -> None:
    (shop / "real").write_text("old")
    (shop / "file").touch()
    mounted(shop / "file", "--bind", str(shop / "real"))
    assert rods(*synth("file")).code == 0
    assert len(read_tasks(shop / "real")) == 2
    assert (shop / "real").read_bytes() == (shop / "file").read_bytes()


def test_one_writer_at_a_time(rods: Any, shop: Path) -> None:
    command = [RODS, *map(str, synth("a.jsonl", 100_000))]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as first:
        while not (shop / "a.jsonl.part").exists() or not (shop / "a.jsonl.part").stat().st_size:
            assert first.poll() is None
        (shop / "link").symlink_to("a.jsonl")
        for name in ("a.jsonl", "link"):
            refused(rods(*synth(name, 100_000)), name, "another process")
        first.kill()
    (shop / "a.jsonl.part").unlink()
    assert rods(*synth("a.jsonl")).code == 0
    assert len({task.id for task in read_tasks(shop / "a.jsonl")}) == 2
