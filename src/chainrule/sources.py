"""Where in the user's own code a tensor was made."""

from __future__ import annotations

import linecache
import os
import sys
from typing import NamedTuple

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Source(NamedTuple):
    """A line of a file; `backward` is true for nodes that the backward pass made for that line.

    >>> str(Source("train.py", 12)), str(Source("/home/me/train.py", 12, backward=True))
    ('train.py:12', 'train.py:12, backward')
    """

    file: str
    line: int
    backward: bool = False

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}{', backward' if self.backward else ''}"

    @property
    def text(self) -> str:
        """The line as it stands in the file, or an empty string where there is no file."""
        return linecache.getline(self.file, self.line).strip()


_inside: dict[str, bool] = {}
"""Whether a file belongs to this package, for every file seen so far."""


def user_line() -> Source:
    """The innermost line on the stack that is outside this package."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    file = frame.f_code.co_filename
    while (_inside[file] if file in _inside else _look(file)) and frame.f_back is not None:
        frame = frame.f_back
        file = frame.f_code.co_filename
    return Source(file, frame.f_lineno)


def _look(file: str) -> bool:
    _inside[file] = file.startswith((_PACKAGE, "<frozen importlib"))  # which imports this package, or runs it
    return _inside[file]
