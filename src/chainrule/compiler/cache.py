"""Object code kept on disk between runs, in files that may vanish or be damaged at any time.

They are in the folder `CHAINRULE_CACHE_DIR` of the environment, or where the system keeps such things; an empty value
turns the cache off. Nothing that goes wrong here is an error: then there is no cache.

A file holds a checksum and what was put. It is written under another name and then renamed, so that others see it
whole or not at all. Files are spread over 256 folders by their keys, which are hashes. A folder that has outgrown its
share of LIMIT loses the files that were not used for longest; a file's time is that of its last use.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

VARIABLE = "CHAINRULE_CACHE_DIR"
LIMIT = 256 * 2**20
FOLDERS = 256
CHECKSUM_BYTES = 32


def folder() -> Path | None:
    """Where files are kept; None if nowhere."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given) if given else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "chainrule"


def get(key: str) -> bytes | None:
    """What was put under a key, if it is there and whole."""
    path = _path(key)
    if path is None:
        return None
    try:
        held = path.read_bytes()
    except OSError:
        return None
    content = held[CHECKSUM_BYTES:]
    if _checksum(content) != held[:CHECKSUM_BYTES]:
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):
        os.utime(path)
    return content


def put(key: str, content: bytes) -> None:
    """Keep something under a key, a hash in hexadecimal digits."""
    path = _path(key)
    if path is None:
        return
    temporary = path.with_name(f"{key}.{os.getpid()}.{threading.get_ident()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(_checksum(content) + content)
            os.replace(temporary, path)
        except OSError:
            temporary.unlink()
            raise
        _tidy(path)


def _path(key: str) -> Path | None:
    place = folder()
    return None if place is None else place / key[:2] / key


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _tidy(newest: Path) -> None:
    """Remove what was unused for longest from the folder of a file, but not that file."""
    files: list[tuple[float, int, str]] = []
    with os.scandir(newest.parent) as entries:
        for entry in entries:
            with suppress(OSError):
                status = entry.stat()
                files.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total * FOLDERS <= LIMIT:
            break
        if path != str(newest):
            with suppress(OSError):
                os.unlink(path)
            total -= size
