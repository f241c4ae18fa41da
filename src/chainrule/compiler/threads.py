"""How many threads compiled functions run on: as many as there are processors, unless the user says otherwise."""

from __future__ import annotations

import math
import operator
import os
from pathlib import Path

from chainrule.errors import DefinitionError

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIPS = Path("/proc/self/cgroup")

_threads: int | None = None


def set_threads(count: int) -> None:
    """Let compiled functions run on so many threads. Results are the same, bit for bit, for any number.

    Functions that are compiled already take it up with their next call.

    Raises `DefinitionError` for a number below 1.

    >>> set_threads(available_cpus())
    >>> get_threads() == available_cpus()
    True
    """
    global _threads
    count = operator.index(count)
    if count < 1:
        raise DefinitionError(f"set_threads: at least one thread is needed, not {count}")
    _threads = count


def get_threads() -> int:
    """On how many threads compiled functions run: what `set_threads` said, or else as many as there were processors
    available when they were first counted."""
    global _threads
    if _threads is None:
        _threads = available_cpus()
    return _threads


def available_cpus() -> int:
    """Processors that this process may run on, no more than its share of time on them allows; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota())))


def _quota() -> float:
    """The share of processor time, in processors, that control groups (containers) leave to this process."""
    try:
        lines = MEMBERSHIPS.read_text().splitlines()
    except OSError:
        return math.inf
    share = math.inf
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds and "cpu" not in kinds.split(","):
            continue
        top = CGROUPS / kinds
        group = top / path.strip("/")
        for folder in (group, *group.parents):  # a group's share is limited by those that it is in
            share = min(share, _share(folder))
            if folder == top:
                break
    return share


def _share(folder: Path) -> float:
    """What the files of one control group say, of version 2 or 1."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if quota not in ("max", "-1"):
                return int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return math.inf
