"""Thin adapters between the loop and the trainers that people use."""
