"""The report of a run: one self-contained HTML page, read from the run's store."""
