"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from chainrule.data.wording import one_line
from chainrule.errors import DataError


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file so that a reader, now or after a power cut, sees the old content or the new, never half of it.

    Text is written as UTF-8. See `atomic_file` for how, and for what it raises.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(f"{folder}/note.txt", "done")
    ...     Path(f"{folder}/note.txt").read_text()
    'done'
    """
    with atomic_file(path) as file:
        try:
            file.write(content if isinstance(content, bytes) else content.encode())
        except UnicodeEncodeError as error:
            raise DataError(f"{one_line(str(path))}: the text cannot be written as UTF-8 ({error.reason})") from None


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Generator[BinaryIO]:
    """A file to write into that takes the place of `path` at the end of the block, and vanishes if the block fails.

    The new content goes to a file beside it, is brought to the disk (fsync) and then renamed over it in one step. Links
    are followed, and the permissions of a file that was there are kept. What is no file (`/dev/stdout`, a pipe) is
    written to directly.

    Raises:
        DataError: for what the system refuses: no such folder, no permission, a full disk, a folder of that name.
    """
    shown = one_line(str(path))
    try:
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            raise DataError(f"{shown}: is a folder; give the name of a file to write")
        if mode is not None and not stat.S_ISREG(mode):
            with open(path, "wb") as file:
                yield file
            return
        target = Path(os.path.realpath(path))
        if not target.parent.is_dir():
            raise DataError(f"{shown}: there is no folder {one_line(str(target.parent))}; make it first")
        if mode is not None and not os.access(target, os.W_OK):
            raise DataError(f"{shown}: cannot be written: the file is read-only")
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
            _sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{shown}: cannot be written: {_reason(error)}") from error


def _mode(path: str | os.PathLike[str]) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    """Bring the rename itself to the disk, where the system can open a folder."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: OSError) -> str:
    """The system's own words, "no space left on device"."""
    words = error.strerror or str(error) or type(error).__name__
    return words[0].lower() + words[1:]
