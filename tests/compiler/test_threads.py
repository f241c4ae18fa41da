"""How many threads there are to be: affinity, containers' shares, and what the user says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chainrule.compiler import threads
from chainrule.compiler.threads import available_cpus, get_threads, set_threads
from chainrule.errors import DefinitionError


@pytest.fixture(autouse=True)
def eight_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(threads, "MEMBERSHIPS", tmp_path / "memberships")
    monkeypatch.setattr(threads, "_threads", None)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_all_processors_that_the_process_may_run_on_are_available() -> None:
    assert available_cpus() == 8
    assert get_threads() == 8


def test_systems_without_affinity_count_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cpus() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cpus() == 1


@pytest.mark.parametrize(
    ("text", "count"), [("max 100000", 8), ("150000 100000", 2), ("10000 100000", 1), ("nonsense", 8), ("1 0", 8)]
)
def test_the_share_of_a_container_is_rounded_up(tmp_path: Path, text: str, count: int) -> None:
    write(tmp_path / "memberships", "0::/a/b\n")
    write(tmp_path / "groups" / "a" / "b" / "cpu.max", text)
    assert available_cpus() == count


def test_the_share_of_an_outer_group_counts_as_well(tmp_path: Path) -> None:
    write(tmp_path / "memberships", "0::/a/b\n")
    write(tmp_path / "groups" / "a" / "b" / "cpu.max", "600000 100000")
    write(tmp_path / "groups" / "a" / "cpu.max", "500000 100000")
    write(tmp_path / "cpu.max", "100000 100000")  # not a group
    assert available_cpus() == 5


@pytest.mark.parametrize(("quota", "count"), [("-1", 8), ("250000", 3)])
def test_older_groups_say_it_in_two_files(tmp_path: Path, quota: str, count: int) -> None:
    write(tmp_path / "memberships", "4:memory:/a\n3:cpu,cpuacct:/a\n")
    write(tmp_path / "groups" / "cpu,cpuacct" / "a" / "cpu.cfs_quota_us", quota)
    write(tmp_path / "groups" / "cpu,cpuacct" / "a" / "cpu.cfs_period_us", "100000")
    assert available_cpus() == count


def test_what_the_user_says_counts() -> None:
    set_threads(3)
    assert get_threads() == 3
    assert available_cpus() == 8


def test_less_than_one_thread_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="at least one thread"):
        set_threads(0)
    with pytest.raises(TypeError):
        set_threads(1.5)  # type: ignore[arg-type]
