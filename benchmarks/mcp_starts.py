"""Servers of the registries for the benchmarks of MCP, with the files that they start from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIBRARY = HERE.parent / "examples" / "lending"
CTIME = r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d: ]+(?:GMT\S*)?(?: \([^)]*\))?"
PEOPLE = (
    ("Ann", "likes tea", "Oslo"), ("Bob", "likes hiking", "Rome"), ("Cid", "plays chess", "Lima"),
    ("Dora", "sings alto", "Rome"), ("Eva", "paints walls", "Oslo"), ("Fay", "likes tea", "Lima"),
    ("Gus", "bakes bread", "Rome"), ("Hal", "plays chess", "Oslo"), ("Ida", "sings bass", "Lima"),
    ("Jon", "likes hiking", "Oslo"),
)  # fmt: skip
SHOP = """
CREATE TABLE products(id INTEGER PRIMARY KEY, name TEXT, price REAL, stock INTEGER);
INSERT INTO products VALUES(1,'lamp',20.0,4),(2,'desk',120.0,2),(3,'chair',60.0,9);
CREATE TABLE orders(id INTEGER PRIMARY KEY, product_id INTEGER, quantity INTEGER);
INSERT INTO orders VALUES(1,1,3),(2,3,8);
CREATE TABLE suppliers(id INTEGER PRIMARY KEY, name TEXT, city TEXT);
INSERT INTO suppliers VALUES(1,'Dahl','Oslo'),(2,'Rossi','Rome');
CREATE TABLE staff(id INTEGER PRIMARY KEY, name TEXT, role TEXT, wage REAL);
INSERT INTO staff VALUES(1,'Mia','clerk',20),(2,'Leo','driver',19),(3,'Noor','clerk',21);
"""


def notes(folder: Path) -> None:
    (folder / "plans").mkdir(parents=True)
    (folder / "list.txt").write_text("Buy milk\n")
    (folder / "plans" / "trip.md").write_text("Rome in May\n")


def graph(folder: Path) -> None:
    folder.mkdir()
    with (folder / "graph.jsonl").open("w") as file:
        for name, first, city in PEOPLE:
            seen = [first, f"lives in {city}"]
            row = {"type": "entity", "name": name, "entityType": "person", "observations": seen}
            file.write(json.dumps(row) + "\n")
        for (one, *_), (other, *_) in pairwise(PEOPLE):
            row = {"type": "relation", "from": one, "to": other, "relationType": "knows"}
            file.write(json.dumps(row) + "\n")


def shop(folder: Path) -> None:
    folder.mkdir()
    base = sqlite3.connect(folder / "shop.db")
    base.executescript(SHOP)
    base.close()


SERVERS: dict[str, tuple[str, Callable[[Path], None], dict[str, Any], dict[str, Any]]] = {
    "filesystem": (
        "node_modules/.bin/mcp-server-filesystem",
        notes,
        {"args": ["${folder}"]},
        {"mask": {"time": CTIME}},
    ),
    "memory": (
        "node_modules/.bin/mcp-server-memory",
        graph,
        {"env": {"MEMORY_FILE_PATH": "${folder}/graph.jsonl"}},
        {"state": {"calls": ["read_graph()"]}},
    ),
    "sqlite": (
        "sqlite/bin/mcp-server-sqlite",
        shop,
        {"args": ["--db-path", "shop.db"]},
        {"errors": ["^(Database e|E)rror"], "tools": [
            "read_query", "write_query", "create_table", "list_tables", "describe_table"]},
    ),
}  # fmt: skip


def prepared(name: str, installed: Path, work: Path) -> Path | None:
    """The file of a server, with its template; None if it is not installed."""
    file, folder = work / f"{name}.json", work / f"{name}-start"
    if name == "library":
        return LIBRARY / "servers.json"
    program, fill, more, given = SERVERS[name]
    command = installed.absolute() / program
    if not command.exists():
        return None
    if not folder.exists():
        fill(folder)
    entry = {"command": str(command), **more}
    settings = {"template": folder.name, "reset": "folder", **given}
    content = {"mcpServers": {name: entry}, "rods": {"servers": {name: settings}}}
    file.write_text(json.dumps(content, indent=1))
    return file


def seed_tasks(name: str) -> Path:
    """The file of seed tasks of a server."""
    return LIBRARY / "tasks.yaml" if name == "library" else HERE / "mcp_tasks" / f"{name}.yaml"
