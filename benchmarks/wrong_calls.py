"""Ground-truth calls made wrong, each with what a good hint on it would name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rods.envs.base import Environment, Observation, Session
from rods.task import Call, Task, ToolSpec


@dataclass(frozen=True)
class Failure:
    """A call that failed where the ground truth's did not.

    Attributes:
        kind: how it was made wrong.
        wanted: the argument, or the tool, that a good hint names.
        seen: the user's words and the responses up to here.
        visible: `seen`, the documents of the tools on offer and the agent's own call.
    """

    task: Task
    kind: str
    wanted: str
    call: Call
    observation: Observation
    session: Session
    offered: dict[str, ToolSpec]
    seen: str
    visible: str


def corrupted(call: Call, tool: ToolSpec) -> Iterator[tuple[str, str, Call]]:
    """Kind, what a hint should name, and the call made wrong."""
    given = call.arguments
    yield "unknown tool", call.name, call.model_copy(update={"name": misspelt(call.name)})
    for name, value in given.items():
        rest = {k: v for k, v in given.items() if k != name}

        def changed(new: Any, name: str = name) -> Call:
            return Call.model_construct(name=call.name, arguments=given | {name: new})

        if name in tool.required:
            yield "missing argument", name, Call.model_construct(name=call.name, arguments=rest)
        renamed = rest | {misspelt(name): value}
        yield "unknown argument", name, Call.model_construct(name=call.name, arguments=renamed)
        if isinstance(value, str):
            yield "wrong type", name, changed(7)
            yield "wrong type", name, changed([value])
            if len(value) >= 3:
                yield "wrong value", name, changed(misspelt(value))
        elif isinstance(value, bool):
            yield "wrong type", name, changed("perhaps")
        elif isinstance(value, int | float):
            yield "wrong type", name, changed("several")
            yield "wrong value", name, changed(value + 98_765)
            yield "wrong value", name, changed(-1 - value)


def misspelt(word: str) -> str:
    """One letter in the middle doubled and the next one lost; short words keep theirs."""
    at = len(word) // 2 if len(word) > 4 else 0
    return f"{word[:at]}{word[at - 1 : at]}{word[at + bool(at) :]}x"


def failures(task: Task, env: Environment, skips: int = 99, every: int = 1) -> Iterator[Failure]:
    """All failures around the task's ground truth.

    Args:
        skips: how many calls back one may be left out, for failed preconditions.
        every: only each so manieth trial, beginning anew at each call's place in the task.
    """
    tools = env.tools(task)
    offered = {n: t for n, t in tools.items() if n not in task.withheld}
    session, seen, done = env.open(task), "", list[Call]()
    for turn in task.turns:
        offered |= {n: t for n, t in tools.items() if n in turn.restores}
        docs = "\n".join(_document(t.name, env.name, t) for t in offered.values())
        seen += f"\n{turn.user}"
        for call in turn.ground_truth:
            trials = [(k, w, c, session) for k, w, c in corrupted(call, tools[call.name])]
            if done and session.fork().call(call).ok:
                for at in range(max(0, len(done) - skips), len(done)):
                    trials.append(
                        ("call skipped", done[at].name, call, _without(task, env, done, at))
                    )
            scratch = session.fork()
            for kind, wanted, wrong, where in trials[len(done) % every :: every]:
                if where is session:
                    where = scratch
                got = where.call(wrong)
                if got.ok:
                    scratch = session.fork()  # it may have changed something
                    continue
                visible = f"{seen}\n{docs}\n{wrong}"
                yield Failure(task, kind, wanted, wrong, got, where, offered, seen, visible)
            seen += f"\n{session.call(call).text}"
            done.append(call)


_documents: dict[tuple[str, str], str] = {}


def _document(name: str, of: str, tool: ToolSpec) -> str:
    if (of, name) not in _documents:
        _documents[of, name] = tool.model_dump_json()
    return _documents[of, name]


def gold_values(task: Task) -> set[str]:
    """What a hint may not tell: strings of three letters or more, numbers beyond ten."""
    found: set[str] = set()
    stack: list[Any] = [call.arguments for call in task.calls]
    while stack:
        item = stack.pop()
        if isinstance(item, dict | list | tuple):
            stack += item.values() if isinstance(item, dict) else item
        elif isinstance(item, str):
            found |= {item} if len(item) >= 3 else set()
        elif item is not None and abs(item) > 10:
            found.add(str(item))
    return found


def leaked(hint: str, gold: set[str], visible: str) -> list[str]:
    """Gold values that stand in a hint though the agent has not been shown them."""
    return sorted(v for v in gold if v in hint and v not in visible)


def _without(task: Task, env: Environment, done: list[Call], at: int) -> Session:
    session = env.open(task)
    for call in done[:at] + done[at + 1 :]:
        session.call(call)
    return session
