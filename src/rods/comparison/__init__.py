"""`rods compare`: training runs of several configurations with the same random seeds, compared."""
