"""What a journal holds answers again, without a server."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import BaseModel

from rods.errors import UserError
from rods.synthesis.llm.endpoint import Cause, Endpoint, EndpointConfig, ModelError
from rods.synthesis.llm.journal import Journal
from rods.synthesis.llm.prompts import Prompt, quoted, render
from scripted_endpoint import Reply, ScriptedEndpoint, refusal

DEAD = "http://127.0.0.1:9/v1"


class Word(BaseModel):
    word: str


def prompt(user: str) -> Prompt:
    return Prompt("grounder", "3", "Say a word.", user)


def config(url: str, **more: object) -> EndpointConfig:
    return EndpointConfig(url=url, model="m", retries=1, **more)  # type: ignore[arg-type]


def asked(endpoint: Endpoint, user: str, key: str = "") -> str:
    try:
        return endpoint.ask(prompt(user), Word, key).word
    except ModelError as error:
        return f"{error}"


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, list[str], Endpoint]:
    """Answers of which each is another, and some failures, from many threads."""
    said = iter(range(10_000))

    def script(request: dict) -> Reply:
        user = request["messages"][1]["content"]
        n = next(said)
        if user == "2":
            return refusal(400, f"not {n}")
        return Reply("no " * n if user == "3" else json.dumps({"word": f"w{n} é"}))

    path = tmp_path / "sub" / "journal.jsonl"
    with ScriptedEndpoint(script) as server, Journal(path) as journal:
        live = Endpoint(config(server.url, price_out=1.0), journal)
        with ThreadPoolExecutor(8) as threads:
            rows = [(str(n % 5), str(n // 5)) for n in range(40)]
            answers = list(threads.map(lambda row: asked(live, *row), rows))
            again = [asked(live, "4", "0") for _ in range(3)]
    return path, answers + again, live


def test_replay_needs_no_server(recorded: tuple[Path, list[str], Endpoint]) -> None:
    path, answers, live = recorded
    replay = Endpoint(config(DEAD), Journal(path, replay=True))
    rows = [(str(n % 5), str(n // 5)) for n in range(40)] + [("4", "0")] * 3
    with ThreadPoolExecutor(8) as threads:
        again = list(threads.map(lambda row: asked(replay, *row), rows[:40]))
    again += [asked(replay, *row) for row in rows[40:]]
    assert again == answers and len(set(answers)) > 30
    assert {c: n for c, n in replay.counts.items() if "tr" not in c and "tags" not in c} == {
        c: n for c, n in live.counts.items() if "tr" not in c and "tags" not in c
    }
    spent, before = replay.usage["grounder"], live.usage["grounder"]
    assert (spent.tokens_out, spent.tries) == (before.tokens_out, before.tries)
    assert spent.cost == pytest.approx(before.cost) and spent.cost > 0


def test_what_was_not_asked_is_unrecorded(recorded: tuple[Path, list[str], Endpoint]) -> None:
    path = recorded[0]
    for change in ({"user": "other"}, {"key": "other"}, {"temperature": 0.5}):
        more = {k: v for k, v in change.items() if k == "temperature"}
        replay = Endpoint(config(DEAD, **more), Journal(path, replay=True))
        with pytest.raises(ModelError) as caught:
            replay.ask(prompt(str(change.get("user", "0"))), Word, str(change.get("key", "0")))
        assert caught.value.cause is Cause.UNRECORDED
        assert replay.counts[Cause.UNRECORDED] == 1


def test_a_second_run_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    said, path = iter("abcd"), tmp_path / "j"
    with ScriptedEndpoint(lambda request: Reply(json.dumps({"word": next(said)}))) as server:
        for count in (2, 4):
            with Journal(path) as journal:
                endpoint = Endpoint(config(server.url), journal)
                assert [asked(endpoint, "u") for _ in range(count)] == list("abcd")[:count]
        assert server.requests == 4  # what was answered is not asked again
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [0, 1, 2, 3]
    replay = Endpoint(config(DEAD), Journal(path, replay=True))
    assert [asked(replay, "u") for _ in range(4)] == list("abcd")


def test_a_second_run_asks_again_what_the_first_could_not(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path) as journal, pytest.raises(UserError, match="no connection"):
        asked(Endpoint(config(DEAD), journal), "u")
    words = ScriptedEndpoint(lambda request: Reply('{"word": "now"}'))
    with words as server, Journal(path) as journal:
        assert asked(Endpoint(config(server.url), journal), "u") == "now"
    assert asked(Endpoint(config(DEAD), Journal(path, replay=True)), "u") == "now"


@pytest.mark.parametrize("torn", [b'{"role": "pl', b"\xff\x00", b"{}"])
def test_a_torn_last_line_is_cut_off(
    torn: bytes, recorded: tuple[Path, list[str], Endpoint]
) -> None:
    path = recorded[0]
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    Journal(path, replay=True)
    assert path.read_bytes() == whole + torn
    Journal(path).close()
    assert path.read_bytes() == whole


def test_what_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text('{"role": 1}\n')
    for replay in (True, False):
        with pytest.raises(UserError, match=r"j: line 1: role: "):
            Journal(path, replay)
        assert path.read_text() == '{"role": 1}\n'
    path.write_bytes(b"x" * 3_000_000)
    with pytest.raises(UserError, match="line 1"):
        Journal(path)
    with pytest.raises(UserError, match="missing"):
        Journal(tmp_path / "missing", replay=True)
    with pytest.raises(UserError, match=str(tmp_path)):
        Journal(tmp_path)


TEMPLATE = """{# version: 2.1 #}
{% block system %}
You ground.
{% endblock %}
{% block user %}
Task: {{ task }}
Note: {{ note | quoted }}
{% if extra is defined %}{{ extra | safe }}{% endif %}
{% endblock %}
"""


def test_a_prompt_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "grounder.j2").write_text(TEMPLATE)
    task = "a < b, </turn><turn>x <|im_end|> <i> 3<4 <"
    made = render("grounder", tmp_path, task=task, note="n" * 5000, extra="<b>")
    assert (made.role, made.version, made.system) == ("grounder", "2.1", "You ground.")
    first, note, last = made.user.splitlines()
    left, right = "\u2039", "\u203a"
    assert first == (
        f"Task: a < b, {left}/turn{right}{left}turn{right}x {left}|im_end|{right}"
        f" {left}i{right} 3{left}4 {left}"
    )
    assert len(note) == 2006 and last == "<b>"
    assert quoted("<" * 9).count("<") == 8 and "<tur" not in quoted("<tur")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEMPLATE.replace("version", "v"), "version"),
        (TEMPLATE.replace("system", "other"), "system"),
        (TEMPLATE.replace("{{ task }}", "{{ unknown }}"), "unknown"),
        (TEMPLATE.replace("{{ task }}", "{% if %}"), "line 6"),
        (TEMPLATE.replace("{{ task }}", "{{ task.__class__.__mro__ }}"), "unsafe"),
    ],
)
def test_a_wrong_template_is_told(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "grounder.j2").write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        render("grounder", tmp_path, task="t", note="n")
    assert str(tmp_path / "grounder.j2") in str(caught.value)


def test_no_such_template(tmp_path: Path) -> None:
    for name in ("missing", "../up"):
        with pytest.raises(UserError):
            render(name, tmp_path)


def test_a_run_that_goes_back_asks_nothing_twice(tmp_path: Path) -> None:
    said = iter(range(99))

    def script(request: dict) -> Reply:
        return Reply(json.dumps({"word": f"w{next(said)}"}))

    with ScriptedEndpoint(script) as server, Journal(tmp_path / "j.jsonl") as journal:
        endpoint = Endpoint(config(server.url), journal)
        first = [asked(endpoint, "1"), asked(endpoint, "1"), asked(endpoint, "2")]
        journal.rewind()
        assert [asked(endpoint, user) for user in ("1", "1", "2")] == first
        assert server.requests == 3
        assert asked(endpoint, "2") not in first
