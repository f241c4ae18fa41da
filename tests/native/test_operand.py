"""Places of tensors in memory."""

from __future__ import annotations

import pytest

from chainrule.native.operand import Strided, row_major, strided


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Strided((2, 3), (3, 1)), True),
        (Strided((2, 3), (3, 1), 1), False),
        (Strided((3, 2), (1, 3)), False),
        (Strided((3, 1), (1, 3)), True),
        (Strided((1, 3), (0, 1)), True),
        (Strided((2, 2), (0, 1)), False),
        (Strided((2, 0), (7, 7), 3), True),
        (Strided((), ()), True),
    ],
)
def test_elements_in_row_major_order_are_contiguous_whatever_axes_of_size_one_say(place, expected):
    assert place.is_contiguous is expected


def test_axes_of_size_one_get_the_stride_that_row_major_order_gives_them():
    assert strided((1, 3, 1, 2, 1), (9, 2, -9, 1, 9), 0) == row_major((1, 3, 1, 2, 1))
    assert strided((3, 1, 2), (1, 9, 6), 4) == Strided((3, 1, 2), (1, 12, 6), 4)


def test_nothing_is_at_the_start():
    assert strided((3, 0), (-1, 2), 5) == row_major((3, 0))
