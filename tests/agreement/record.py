"""Run the cases in PyTorch and keep the results: `make record`, or FAMILY=layers for one family.

Cases whose recording is there and valid are not run again; `--again` runs all. Recordings of cases that are no more
are dropped.
"""

from __future__ import annotations

import argparse
import json

import torch

from tests.agreement.recordings import NAMESAKES, Recording, families
from tests.agreement.sides import torch_side


def public_classes(module: object, base: type) -> list[str]:
    """Names of the classes of a module that have a base."""
    found = {name: x for name, x in vars(module).items() if not name.startswith("_")}
    return sorted(name for name, x in found.items() if isinstance(x, type) and issubclass(x, base) and x is not base)


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", help="only this file of cases")
    parser.add_argument("--again", action="store_true", help="run every case, valid recording or not")
    options = parser.parse_args()
    for family, cases in families().items():
        if options.family not in (None, family):
            continue
        recording = Recording(family)
        old, recording.results = recording.results, {}
        ran = 0
        for case in cases:
            if case.fingerprint in old and not options.again:
                recording.results[case.fingerprint] = old[case.fingerprint]
                continue
            try:
                recording.add(case, torch_side.run(case))
            except Exception as error:
                error.add_note(f"in {case.text}")
                raise
            ran += 1
        if ran or len(old) != len(cases):
            recording.save()
        print(f"{family:16} {len(cases):4} cases, {ran} run now, {recording.path.stat().st_size / 1024:.0f} KB")
    names = {
        "torch": torch.__version__.partition("+")[0],
        "nn": public_classes(torch.nn, torch.nn.Module),
        "optim": public_classes(torch.optim, torch.optim.Optimizer),
        "schedules": public_classes(torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler),
    }
    NAMESAKES.write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
