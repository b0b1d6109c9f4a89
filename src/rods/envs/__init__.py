"""Environments: where calls are executed and states compared."""
