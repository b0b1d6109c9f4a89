"""Tasks as files for other programs: the benchmark's checker, trainers, tables."""
