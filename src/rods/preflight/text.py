"""The findings of a dry run as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from rods.terminal import Screen, visible

GIB = 2**30
Facts = Mapping[str, Any]
SECTIONS = (
    "policy",
    "rollout",
    "boundary",
    "pool",
    "synthesis",
    "optimizer",
    "evaluation",
    "hardware",
)
SPREAD = ("tasks", "mean", "median", "p90", "p99", "most")


def show(facts: Facts, screen: Screen) -> None:
    """Print all sections that there are.

    Raises:
        OutputError: the stream cannot be written.
    """
    parts: dict[str, Callable[[Facts], Iterable[Table]]] = {
        "renderer": _renderer,
        "prompts": _lengths,
        "memory": _memory,
        "schedule": _schedule,
    }
    for line in _settings(facts["settings"]):
        screen.say(line)
    for name, tables in parts.items():
        if name in facts:
            for table in tables(facts):
                screen.show(table)
    screen.show(_synthesis(facts["synthesis"]))
    screen.show(_machine(facts["machine"]))
    for note in facts["notes"]:
        screen.say(f"Note: {note}.")
    if "renderer" not in facts:
        screen.say("Tokens, memory and hours are estimated for policy.name=model only.")


def _settings(settings: Facts) -> Iterable[str]:
    yield f"preset {settings['preset']}, arm {settings['arm']}, seed {settings['seed']}"
    yield f"steps: {settings['steps']}"
    for number, stage in enumerate(settings["stages"], 1):
        yield f"stage {number}: {_listed(stage)}"
    for name in SECTIONS:
        yield f"{name}: {_listed(settings[name])}"


def _renderer(facts: Facts) -> Iterable[Table]:
    found, table = facts["renderer"], _pairs("renderer")
    _row(table, "family, dialect, calls", [found[k] for k in ("family", "dialect", "notation")])
    _row(table, "tokenizer", found["tokenizer"])
    _row(table, "template, sha256", found["template_sha256"])
    _row(table, "stop tokens", found["stop_tokens"])
    _row(table, "tool documents", f"{found['tool_docs']}, {found['examples']} examples")
    _row(table, "calls read as written", f"of all {found['tasks_read_back']} ground truths")
    equal = found["episodes_compared"] - len(found["episodes_unequal"])
    _row(table, "equal to the template", f"{equal} of {found['episodes_compared']} whole episodes")
    return [table]


def _lengths(facts: Facts) -> Iterable[Table]:
    rollout = facts["settings"]["rollout"]
    for what, title in (
        ("prompts", f"tokens of prompts (limit {rollout['token_budget']:,})"),
        ("episodes", f"tokens of whole ground truths (limit {rollout['token_budget']:,})"),
        ("actions", f"longest action of ground truths (limit {rollout['action_tokens']:,})"),
        ("turn_calls", f"most calls of a turn (limit {rollout['attempts']:,} actions)"),
    ):
        columns = [Column(name, justify="right") for name in SPREAD]
        table = Table(title, *columns, "longest", "too long", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        found = facts[what]
        for side, row in found["sides"].items():
            table.add_row(side, *_numbers(row), "", str(len(found["too_long"][side])))
        for category, row in found["categories"].items():
            table.add_row(visible(category), *_numbers(row), visible(row["longest"]), "")
        yield table


def _numbers(row: Facts) -> list[str]:
    return [f"{row[name]:,.0f}" for name in SPREAD]


def _memory(facts: Facts) -> Iterable[Table]:
    found, model = facts["memory"], facts["model"]
    hardware = facts["settings"]["hardware"]
    each = "GPU" if hardware["gpus"] else "process"
    table = Table(
        f"GiB of each {each}, estimated",
        *(Column(name, justify="right") for name in ("training", "generation")),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    both = [(name, size, size) for name, size in found["always"].items()]
    one = [(name, size, 0.0) for name, size in found["training"].items()]
    two = [(name, 0.0, size) for name, size in found["generation"].items()]
    for name, *sizes in (*both, *one, *two):
        if any(sizes):
            table.add_row(name, *(f"{size / GIB:.1f}" if size else "" for size in sizes))
    sums = [
        sum(found["always"].values()) + sum(found[p].values()) for p in ("training", "generation")
    ]
    table.add_row("sum", *(f"{size / GIB:.1f}" for size in sums), style="bold")
    yield table
    more = _pairs("of these")
    _row(more, "parameters", f"{model['parameters']:,} ({model['source']})")
    if model["adapters"]:
        _row(more, "of adapters", f"{model['adapters']:,}")
    _row(more, "activations without checkpointing", f"{found['plain'] / GIB:.1f} GiB")
    if found["episodes"] is not None:
        _row(more, "whole episodes generated at once", f"{found['episodes']:.1f}")
    _row(more, "a checkpoint on disk", f"{found['checkpoint'] / GIB:.1f} GiB")
    yield more


def _schedule(facts: Facts) -> Iterable[Table]:
    found, hardware = facts["schedule"], facts["settings"]["hardware"]
    stages = Table(
        "schedule",
        *(Column(n, justify="right") for n in ("epochs", "steps", "tasks first", "tasks last")),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, stage in enumerate(facts["settings"]["stages"]):
        some = [epoch for epoch in found["epochs"] if epoch["stage"] == number]
        if some:
            tasks = [sum(e["tasks"][c] for c in e["categories"]) for e in (some[0], some[-1])]
            steps = sum(epoch["steps"] for epoch in some)
            name = f"stage {number + 1}: {stage['reward']}"
            stages.add_row(name, *(f"{n:,}" for n in (len(some), steps, *tasks)))
    yield stages
    work = Table(
        "work, estimated",
        *(Column(n, justify="right") for n in ("trajectories", "generated", "read", "all tokens")),
        Column("hours", justify="right"),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    hours = found["hours"]
    for name, spent in (
        ("training", hours["generation"] + hours["training"]),
        ("measuring", hours["measuring"]),
    ):
        row = found[name]
        counts = (row["trajectories"], row["generated"], row["read"], row["total"])
        work.add_row(name, *(f"{n:,.0f}" for n in counts), f"{spent:.1f}")
    work.add_row("sum", "", "", "", "", f"{sum(hours.values()):.1f}", style="bold")
    yield work
    table = _pairs("assumed")
    count = max(1, hardware["gpus"])
    speeds = f"{hardware['generation']:,.0f} generated, {hardware['training']:,.0f} trained"
    _row(table, "tokens/s of each of " + str(count), speeds)
    _row(table, "pool", "grows as fast as beta and P_max allow, and loses nothing")
    _row(table, "a policy writes", f"{found['more']:g} times the tokens of the ground truth")
    yield table


def _synthesis(found: Facts) -> Table:
    table = _pairs("synthesis")
    _row(table, "by", f"{found['by']}, {found['mode']}")
    if asked := found["endpoint"]:
        answer = "answered" if asked["answered"] else "no answer"
        _row(table, "asked once", f"{asked['model']}: {answer}: {asked['detail']}")
    return table


def _machine(found: Iterable[Facts]) -> Table:
    table = Table("this machine", "", "found", "if missing", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for need in found:
        mend = "" if need["there"] else need["mend"]
        cells = (need["name"], "ok" if need["there"] else "MISSING", need["found"], mend)
        table.add_row(*map(visible, cells))
    return table


def _pairs(title: str) -> Table:
    return Table(title, "", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _row(table: Table, name: str, value: Any) -> None:
    table.add_row(name, visible(_plain(value)))


def _listed(section: Facts) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in section.items())


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return f"({_listed(value)})"
    return " ".join(map(_plain, value)) or "all" if isinstance(value, list) else str(value)
