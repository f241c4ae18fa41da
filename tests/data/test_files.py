"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from chainrule.data.files import atomic_file, write_atomically
from chainrule.errors import DataError


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "grün\n")
    assert (tmp_path / "a").read_bytes() == "grün\n".encode()
    write_atomically(tmp_path / "a", b"\x00\xff")
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyError), atomic_file(tmp_path / "a") as file:
        file.write(b"half")
        raise KeyError
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataError) as caught:
        write_atomically(tmp_path / "a", "new")
    assert str(caught.value) == f"{tmp_path}/a: cannot be written: no space left on device"
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"a: cannot be written: permission denied$"):
        write_atomically(tmp_path / "a", "new")


def test_a_file_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError, match=r"a: cannot be written: the file is read-only$"):
        write_atomically(tmp_path / "a", "new")


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder; give the name of a file to write$"):
        write_atomically(tmp_path, "new")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        write_atomically(tmp_path / "x\ny" / "a", "new")
    assert str(caught.value) == f"{tmp_path}/x\\ny/a: there is no folder {tmp_path}/x\\ny; make it first"


def test_text_without_utf8(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written as UTF-8 \(surrogates not allowed\)$"):
        write_atomically(tmp_path / "a", "\ud800")
    assert os.listdir(tmp_path) == []


def test_permissions_are_kept_and_usual_for_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "new", "x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_atomically(tmp_path / "new", "y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old")
    (tmp_path / "link").symlink_to("folder/real")
    write_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "real").read_text() == "new"


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_atomically(tmp_path / "pipe", "through")
    reader.join()
    assert seen == ["through"]
    write_atomically(os.devnull, "away")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_system_without_folder_handles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    write_atomically(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
