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


def user_line() -> Source:
    """The innermost line on the stack that is outside this package."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return Source(frame.f_code.co_filename, frame.f_lineno)
