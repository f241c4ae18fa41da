"""Pooling by the largest element and by the mean, against loops over windows; kernels against NumPy on large shapes."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest

from chainrule.apply import apply
from chainrule.autodiff import grad, hessian
from chainrule.errors import ShapeError
from chainrule.op import REGISTRY
from chainrule.ops.max_pooling import MAX_POOL, WINDOW_PICK, WINDOW_PLACE, max_pool, max_pool_with_indices
from chainrule.ops.mean_pooling import WINDOW_SPREAD, WINDOW_SUM, avg_pool
from chainrule.ops.pool_geometry import places_of
from chainrule.tensor import as_tensor, tensor
from chainrule.testing import check_compiled, check_gradients
from chainrule.trace import trace
from chainrule.types import Array, Shape
from tests.native.harness import TARGETS
from tests.native.one_op import Batch
from tests.ops.test_window import slow_windows


def pooled(x: Array, reduce: Any, fill: float, options: dict[str, Any]) -> Array:
    """Pooling over the last two axes of four, by loops."""
    window = options["window"] if isinstance(options["window"], tuple) else (options["window"],) * 2

    def both(value: Any) -> Shape:
        return value if isinstance(value, tuple) else (value, value)

    padding = [both(p) for p in both(options.get("padding", 0))]
    padded = np.pad(x, [(0, 0), (0, 0), *padding], constant_values=fill)
    stride, dilation = both(options.get("stride", window)), both(options.get("dilation", 1))
    return reduce(slow_windows(padded, window, stride, dilation), axis=(-2, -1))


POOLS = [
    {"window": 2},
    {"window": 3, "stride": 1, "padding": 1},
    {"window": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"window": (2, 2), "padding": ((0, 1), (1, 0))},
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [*POOLS, {"window": 2, "dilation": 2, "stride": 1}])
def test_max_pool(options: dict[str, Any], dtype: str) -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * 5 * 6).reshape(2, 3, 5, 6).astype(dtype) / 8 - 9
    found = max_pool(x, **options)
    assert found.dtype.name == dtype
    np.testing.assert_array_equal(found.numpy(), pooled(x, np.max, -np.inf, options))
    check_gradients(lambda x: max_pool(x, **options), (x[:1, :1].astype(np.float64),), order=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", POOLS)
def test_avg_pool(options: dict[str, Any], dtype: str) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 5, 6)).astype(dtype)
    found, without = avg_pool(x, **options), avg_pool(x, **options, count_include_pad=False)
    assert found.dtype.name == without.dtype.name == dtype
    tolerance = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(found.numpy(), pooled(x, np.mean, 0.0, options), **tolerance)
    np.testing.assert_allclose(without.numpy(), pooled(x, np.nanmean, np.nan, options), **tolerance)
    check_gradients(lambda x: avg_pool(x, **options), (x[:1, :1],), order=2)
    check_gradients(lambda x: avg_pool(x, **options, count_include_pad=False), (x[:1, :1],), order=2)


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_single_number_is_for_all_axes_after_batch_and_channels(pool: Any, axes: int) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, *(4, 5, 6)[:axes]))
    assert pool(x, 2).tolist() == pool(x, (2,) * axes).tolist()
    assert pool(x, 2).shape == (2, 3, *(2, 2, 3)[:axes])


def test_pooling_turns_integers_into_float32() -> None:
    x = np.array([[[1, 2, 4, 3]]])
    assert (max_pool(x, 2).dtype.name, max_pool(x, 2).tolist()) == ("float32", [[[2.0, 4.0]]])
    assert (avg_pool(x, 2).dtype.name, avg_pool(x, 2).tolist()) == ("float32", [[[1.5, 3.5]]])
    assert max_pool(tensor(x, dtype="bfloat16"), 2).dtype.name == "float32"


def gradient_of_sum(x: Array) -> Array:
    return grad(lambda x: max_pool(x, 2).sum())(x).numpy()


def test_the_gradient_of_equal_maxima_goes_to_the_first() -> None:
    assert gradient_of_sum(np.array([[[[0.0, 7.0, 5.0], [7.0, 7.0, 9.0]]]])).tolist() == [[[[0, 1, 0], [0, 0, 0]]]]
    assert gradient_of_sum(np.zeros((1, 1, 4))).tolist() == [[[1, 0, 1, 0]]]


def test_nan_and_infinity_are_pooled_as_the_largest_and_smallest() -> None:
    x = np.array([[[1.0, np.nan, -np.inf, -np.inf, np.inf, 2.0]]])
    np.testing.assert_array_equal(max_pool(x, 2).numpy(), [[[np.nan, -np.inf, np.inf]]])
    np.testing.assert_array_equal(gradient_of_sum(x), [[[0, 1, 1, 0, 1, 0]]])


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_pooling_an_empty_batch(pool: Any) -> None:
    assert pool(np.ones((0, 3, 4, 4)), 2).shape == (0, 3, 2, 2)


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 4), {"window": 2}, "a single number as window is for"),
        ((4,), {"window": (2, 2)}, "has more axes than"),
        ((4,), {"window": ()}, "at least one axis"),
        ((1, 1, 4), {"window": 2, "padding": 2}, "more than half of the window"),
        ((1, 1, 4), {"window": 2, "padding": -1}, "none negative"),
        ((1, 1, 4), {"window": (2,), "padding": (1, 1)}, "padding is one number"),
        ((1, 1, 4), {"window": (2,), "stride": (1, 1)}, "stride is one whole number"),
    ],
)
def test_pooling_says_what_does_not_fit(name: str, shape: Shape, options: dict[str, Any], message: str) -> None:
    pool: Any = {"max_pool": max_pool, "avg_pool": avg_pool}[name]
    with pytest.raises(ShapeError, match=f"{name}: .*{message}"):
        pool(np.ones(shape), **options)


def test_pooling_with_a_window_larger_than_its_axis_is_an_error() -> None:
    with pytest.raises(ShapeError, match=r"a window that reaches over \[5\] elements does not fit into \[4\]"):
        max_pool(np.ones((1, 1, 4)), 5)


def test_one_more_window_where_the_last_one_would_reach_over_the_end() -> None:
    x = np.arange(1.0, 6.0).reshape(1, 1, 5)
    assert max_pool(x, 2, ceil_mode=True).tolist() == [[[2.0, 4.0, 5.0]]]
    assert max_pool(x[..., :4], 2, ceil_mode=True).tolist() == [[[2.0, 4.0]]]
    assert max_pool(x, 2, stride=3, padding=1, ceil_mode=True).tolist() == [[[1.0, 4.0]]], "it would begin in padding"
    assert avg_pool(x, 2, ceil_mode=True).tolist() == [[[1.5, 3.5, 5.0]]], "what is beyond the end does not count"
    assert avg_pool(x, 2, ceil_mode=True, divisor=4).tolist() == [[[0.75, 1.75, 1.25]]]


def test_padding_counts_as_elements_of_the_mean_and_what_is_beyond_it_does_not() -> None:
    x = np.full((1, 1, 4), 6.0)
    options: dict[str, Any] = {"stride": 2, "padding": 1, "ceil_mode": True}
    assert avg_pool(x, 3, **options).tolist() == [[[4.0, 6.0, 3.0]]]
    assert avg_pool(x, 3, **options, count_include_pad=False).tolist() == [[[6.0, 6.0, 6.0]]]


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_indices_lead_to_the_largest_elements(dilation: int, padding: int, ceil_mode: bool) -> None:
    x = np.random.default_rng(1).permutation(2 * 7 * 8).reshape(2, 1, 7, 8) / 8
    options: dict[str, Any] = {"stride": 2, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    values, indices = max_pool_with_indices(x, 3, **options)
    assert indices.dtype.name == "int64" and values.tolist() == max_pool(x, 3, **options).tolist()
    found = np.take_along_axis(x.reshape(2, -1), indices.numpy().reshape(2, -1), 1)
    np.testing.assert_array_equal(found, values.numpy().reshape(2, -1))


def test_a_window_of_nothing_but_padding_is_minus_infinity_and_passes_no_gradient() -> None:
    x = np.array([[[5.0]]])
    assert max_pool(x, 2, dilation=2, padding=1).tolist() == [[[-np.inf]]]
    assert grad(lambda x: max_pool(x, 2, dilation=2, padding=1).sum())(x).tolist() == [[[0.0]]]


def test_where_all_elements_are_minus_infinity_the_first_one_that_is_no_padding_is_chosen() -> None:
    x = np.full((1, 1, 3), -np.inf)
    assert max_pool_with_indices(x, 3, stride=2, padding=1)[1].tolist() == [[[0, 1]]]


def test_positions_of_large_windows_need_more_than_a_byte() -> None:
    x = np.zeros((1, 20, 20))
    x[0, 16, 17] = 1.0
    assert max_pool_with_indices(x, (20, 20))[1].tolist() == [[[16 * 20 + 17]]]
    check_compiled(trace(lambda x: max_pool_with_indices(x, (20, 20)))(x), [x])


def test_the_second_derivative_of_squares_of_maxima_stays_at_their_places() -> None:
    found = hessian(lambda x: (max_pool(x, (2,)) ** 2).sum())(np.array([1.0, 3.0, 2.0, 1.0]))
    assert np.asarray(found.numpy()).tolist() == np.diag([0.0, 2.0, 2.0, 0.0]).tolist()


def test_the_operations_themselves_say_what_does_not_fit() -> None:
    geometry: dict[str, Any] = {"window": (2,), "stride": (2,), "padding": ((0, 0),), "dilation": (1,)}
    x, y, positions = as_tensor(np.ones((3, 4))), as_tensor(np.ones((3, 2))), tensor(np.zeros((3, 2), np.uint8))
    with pytest.raises(ShapeError, match="do not fit the axes"):
        apply(MAX_POOL, x, **{**geometry, "padding": ()})
    with pytest.raises(ShapeError, match="there are no elements to pool"):
        apply(MAX_POOL, x[:, :0], **{**geometry, "padding": ((1, 1),)})
    with pytest.raises(ShapeError, match=r"positions \[3, 2\] are needed for f64\[3, 4\]"):
        apply(WINDOW_PICK, x, positions[:2], **geometry)
    with pytest.raises(ShapeError, match=r"positions \[3, 2\] are needed for f64\[3, 2\]"):
        apply(WINDOW_PLACE, y, positions[:2], size=(4,), **geometry)
    with pytest.raises(ShapeError, match=r"windows at \[3, 3\] places of f64\[3, 6\], not at \[3, 2\]"):
        apply(WINDOW_SPREAD, y, size=(6,), scale=1.0, **geometry)
    with pytest.raises(ShapeError, match="sums cannot be divided by 0"):
        avg_pool(x, (2,), divisor=0)


# ---- kernels on shapes that fill vectors, in every order of memory ---------------------------------------------------

GEOMETRIES: list[tuple[Shape, dict[str, Any]]] = [
    ((37, 9), {"window": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}),
    ((9, 70), {"window": (3, 3), "stride": (2, 2), "padding": ((1, 1), (1, 2)), "dilation": (1, 1)}),
    ((40, 21), {"window": (3, 2), "stride": (1, 3), "padding": ((2, 1), (0, 1)), "dilation": (2, 1)}),
    ((11, 52), {"window": (5, 6), "stride": (2, 1), "padding": ((2, 2), (3, 3)), "dilation": (1, 1)}),
    (
        (6, 13, 5),
        {"window": (3, 1, 2), "stride": (1, 2, 2), "padding": ((1, 1), (0, 0), (1, 0)), "dilation": (1,) * 3},
    ),
]
ORDERS = {"channels first": (0, 1, 2, 3, 4), "channels last": (0, 2, 3, 4, 1), "height last": (0, 1, 4, 3, 2)}


def in_order(x: Array, name: str) -> Array:
    """The same array with its axes in another order in memory."""
    order = [axis for axis in ORDERS[name] if axis < x.ndim]
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
def test_kernels_do_what_numpy_does_on_large_shapes(target: Any) -> None:
    rng, batch, runs = np.random.default_rng(0), Batch(target), list[Any]()
    kinds = zip(GEOMETRIES, cycle(ORDERS), cycle((40, 19, 1, 33)), cycle(("float32", "float64")), strict=False)
    for (size, geometry), order, channels, dtype in kinds:
        x = in_order(np.round(rng.normal(size=(2, channels, *size)) * 3).astype(dtype), order)
        x[rng.random(x.shape) < 0.02] = np.nan
        finite, places = np.nan_to_num(x), places_of(x.shape, **geometry)
        positions = in_order(rng.integers(0, np.prod(geometry["window"]), places).astype(np.uint8), order)
        y = in_order(rng.normal(size=places).astype(dtype), order)
        if channels == 1:
            y = np.broadcast_to(y.flat[0], places)
        for op, inputs, attributes in (
            (MAX_POOL, (x,), geometry),
            (WINDOW_PICK, (finite, positions), geometry),
            (WINDOW_PLACE, (y, positions), {"size": size, **geometry}),
            (WINDOW_SUM, (finite,), {**geometry, "scale": 0.5}),
            (WINDOW_SPREAD, (y,), {"size": size, **geometry, "scale": 0.5}),
        ):
            runs.append((op, inputs, attributes, batch.add(op, inputs, attributes)))
    batch.compile()
    for op, inputs, attributes, run in runs:
        found, expected = run(), REGISTRY[op.name].numpy(*inputs, **attributes)
        pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
        for one, other in pairs:
            np.testing.assert_array_equal(one, other, err_msg=f"{op} {attributes}")


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
@pytest.mark.parametrize("order", ORDERS)
def test_compiled_pooling_and_its_gradient_do_what_the_interpreter_does(pool: Any, order: str) -> None:
    rng = np.random.default_rng(0)
    back = np.argsort([axis for axis in ORDERS[order] if axis < 4])
    x = np.ascontiguousarray(rng.normal(size=(2, 17, 12, 10)).transpose(np.argsort(back)))
    weights = rng.normal(size=(2, 17, 6, 5))

    def loss(x: Any) -> Any:
        return (pool(x.permute_dims(tuple(back)), 3, stride=2, padding=1) * weights).sum()

    graph = trace(grad(loss))(x)
    check_compiled(graph, [x])
    assert "window" in str(graph)
