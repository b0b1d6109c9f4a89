"""The run of the cluster tests by TRL, in the environment of TRL: `python train_by_trl.py MODEL`.

The run is in the folder `run` of the current folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cluster_runs import STEPS
from drive import settings
from trl_kind import FOLDER

from rods.config import Config
from rods.processes import Stopper
from rods.run import train
from rods.trainers.verl.watch import Lines

if __name__ == "__main__":
    found = settings(Path(sys.argv[1]), STEPS)
    found["policy"]["name"] = "trl_kind:ScriptedKind"
    found["hardware"] = {"gpus": 0}  # one process, on the CPU
    assert train(Config.model_validate(found), FOLDER, Lines(), Stopper())
