"""A person plays the agent (`rods play`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rods.envs.base import Environment
from rods.envs.calls import Bounds, CallError
from rods.envs.notation import parse_calls
from rods.reward import trusted_trace
from rods.rollout.episode import Action, Episode, EpisodeLimits
from rods.rollout.messages import lines as lines_of
from rods.task import Task
from rods.terminal import visible

MAX_SHOWN = 4_000  # characters of one message
LIMITS = EpisodeLimits(attempts=100, malformed=100)  # a person types call by call, and mistypes


def play(task: Task, env: Environment, lines: Iterable[str], show: Callable[[str], None]) -> float:
    """Play one episode from lines of calls; an empty line ends the turn. Returns the progress.

    Args:
        lines: what the person types; at their end the episode is given up.
        show: called with each line to print, which is safe for a terminal.

    Raises:
        UserError: the task cannot be opened, or its ground truth cannot be replayed.
    """
    episode = Episode(task, env, trusted_trace(task, env), LIMITS)
    tools, known = env.tools(task), 0
    for name in sorted(set(tools) - set(task.withheld)):
        show(f"  {name}({', '.join(tools[name].parameters)})")
    for kind, said in episode.conversation.lines():
        _show_message(kind, said, show)
    for line in lines:
        text, turn = line.strip(), episode.turn
        try:
            action = Action(calls=parse_calls(text, tools, Bounds())) if text else Action()
        except CallError as error:
            action = Action(malformed=str(error))
        seen = episode.act(action, text)
        if episode.turn > known:
            verdict = episode.verdicts[turn]
            state, answers = ("ok" if passed else "--" for passed in (verdict.state, verdict.exec))
            show(f"[turn {turn + 1} of {len(task.turns)}: state {state}, responses {answers}]")
            known = episode.turn
        for kind, said in lines_of(seen):
            _show_message(kind, said, show)
        if episode.ending is not None:
            break
    else:
        show("[given up: turns not reached count as failed]")
        episode.close()
    if episode.ending is not None:
        show(f"[{episode.ending.value}]")
    show(f"[progress {episode.progress:.3f}{', complete' if episode.complete else ''}]")
    return episode.progress


def _show_message(kind: str, text: str, show: Callable[[str], None]) -> None:
    marks = {"tools": "now on offer", "tool": "<", "error": "!"}
    if kind == "assistant":
        return
    cut = text[:MAX_SHOWN] + ("..." if len(text) > MAX_SHOWN else "")
    safe = visible(cut)
    if kind == "tools" and len(cut.split()) > 8:
        safe = f"{len(cut.split())} tools"
    show(f"{marks.get(kind, kind)}: {safe}")
