"""Make the policy that comes with the package again (3 minutes on one core):

    python experiments/micro_policy.py --out src/rods/micro/shipped

Equal settings give equal weights on the same machine and build of torch.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rods.envs.bfcl import BfclEnvironment
from rods.micro.benchmark import SETTINGS, SHIPPED, make_policy, make_tokenizer, policy_key
from rods.micro.kind import settings_of
from rods.presets import load_config
from rods.terminal import Bar


def main() -> None:
    """Pretrain with the settings of the preset "micro"."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    settings, stage = settings_of(load_config("micro")), [""]
    with Bar("policy", 100, lambda: stage[0]) as bar:

        def progress(what: str, share: float) -> None:
            stage[0] = what
            bar.update(int(100 * share))

        make_tokenizer(out)
        facts = make_policy(out, out, settings, progress)
    key = policy_key(settings, BfclEnvironment().version)
    (out / SETTINGS).write_text(json.dumps(key, indent=1) + "\n")
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
