"""The prepared micro policy and its tasks, for the benchmark or for tools of the user's own."""

from __future__ import annotations

from rods.config import Config
from rods.envs.bfcl_data import CATEGORIES
from rods.micro.base_policy import Prepared
from rods.micro.benchmark import prepare_benchmark
from rods.micro.cache import Progress
from rods.micro.own import prepare_own


def prepare(config: Config, progress: Progress = lambda what, share: None) -> Prepared:
    """Load the policy, pretraining it first where it neither ships nor is cached (once).

    Raises:
        UserError: the cache cannot be written, the run's own tools or tasks are unusable, or no
            task is of a stage's category.
    """
    if config.environment.name == "bfcl":
        config.check_categories(CATEGORIES)
        return prepare_benchmark(config.micro, progress)
    return prepare_own(config, progress)
