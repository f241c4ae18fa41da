"""Derivatives compared with differences of function values, in float64.

The derivative of F(t) = f(x + t v) at 0 is taken from four values around it,

    F'(0) = (8 (F(h) - F(-h)) - (F(2h) - F(-2h))) / 12h + O(h^4)

(Abramowitz & Stegun, "Handbook of Mathematical Functions" (1964), 25.3.6). With h = 0.001 of the scale of x it is good
to about ten digits: a factor that is 1 % off is seen, and so is one that is 0.001 % off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from chainrule.errors import DefinitionError, DtypeError
from chainrule.gradients import gradients
from chainrule.tensor import Tensor, as_tensor
from chainrule.trees import flatten, leaf_paths, unflatten
from chainrule.types import Array, TensorType, float64

Program: TypeAlias = "Callable[[Sequence[Tensor]], list[Tensor]]"
STEP = 1e-3
NOISE = 1e-4  # of rtol, relative to the size of what is added up: differences of equal numbers are not zero


def check_gradients(
    function: Callable[..., Any],
    args: Sequence[Any],
    *,
    order: int = 2,
    rtol: float = 1e-6,
    seed: int = 0,
    components: int = 16,
) -> None:
    """Check all derivatives of a function, up to an order, against differences of its values.

    For random cotangents u of the outputs and random directions v of each input x, <vjp(u), v> must be the derivative
    of <u, f(x)> along v, and the vjp of the vjp must be the derivative of f(x) along v. The second order is the same
    check of the function (x, u) -> vjp(u), and so on.

    Args:
        function: takes tensors and nested containers of tensors, and returns such. It must be smooth around `args`,
            give the same values each time, and compute in float64 when its inputs are.
        args: its arguments: arrays, tensors, floats or containers of these. Floats of any kind are taken as float64;
            integers and truth values are held constant.
        order: how often the function is differentiated.
        rtol: largest relative error. Errors below a ten-thousandth of it count as noise.
        seed: of the random cotangents and directions.
        components: of an input with at most so many elements each single one is checked; of a larger one, so many.

    Raises:
        AssertionError: if a derivative is wrong, saying which one, or has another type than its input.
        DtypeError: if an output is a float of another type than float64.
        DefinitionError: if there is nothing to differentiate, or `args` is no list or tuple.

    >>> check_gradients(lambda x, y: {"product": x * y, "sum": x + y}, (np.ones(3), np.arange(3.0)))
    """
    if not isinstance(args, (list, tuple)):
        raise DefinitionError(f"check_gradients: args must be a list or tuple of arguments, not {type(args).__name__}")
    leaves, structure = flatten(tuple(args))
    placed = [as_tensor(x) for x in leaves]
    moving = [i for i, x in enumerate(placed) if x.dtype.is_float]
    paths = leaf_paths(tuple(args))

    def program(variables: Sequence[Tensor]) -> list[Tensor]:
        values = list(placed)
        for i, x in zip(moving, variables, strict=True):
            values[i] = x
        returned, _ = flatten(function(*unflatten(structure, values)))
        return [y for y in map(as_tensor, returned) if y.dtype.is_float]

    points = [np.asarray(placed[i].numpy(), np.float64) for i in moving]
    if not points or not program([_leaf(x) for x in points]):
        raise DefinitionError("check_gradients: the function has no float input, or no float output")
    names = [f"input {paths[i]}" for i in moving]
    problem = _Problem(program, points, names, np.random.default_rng(seed), rtol, components)
    for level in range(1, order + 1):
        problem.check(level)
        problem = problem.derivative()


@dataclass
class _Problem:
    """A function of some arrays at one point, and how closely it is looked at."""

    program: Program
    points: list[Array]
    names: list[str]
    rng: np.random.Generator
    rtol: float
    components: int

    def check(self, level: int) -> None:
        """Compare the first derivatives of the program."""
        variables = [_leaf(x) for x in self.points]
        outputs = self.program(variables)
        for y in outputs:
            if y.dtype is not float64:
                raise DtypeError(f"check_gradients: the function must compute in float64, but an output is {y.type}")
        weights = self.cotangents(outputs)
        size = sum(float(np.abs(w * y.numpy()).sum()) for w, y in zip(weights, outputs, strict=True))
        noise = NOISE * self.rtol * max(1.0, size)
        heading = f"derivative {level} of {_made_by(outputs)}"
        found = gradients(outputs, [_constant(w) for w in weights], variables)
        for i, (x, ct) in enumerate(zip(variables, found, strict=True)):
            where = f"{heading}, {self.names[i]}"
            if ct is not None and ct.type != x.type:
                raise AssertionError(f"{where}: the gradient is {ct.type}, the input {x.type}")
            exact = np.zeros(x.shape) if ct is None else ct.numpy()
            for label, v in self.directions(self.points[i]):
                self.compare(where + label, np.vdot(exact, v), self.slope(i, v, weights), noise)
        if level == 1:
            self.check_forward(outputs, f"forward {heading}")

    def check_forward(self, outputs: Sequence[Tensor], where: str) -> None:
        """Compare the vjp of the vjp with differences of the function."""
        steps: list[Array] = [_scale(x) * self.rng.uniform(-1, 1, x.shape) for x in self.points]
        variables = [_leaf(x) for x in self.points]
        again = self.program(variables)
        cotangents = [_leaf(w) for w in self.cotangents(outputs)]
        pulled = gradients(again, cotangents, variables)
        pairs = [(ct, _constant(v)) for ct, v in zip(pulled, steps, strict=True) if ct is not None]
        tangents = gradients([ct for ct, _ in pairs], [v for _, v in pairs], cotangents)

        def along(t: float) -> list[Array]:
            return self.values([x + t * v for x, v in zip(self.points, steps, strict=True)])

        ahead, back, far_ahead, far_back = (along(t * STEP) for t in (1, -1, 2, -2))
        for i, (y, tangent) in enumerate(zip(outputs, tangents, strict=True)):
            numeric = (8 * (ahead[i] - back[i]) - (far_ahead[i] - far_back[i])) / (12 * STEP)
            exact = np.zeros(y.shape) if tangent is None else tangent.numpy()
            noise = NOISE * self.rtol * max(1.0, float(np.abs(y.numpy()).max(initial=0)))
            for position in np.ndindex(y.shape):
                self.compare(f"{where}, output {i}, element {position}", exact[position], numeric[position], noise)

    def derivative(self) -> _Problem:
        """The problem of which the first derivatives are this one's second: (x, u) -> vjp(u)."""
        count = len(self.points)
        outputs = self.program([_leaf(x) for x in self.points])

        def pullback(variables: Sequence[Tensor]) -> list[Tensor]:
            found = gradients(self.program(variables[:count]), variables[count:], variables[:count])
            return [ct for ct in found if ct is not None]

        names = [*self.names, *(f"cotangent of output {i}" for i in range(len(outputs)))]
        points = [*self.points, *self.cotangents(outputs)]
        return _Problem(pullback, points, names, self.rng, self.rtol, self.components)

    def cotangents(self, outputs: Sequence[Tensor]) -> list[Array]:
        """Random numbers in the shapes of the outputs."""
        return [self.rng.standard_normal(y.shape) for y in outputs]

    def directions(self, x: Array) -> Iterator[tuple[str, Array]]:
        """Ways to move an input, each as long as the input's scale: at random, and along single elements."""
        scale = _scale(x)
        if x.size > 1:
            yield "", scale * self.rng.uniform(-1, 1, x.shape)
        for flat in range(x.size) if x.size <= self.components else self.rng.choice(x.size, self.components, False):
            position = np.unravel_index(flat, x.shape)
            direction = np.zeros(x.shape)
            direction[position] = scale
            yield f", element {tuple(map(int, position))}", direction

    def slope(self, which: int, direction: Array, weights: Sequence[Array]) -> float:
        """The derivative of <weights, program> when one input moves in a direction."""

        def along(t: float) -> float:
            points = list(self.points)
            points[which] = points[which] + t * direction
            return sum(float(np.vdot(w, y)) for w, y in zip(weights, self.values(points), strict=True))

        h = STEP
        return (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)

    def values(self, points: Sequence[Array]) -> list[Array]:
        """The program's outputs at other points."""
        return [y.numpy() for y in self.program([_leaf(x) for x in points])]

    def compare(self, where: str, exact: Any, numeric: Any, noise: float) -> None:
        """Raise if two numbers differ by more than the relative error and the noise."""
        error, size = abs(exact - numeric), max(abs(exact), abs(numeric))
        if not error <= self.rtol * size + noise:  # NaN is wrong, too
            raise AssertionError(
                f"{where}: got {exact:.12g}, but differences of values give {numeric:.12g}\n"
                f"  relative error {error / size if size else error:.1e}, allowed {self.rtol:.1e}"
            )


def _leaf(value: Array) -> Tensor:
    return Tensor(TensorType(float64, value.shape), value, requires_grad=True)


def _constant(value: Array) -> Tensor:
    return Tensor(TensorType(float64, value.shape), value)


def _scale(x: Array) -> float:
    """How far an input may be moved: as far as its elements are large; less far, in proportion, above 1."""
    largest = float(np.abs(x).max(initial=0.0)) or 1.0
    return max(largest, 1e-7) if largest < 1 else largest**0.5


def _made_by(outputs: Sequence[Tensor]) -> str:
    made = [f"{y.op.name} at {y.source}  {y.source.text}".rstrip() for y in outputs if y.op is not None]
    return " and ".join(made) or "a constant"
