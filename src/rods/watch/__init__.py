"""A page on a run that goes on (`rods watch`). It only reads, and shows all text as text."""
