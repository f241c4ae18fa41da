"""Run an example in chainrule and in PyTorch, in turn, once for each seed, and print a Markdown table of both.

    python examples/side_by_side.py digits_cnn --data mnist-10k.npz
    python examples/side_by_side.py char_gpt --data shakespeare.txt --seeds 0

Both sides are processes of their own, started one after the other, so that what else the machine does meets both. The
PyTorch side runs in benchmarks/.venv, which `make bench` installs. What else is given, such as `--epochs 2`, is passed
on to both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / "benchmarks" / ".venv" / "bin" / "python"


def run(command: list[str]) -> dict[str, Any]:
    """What a side tells in its last line, and how long its process took."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"process": time.perf_counter() - started}


def table(sides: dict[str, list[dict[str, Any]]]) -> str:
    """Each figure of all seeds; seconds as the median."""
    names = [name for name in next(iter(sides.values()))[0] if name not in ("seconds", "process", "parameters")]
    rows = [["", "parameters", *names, "training", "whole process"], ["---", *["---:"] * (len(names) + 3)]]
    for side, found in sides.items():
        figures = [", ".join(f"{one[name]:.4f}" for one in found) for name in names]
        times = [f"{median(one[name] for one in found):.1f} s" for name in ("seconds", "process")]
        rows.append([side, f"{found[0]['parameters']:,}", *figures, *times])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", choices=["digits_cnn", "char_gpt"])
    parser.add_argument("--data", required=True, metavar="PATH", help="see the example's README")
    parser.add_argument("--seeds", default="0,1,2", help="default: %(default)s")
    parser.add_argument("--peer", default=str(PEER), metavar="PYTHON", help="a Python with PyTorch")
    given, more = parser.parse_known_args()
    programs = {
        "chainrule": [sys.executable, str(HERE / given.example / "train.py")],
        "PyTorch": [given.peer, str(HERE / given.example / "peer.py")],
    }
    sides: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
    for seed in given.seeds.split(","):
        for name, program in programs.items():
            sides[name].append(run([*program, "--data", given.data, "--seed", seed, *more]))
            print(f"seed {seed}: {name} {sides[name][-1]}", file=sys.stderr, flush=True)
    print(table(sides))


if __name__ == "__main__":
    main()
