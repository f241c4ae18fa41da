"""How far to go in a direction: a point where the loss has fallen enough, and its slope is small (strong Wolfe).

Nocedal & Wright, "Numerical optimization", 2nd edition 2006, algorithms 3.5 and 3.6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

from chainrule.types import Array

FALL, FLATTENING = 1e-4, 0.9
"""c1 and c2: the share of the fall that the first slope promises, and of that slope, that are good enough."""


class Point(NamedTuple):
    """A place on the line: how far, with loss and gradient, and the slope along the line."""

    at: float
    loss: float
    gradient: Array
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, length: float, size: float, least: float, most: int
) -> tuple[Point, int]:
    """A point with loss <= loss(0) + c1 t slope(0) and |slope| <= -c2 slope(0), or the best that was found.

    Args:
        evaluate: the point at a distance.
        start: the point at 0; its slope is negative.
        length: the first distance to try.
        size: the largest element of the direction.
        least: a bracket that moves no element by more than this is not looked into.
        most: so many further distances are tried.

    Returns the point and the number of evaluations.
    """
    previous, point, tries = start, evaluate(length), 0
    bracket = [start, point]
    while tries < most:
        risen = _too_high(point, start) or (tries > 1 and point.loss >= previous.loss)
        if not risen and _flat(point, start):
            return point, tries + 1
        if risen or point.slope >= 0:
            bracket = [previous, point]
            break
        low, high = point.at + 0.01 * (point.at - previous.at), 10.0 * point.at
        previous, point = point, evaluate(cubic_minimum(previous, point, low, high))
        bracket, tries = [start, point], tries + 1
    return _zoom(evaluate, start, bracket, size, least, tries, most)


def _zoom(
    evaluate: Callable[[float], Point],
    start: Point,
    bracket: list[Point],
    size: float,
    least: float,
    tries: int,
    most: int,
) -> tuple[Point, int]:
    """The search between two points, of which the lower one is kept."""
    low, high = sorted(bracket, key=lambda point: point.loss)
    stalled = False
    while tries < most:
        left, right = sorted((low.at, high.at))
        if left == right or (right - left) * size < least:
            break
        t = cubic_minimum(low, high, left, right)
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stalled or not left < t < right):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near = False
        stalled = near
        point, tries = evaluate(t), tries + 1
        if _too_high(point, start) or point.loss >= low.loss:
            low, high = sorted((low, point), key=lambda point: point.loss)
            continue
        if not _flat(point, start) and point.slope * (high.at - low.at) >= 0:
            high = low
        low = point
        if _flat(point, start):
            break
    return low, tries + 1


def _too_high(point: Point, start: Point) -> bool:
    return point.loss > start.loss + FALL * point.at * start.slope


def _flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -FLATTENING * start.slope


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is lowest, within bounds; their middle if it has no minimum.

    >>> from numpy import zeros
    >>> cubic_minimum(Point(0.0, 1.0, zeros(1), -2.0), Point(2.0, 1.0, zeros(1), 2.0), 0.0, 2.0)
    1.0
    """
    a, b = (a, b) if a.at <= b.at else (b, a)
    d = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.at - b.at)
    square = d * d - a.slope * b.slope
    width = b.slope - a.slope + 2.0 * sqrt(square) if square >= 0.0 else 0.0
    if width == 0.0:
        return (low + high) / 2.0
    place = b.at - (b.at - a.at) * ((b.slope + sqrt(square) - d) / width)
    return min(max(place, low), high)
