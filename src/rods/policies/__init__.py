"""Policies over models that are not ours. The core knows none of them."""
