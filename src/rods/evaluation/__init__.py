"""Evaluation of a model on tasks: kept episodes, the table, and the comparison of two models."""
