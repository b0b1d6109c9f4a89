"""Verified synthesis: plan, execute, ground, augment, critique. A model may propose; only
execution admits."""
