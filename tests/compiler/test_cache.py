"""Object code on disk: found again, never wrong, never in the way."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chainrule.compiler import cache


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def key_of(number: int, shard: str = "00") -> str:
    return shard + hashlib.sha256(str(number).encode()).hexdigest()[2:]


def files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


KEY = key_of(0)


def test_what_was_put_is_found_again(place: Path) -> None:
    assert cache.get(KEY) is None
    cache.put(KEY, b"code")
    assert cache.get(KEY) == b"code"
    assert cache.get(key_of(1)) is None


def test_the_last_of_two_puts_counts(place: Path) -> None:
    cache.put(KEY, b"old")
    cache.put(KEY, b"new")
    assert cache.get(KEY) == b"new"
    assert len(files(place)) == 1


def test_empty_content_is_content(place: Path) -> None:
    cache.put(KEY, b"")
    assert cache.get(KEY) == b""


@pytest.mark.parametrize("damage", ["cut", "changed", "emptied"])
def test_a_damaged_file_is_ignored_and_removed(place: Path, damage: str) -> None:
    cache.put(KEY, b"some object code")
    (path,) = files(place)
    held = bytearray(path.read_bytes())
    held[-1] ^= 1
    path.write_bytes({"cut": bytes(held[:-3]), "changed": bytes(held), "emptied": b""}[damage])
    assert cache.get(KEY) is None
    assert files(place) == []
    cache.put(KEY, b"again")
    assert cache.get(KEY) == b"again"


def test_an_empty_variable_turns_the_cache_off(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, "")
    cache.put(KEY, b"code")
    assert cache.get(KEY) is None
    assert cache.folder() is None


def test_the_folder_is_where_the_system_keeps_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/someone"))
    found: dict[str, list[Path | None]] = {}
    for system in ("linux", "darwin", "win32"):
        monkeypatch.setattr(cache.sys, "platform", system)
        found[system] = []
        for given in ("/given", ""):
            monkeypatch.setenv("XDG_CACHE_HOME", given)
            monkeypatch.setenv("LOCALAPPDATA", given)
            found[system].append(cache.folder())
    home = Path("/home/someone")
    assert found == {
        "linux": [Path("/given/chainrule"), home / ".cache/chainrule"],
        "darwin": [home / "Library/Caches/chainrule"] * 2,
        "win32": [Path("/given/chainrule"), home / "AppData/Local/chainrule"],
    }


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    cache.put(KEY, b"code")
    assert cache.get(KEY) is None


def test_a_folder_that_cannot_be_written_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    monkeypatch.setenv(cache.VARIABLE, str(blocked))
    cache.put(KEY, b"code")
    assert cache.get(KEY) is None
    assert blocked.read_text() == "not a folder"


def test_a_full_disk_leaves_nothing_behind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put(KEY, b"here before")

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    cache.put(key_of(1), b"code")
    assert cache.get(key_of(1)) is None
    assert [path.name for path in files(place)] == [KEY]


def test_files_unused_for_longest_go_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 1000 + cache.CHECKSUM_BYTES
    monkeypatch.setattr(cache, "LIMIT", 4 * size * cache.FOLDERS)
    for number in range(4):
        cache.put(key_of(number), bytes(1000))
    for age, path in enumerate(place / "00" / key_of(number) for number in range(4)):
        os.utime(path, (1000 + age, 1000 + age))
    assert cache.get(key_of(0)) is not None  # used again
    cache.put(key_of(4), bytes(1000))
    cache.put(key_of(5), bytes(1000))
    assert [number for number in range(6) if cache.get(key_of(number)) is not None] == [0, 3, 4, 5]


def test_one_file_may_be_larger_than_its_share(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LIMIT", 256)
    cache.put(key_of(1), bytes(1000))
    cache.put(key_of(2), bytes(1000))
    assert cache.get(key_of(1)) is None
    assert cache.get(key_of(2)) == bytes(1000)


RACER = """
import sys
from chainrule.compiler import cache
cache.LIMIT = 256 * 4000
for turn in range(100):
    for number in range(5):
        key = f"00{number}"
        content = bytes([number]) * 1000
        found = cache.get(key)
        if found is not None and found != content:
            sys.exit(f"wrong content under {key}")
        cache.put(key, content)
print("done")
"""


def test_processes_that_race_never_see_half_a_file(place: Path) -> None:
    racers = [subprocess.Popen([sys.executable, "-c", RACER], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [racer.communicate(timeout=300)[0] for racer in racers] == ["done\n"] * 3
    assert all(path.parent.name == "00" and "." not in path.name for path in files(place))
