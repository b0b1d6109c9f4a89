"""The retail tools and tasks of tau2-bench as an environment and seed tasks.

Nothing of tau2-bench is part of this repository: clone it, and name the clone.

    git clone https://github.com/sierra-research/tau2-bench
    pip install addict deepdiff docstring-parser loguru python-dotenv toml
    export TAU2_BENCH=$PWD/tau2-bench PYTHONPATH=benchmarks
    python benchmarks/tau2_retail.py retail.jsonl
    rods synth --env tau2_retail:Retail --tasks retail.jsonl --count 100 --out made.jsonl

    python benchmarks/tau2_retail.py starts.json --starts 4
    rods synth --cold --env tau2_retail:Retail --start starts.json --count 100 --out cold.jsonl

A task is one request with all calls of the tau2-bench task; its words are what the simulated user
knows and wants. Its start state holds the customers, orders and products that the calls name, those
that belong to them, and two more customers. Tasks that have a call which fails on it, or none, are
left out.

Only the modules of the retail tools are imported. The packages around them would import the whole
framework, with some 20 packages more, and Python 3.12.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

CLONE = Path(os.environ.get("TAU2_BENCH", "tau2-bench"))
PACKAGES = ("", "domains", "domains.retail", "environment")


def _without_framework() -> None:
    """Make the packages of tau2-bench known without what their `__init__` imports."""
    for name in PACKAGES:
        package = ModuleType(f"tau2.{name}".rstrip("."))
        package.__path__ = [str(CLONE.joinpath("src", "tau2", *name.split(".")))]
        sys.modules.setdefault(package.__name__, package)


_without_framework()
try:
    from tau2.domains.retail.data_model import RetailDB  # type: ignore[import-not-found]
    from tau2.domains.retail.tools import RetailTools  # type: ignore[import-not-found]
    from tau2.environment.toolkit import TOOL_ATTR  # type: ignore[import-not-found]
except ModuleNotFoundError as _error:
    raise SystemExit(f"TAU2_BENCH={CLONE}: name a clone of tau2-bench; {_error}") from None

State = dict[str, dict[str, Any]]
DATA = Path("data", "tau2", "domains", "retail")
CUSTOMERS = 6  # in a start state without calls
STRANGERS = 2  # customers in a start state with whom the calls have nothing to do
LEFT_OUT = {"transfer_to_human_agents"}  # it ends the conversation


class Retail:
    """An online shop: customers, their orders, and the products."""

    def __init__(self) -> None:
        self.set_state({"products": {}, "users": {}, "orders": {}})

    def set_state(self, state: State) -> None:
        """Begin anew from this state."""
        self._tools = RetailTools(RetailDB.model_validate(state))

    def get_state(self) -> State:
        """The present state."""
        found: State = self._tools.db.model_dump(mode="json")
        return found


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Retail, *args: Any, **named: Any) -> Any:
        found = getattr(self._tools, function.__name__)(*args, **named)
        return found if isinstance(found, str | int | float) else found.model_dump(mode="json")

    functools.update_wrapper(method, function)
    method.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return method


TOOLS = {
    name: _method(function)
    for name, function in vars(RetailTools).items()
    if hasattr(function, TOOL_ATTR) and name not in LEFT_OUT
}
for _name, _tool in TOOLS.items():
    setattr(Retail, _name, _tool)


def start_state(
    shop: State, calls: list[dict[str, Any]], rng: random.Random, strangers: int = STRANGERS
) -> State:
    """The part of the shop that the calls need, with some further customers."""
    users = {*rng.sample(sorted(shop["users"]), strangers)}
    orders, products = set[str](), set[str]()
    product_of = {item: p for p, found in shop["products"].items() for item in found["variants"]}
    for call in calls:
        arguments = call["arguments"]
        for value in arguments.values():
            for one in value if isinstance(value, list) else [value]:
                if one in shop["orders"]:
                    orders.add(one)
                    users.add(shop["orders"][one]["user_id"])
                elif one in shop["users"]:
                    users.add(one)
                elif one in shop["products"]:
                    products.add(one)
                elif one in product_of:
                    products.add(product_of[one])
        users |= {user for user, row in shop["users"].items() if _asked_for(row, call)}
    orders |= {order for user in users for order in shop["users"][user]["orders"]}
    products |= {item["product_id"] for order in orders for item in shop["orders"][order]["items"]}
    named = {"users": users, "orders": orders, "products": products}
    return {kind: {key: shop[kind][key] for key in sorted(keys)} for kind, keys in named.items()}


def _asked_for(user: dict[str, Any], call: dict[str, Any]) -> bool:
    """Whether a call looks for this customer by name or by email."""
    arguments, name = call["arguments"], user["name"]
    if call["name"] == "find_user_id_by_email":
        return bool(user["email"] == arguments["email"])
    return call["name"] == "find_user_id_by_name_zip" and all(
        name[part] == arguments[part] for part in ("first_name", "last_name")
    )


def seed_tasks() -> Iterator[dict[str, Any]]:
    """The tasks of tau2-bench whose calls all execute."""
    data, rng = CLONE / DATA, random.Random(0)
    shop = json.loads((data / "db.json").read_text("utf-8"))
    for task in json.loads((data / "tasks.json").read_text("utf-8")):
        calls = task["evaluation_criteria"]["actions"]
        if not calls or any(call["name"] not in TOOLS for call in calls):
            continue
        start = start_state(shop, calls, rng)
        if _executes(start, calls):
            wants = task["user_scenario"]["instructions"]
            said = " ".join(filter(None, (wants["known_info"], wants["reason_for_call"])))
            turn = {"user": said, "calls": [*map(_written, calls)]}
            yield {"id": f"retail_{task['id']}", "start": {"Retail": start}, "turns": [turn]}


def start_states(count: int) -> list[State]:
    """Parts of the shop for a cold start: some customers each, with their orders and products."""
    rng = random.Random(0)
    shop = json.loads((CLONE / DATA / "db.json").read_text("utf-8"))
    return [{"Retail": start_state(shop, [], rng, CUSTOMERS)} for _ in range(count)]


def _executes(start: State, calls: list[dict[str, Any]]) -> bool:
    shop = Retail()
    shop.set_state(start)
    try:
        for call in calls:
            getattr(shop, call["name"])(**call["arguments"])
    except Exception:  # whatever a tool raises
        return False
    return True


def _written(call: dict[str, Any]) -> str:
    return f"{call['name']}({', '.join(f'{k}={v!r}' for k, v in call['arguments'].items())})"


def main() -> None:
    """Write the seed tasks, or start states."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("--starts", type=int, default=0, help="write so many start states instead")
    given = parser.parse_args()
    if given.starts:
        given.out.write_text(json.dumps(start_states(given.starts)) + "\n", "utf-8")
        print(f"{given.starts} start states in {given.out}")
        return
    rows = [json.dumps(task) for task in seed_tasks()]
    given.out.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    print(f"{len(rows)} tasks in {given.out}")


if __name__ == "__main__":
    main()
