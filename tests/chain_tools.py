"""Tools whose calls form chains: text responses, lists of records, keys, list arguments."""

from __future__ import annotations

from typing import Any


class Store:
    """A small store."""

    def __init__(self) -> None:
        self.emails: dict[str, str] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.products: dict[str, dict[str, Any]] = {}

    def find_user(self, email: str) -> str:
        """Find the user with an email.

        Args:
            email: The email.

        Returns:
            The user id.
        """
        return self.emails[email]

    def describe_user(self, user_id: str) -> str:
        """Describe a user in a sentence.

        Args:
            user_id: The user.

        Returns:
            The name and the orders.
        """
        user = self.users[user_id]
        return f"{user['name']} has the orders {', '.join(user['orders'])}."

    def order_items(self, order_id: str) -> list[dict[str, Any]]:
        """List the items of an order.

        Args:
            order_id: The order.

        Returns:
            Items, each with item_id and product_id.
        """
        return list(self.orders[order_id]["items"])

    def variants(self, product_id: str) -> dict[str, Any]:
        """Show the variants of a product.

        Args:
            product_id: The product.

        Returns:
            The variants, by item id.
        """
        return {"variants": self.products[product_id]}

    def exchange(self, order_id: str, items: list[dict[str, str]]) -> dict[str, Any]:
        """Exchange items of an order.

        Args:
            order_id: The order.
            items: For each item its id and that of the new one.

        Returns:
            How many were exchanged.
        """
        for item in items:
            (old,) = [i for i in self.orders[order_id]["items"] if i["item_id"] == item["old"]]
            old["item_id"] = item["new"]
        return {"exchanged": len(items)}
