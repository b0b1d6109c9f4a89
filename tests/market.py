"""A small market, its state, and tasks over it: records, a catalogue, and lists of things."""

from __future__ import annotations

from typing import Any

from rods.envs.notation import parse_calls
from rods.envs.python import PythonEnvironment
from rods.synthesis.meaning.trace import CallTrace
from rods.task import Task, Turn


class Market:
    """Customers, a catalogue, and orders."""

    def __init__(self) -> None:
        self.customers: dict[str, dict[str, Any]] = {}
        self.catalogue: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.basket: list[str] = []
        self.degrees: float = 20.5

    def get_customer(self, customer_id: str) -> dict[str, Any]:
        """Get the details of a customer: address, cards and orders."""
        return {"customer_id": customer_id, **self.customers[customer_id]}

    def get_order(self, order_id: str) -> dict[str, Any]:
        """Get the details of an order."""
        return {"order_id": order_id, **self.orders[order_id]}

    def find_orders(self, customer_id: str) -> str:
        """Find the orders of a customer, as a sentence."""
        return f"The orders are {' and '.join(self.customers[customer_id]['orders'])}."

    def list_prices(self) -> list[dict[str, Any]]:
        """List the catalogue."""
        return [{"sku": sku, **thing} for sku, thing in self.catalogue.items()]

    def send_to(self, order_id: str, city: str, zip_code: str) -> dict[str, str]:
        """Change the address of an order."""
        self.orders[order_id] |= {"city": city, "zip_code": zip_code}
        return {"status": "changed"}

    def charge(self, card_id: str, dollars: float) -> dict[str, str]:
        """Charge a card.

        Args:
            card_id: The card.
            dollars: The amount.
        """
        return {"charged": card_id}

    def put(self, sku: str) -> dict[str, str]:
        """Put a thing into the basket."""
        self.basket.append(sku)
        return {"status": "in the basket"}

    def take_out(self, sku: str) -> dict[str, str]:
        """Take a thing out of the basket."""
        self.basket.remove(sku)
        return {"status": "taken out"}

    def place_order(self, customer_id: str, sku: str) -> dict[str, str]:
        """Place an order."""
        order_id = f"W{len(self.orders) + 901}"
        self.orders[order_id] = {"customer_id": customer_id, "status": "open", "items": [sku]}
        return {"order_id": order_id}

    def cancel_order(self, order_id: str) -> dict[str, str]:
        """Cancel an order."""
        self.orders[order_id]["status"] = "cancelled"
        return {"status": "cancelled"}

    def remove_order(self, order_id: str) -> dict[str, str]:
        """Remove an order for good."""
        del self.orders[order_id]
        return {"status": "removed"}

    def heat(self, degrees: float) -> dict[str, str]:
        """Set the heating of the hall.

        Args:
            degrees: The temperature, in celsius.
        """
        self.degrees = degrees
        return {"status": "set"}

    def dim(self, level: int) -> dict[str, int]:
        """Dim the lamps.

        Args:
            level: Brightness, from 0 to 100.
        """
        return {"lamps": level}


ENV = PythonEnvironment(Market)
TOOLS = ENV.specs


def customer(number: int, orders: list[str]) -> dict[str, Any]:
    """A customer with a city, a zip code and two cards of different kinds."""
    cards = {f"card_{number}{i}": {"kind": kind} for i, kind in enumerate(("visa", "gift"))}
    address = {"city": f"Town{chr(65 + number)}", "zip_code": f"{70_000 + number}"}
    return {"name": f"Ann{number}", "address": address, "cards": cards, "orders": orders}


def start(prices: tuple[float, ...] = (12.5, 30.25, 47.75)) -> dict[str, Any]:
    """Three customers, one thing for each price, and an order of each thing."""
    things = {f"S{i}0{i}": price for i, price in enumerate(prices, 1)}
    orders = {
        f"W10{i}": {"status": "open", "items": [{"sku": sku, "price": price}]}
        for i, (sku, price) in enumerate(things.items())
    }
    return {
        "Market": {
            "customers": {
                f"C{i}": customer(i, [f"W10{i}", f"W10{(i + 1) % len(things)}"])
                for i in range(len(things))
            },
            "catalogue": {sku: {"price": price} for sku, price in things.items()},
            "orders": orders,
        }
    }


def trace(*turns: tuple[str, str], state: dict[str, Any] | None = None) -> CallTrace:
    """A task of (words, calls), executed."""
    made = tuple(Turn(user=words, ground_truth=parse_calls(calls, TOOLS)) for words, calls in turns)
    state = start() if state is None else state
    task = Task(category="base", classes=("Market",), start=state, turns=made, environment=ENV.name)
    return CallTrace(task, ENV)
