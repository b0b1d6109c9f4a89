"""Tasks of other benchmarks as task files of ours. Nothing of theirs is part of this package."""
