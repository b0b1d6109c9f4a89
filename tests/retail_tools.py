"""Tools in the style of tau2-bench's retail tools: an id of each response feeds the next call."""

from __future__ import annotations

from typing import Any


class Retail:
    """Users, orders and products of a store."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.products: dict[str, dict[str, Any]] = {}

    def find_user_id_by_name_zip(self, first_name: str, last_name: str, zip: str) -> str:
        """Find a user id by name and zip code.

        Args:
            first_name: The first name.
            last_name: The last name.
            zip: The zip code.

        Returns:
            The user id.
        """
        known = {"first": first_name, "last": last_name, "zip": zip}
        (found,) = [
            user_id for user_id, user in self.users.items() if known.items() <= user.items()
        ]
        return found

    def get_user_details(self, user_id: str) -> dict[str, Any]:
        """Get the details of a user, with the order ids.

        Args:
            user_id: The user.

        Returns:
            The user.
        """
        return {"user_id": user_id, **self.users[user_id]}

    def get_order_details(self, order_id: str) -> dict[str, Any]:
        """Get the details of an order, with its items and their product ids.

        Args:
            order_id: The order.

        Returns:
            The order.
        """
        return {"order_id": order_id, **self.orders[order_id]}

    def get_product_details(self, product_id: str) -> dict[str, Any]:
        """Get the variants of a product, by item id.

        Args:
            product_id: The product.

        Returns:
            The product.
        """
        return {"product_id": product_id, **self.products[product_id]}

    def return_delivered_order_items(
        self, order_id: str, item_ids: list[str], payment_method_id: str
    ) -> dict[str, Any]:
        """Return items of a delivered order.

        Args:
            order_id: The order.
            item_ids: The items.
            payment_method_id: Where the refund goes.

        Returns:
            The order.
        """
        change = {"return_items": item_ids, "return_payment_method_id": payment_method_id}
        return self._change(order_id, item_ids, {"status": "return requested", **change})

    def exchange_delivered_order_items(
        self, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
    ) -> dict[str, Any]:
        """Exchange items of a delivered order for other variants.

        Args:
            order_id: The order.
            item_ids: The items.
            new_item_ids: The new items, in the same order.
            payment_method_id: Who pays the difference.

        Returns:
            The order.
        """
        change = {"exchange_items": item_ids, "exchange_new_items": new_item_ids}
        change["exchange_payment_method_id"] = payment_method_id
        return self._change(order_id, item_ids, {"status": "exchange requested", **change})

    def _change(self, order_id: str, item_ids: list[str], change: dict[str, Any]) -> dict[str, Any]:
        owned = {item["item_id"] for item in self.orders[order_id]["items"]}
        if not owned.issuperset(item_ids):
            return {"error": "the order has no such item"}
        self.orders[order_id] |= change
        return self.get_order_details(order_id)
