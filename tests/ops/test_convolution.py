"""Convolution, its transpose and the gradient of its kernels, against loops over single elements."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from chainrule.apply import apply
from chainrule.errors import ShapeError
from chainrule.op import Op
from chainrule.ops.convolution import CONVOLUTION, CONVOLUTION_TRANSPOSE, CONVOLUTION_WEIGHT, conv, conv_transpose
from chainrule.tensor import as_tensor, tensor
from chainrule.testing import check_gradients, check_op
from chainrule.types import Array, Shape


def meetings(sizes: Shape, out_sizes: Shape, kernel: Shape, **geometry: Any) -> list[tuple[Shape, Shape, Shape]]:
    """All (p, k, s): at place p of the result, element k of the kernel meets element s of the input."""
    axes: list[list[tuple[int, int, int]]] = []
    for axis, (n, out, width) in enumerate(zip(sizes, out_sizes, kernel, strict=True)):
        low, step, apart = geometry["padding"][axis][0], geometry["stride"][axis], geometry["dilation"][axis]
        places = [(p, k, p * step + k * apart - low) for p in range(out) for k in range(width)]
        axes.append([(p, k, s) for p, k, s in places if 0 <= s < n])
    return [tuple(zip(*parts, strict=True)) for parts in itertools.product(*axes)]


def slow_convolution(x: Array, w: Array, groups: int = 1, **geometry: Any) -> Array:
    """Channel by channel and place by place."""
    sizes: list[int] = []
    for n, k, (low, high), step, apart in zip(
        x.shape[2:], w.shape[2:], geometry["padding"], geometry["stride"], geometry["dilation"], strict=True
    ):
        sizes.append(len(range(0, n + low + high - (k - 1) * apart, step)))
    out = np.zeros((x.shape[0], w.shape[0], *sizes))
    per_group = w.shape[0] // groups
    for p, k, s in meetings(x.shape[2:], tuple(sizes), w.shape[2:], **geometry):
        for o, c in itertools.product(range(w.shape[0]), range(w.shape[1])):
            out[(slice(None), o, *p)] += w[(o, c, *k)] * x[(slice(None), o // per_group * w.shape[1] + c, *s)]
    return out


def slow_transpose(x: Array, w: Array, size: Shape, groups: int = 1, **geometry: Any) -> Array:
    """Every input adds a kernel to the result."""
    out = np.zeros((x.shape[0], w.shape[1] * groups, *size))
    per_group = w.shape[0] // groups
    for p, k, s in meetings(size, x.shape[2:], w.shape[2:], **geometry):
        for c, o in itertools.product(range(w.shape[0]), range(w.shape[1])):
            out[(slice(None), c // per_group * w.shape[1] + o, *s)] += w[(c, o, *k)] * x[(slice(None), c, *p)]
    return out


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array, dict[str, Any]]:
    """Input, kernels and attributes of a convolution over one to three axes."""
    axes, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(axes)) for _ in range(3))
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(axes))
    sizes = [
        max(1, (k - 1) * d + 1 - low - high) + draw(st.integers(0, 3))
        for k, d, (low, high) in zip(kernel, dilation, padding, strict=True)
    ]
    batch, each, out = (draw(st.integers(0, 2)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    x = rng.uniform(-1, 1, (batch, each * groups, *sizes))
    w = rng.uniform(-1, 1, (out * groups, each, *kernel))
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@given(cases())
def test_convolution_is_the_sum_over_meetings_of_kernel_and_input(case: tuple[Array, Array, dict[str, Any]]) -> None:
    x, w, geometry = case
    expected = slow_convolution(x, w, **geometry)
    found = conv(x, w, **geometry)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@given(cases())
def test_the_three_operations_are_derivatives_of_one_form(case: tuple[Array, Array, dict[str, Any]]) -> None:
    """<y, conv(x, w)> = <x, transpose(y, w)> = <w, weight(x, y)> for any x, w, y."""
    x, w, geometry = case
    y = np.random.default_rng(0).uniform(-1, 1, slow_convolution(x, w, **geometry).shape)
    form = np.sum(y * slow_convolution(x, w, **geometry))
    back = apply(CONVOLUTION_TRANSPOSE, as_tensor(y), as_tensor(w), size=x.shape[2:], **geometry)
    weight = apply(CONVOLUTION_WEIGHT, as_tensor(x), as_tensor(y), kernel=w.shape[2:], **geometry)
    assert back.shape == x.shape and weight.shape == w.shape
    np.testing.assert_allclose([np.sum(x * back.numpy()), np.sum(w * weight.numpy())], [form, form], atol=1e-10)
    np.testing.assert_allclose(back.numpy(), slow_transpose(y, w, x.shape[2:], **geometry), atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_it_is_scipys_correlation(axes: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, w = (
        rng.normal(size=(1, 1, *(7, 6, 5)[:axes])).astype(dtype),
        rng.normal(size=(1, 1, *(3, 2, 4)[:axes])).astype(dtype),
    )
    valid, full = conv(x, w, padding="valid"), conv_transpose(x, w)
    assert valid.dtype.name == full.dtype.name == dtype
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(valid.numpy()[0, 0], signal.correlate(x[0, 0], w[0, 0], "valid"), **tolerance)
    np.testing.assert_allclose(full.numpy()[0, 0], signal.convolve(x[0, 0], w[0, 0], "full"), **tolerance)


GEOMETRIES: list[tuple[Shape, Shape, dict[str, Any]]] = [
    ((2, 2, 5), (3, 2, 3), {}),
    ((2, 2, 6), (2, 2, 3), {"stride": 2, "padding": 1}),
    ((1, 4, 7), (4, 2, 2), {"groups": 2, "dilation": 2}),
    ((2, 2, 5, 4), (2, 2, 3, 2), {"padding": ((0, 1), (2, 0)), "stride": (2, 1)}),
    ((1, 3, 4, 4), (6, 1, 3, 3), {"groups": 3, "padding": "same"}),
    ((1, 1, 3, 4, 3), (2, 1, 2, 2, 2), {"stride": (1, 2, 1), "padding": (1, 0, 1)}),
]


@pytest.mark.parametrize(("image", "kernels", "options"), GEOMETRIES)
def test_derivatives_of_conv(image: Shape, kernels: Shape, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-1, 1, image), rng.uniform(-1, 1, kernels)
    check_gradients(lambda x, w: conv(x, w, **options), (x, w), order=2)


@pytest.mark.parametrize(
    ("image", "kernels", "options"),
    [
        ((2, 2, 4), (2, 3, 3), {}),
        ((2, 2, 3), (2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((1, 4, 3, 2), (4, 1, 2, 3), {"groups": 2, "dilation": 2, "stride": (1, 2)}),
    ],
)
def test_derivatives_of_conv_transpose(image: Shape, kernels: Shape, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-1, 1, image), rng.uniform(-1, 1, kernels)
    check_gradients(lambda x, w: conv_transpose(x, w, **options), (x, w), order=2)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_padding_keeps_the_size_and_adds_the_odd_zero_at_the_high_end(kernel: int, dilation: int) -> None:
    x, w = np.arange(1.0, 10.0).reshape(1, 1, 9), np.ones((1, 1, kernel))
    total = dilation * (kernel - 1)
    expected = conv(x, w, padding=((total // 2, total - total // 2),), dilation=dilation)
    found = conv(x, w, padding="same", dilation=dilation)
    assert found.shape == x.shape
    assert found.tolist() == expected.tolist()


def test_padding_may_be_given_in_every_form() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 1, 4, 5)), rng.normal(size=(1, 1, 3, 3))
    for padding, pairs in [
        (1, [(1, 1), (1, 1)]),
        ((1, 2), [(1, 1), (2, 2)]),
        ([(0, 2), 1], [(0, 2), (1, 1)]),
        ("valid", [(0, 0)] * 2),
    ]:
        padded = np.pad(x, [(0, 0), (0, 0), *pairs])
        assert conv(x, w, padding=padding).tolist() == conv(padded, w).tolist()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv_transpose_is_a_scatter_of_kernels_with_pytorchs_size(
    stride: int, padding: int, dilation: int, groups: int
) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 4, 3, 4)), rng.normal(size=(4, 3, 3, 2))
    for more in range(stride):
        size = tuple(
            (n - 1) * stride - 2 * padding + dilation * (k - 1) + more + 1
            for n, k in zip(x.shape[2:], w.shape[2:], strict=True)
        )
        geometry = {"stride": (stride,) * 2, "padding": ((padding,) * 2,) * 2, "dilation": (dilation,) * 2}
        found = conv_transpose(
            x, w, stride=stride, padding=padding, output_padding=more, dilation=dilation, groups=groups
        )
        assert found.shape == (2, 3 * groups, *size)
        np.testing.assert_allclose(found.numpy(), slow_transpose(x, w, size, groups, **geometry), atol=1e-12)


def test_integers_become_float32_and_two_types_meet() -> None:
    assert conv(np.ones((1, 1, 3), np.int64), np.ones((1, 1, 2), np.int64)).dtype.name == "float32"
    assert conv(np.ones((1, 1, 3), np.float32), np.ones((1, 1, 2))).dtype.name == "float64"
    assert conv(tensor(np.ones((1, 1, 3)), dtype="bfloat16"), np.ones((1, 1, 2), np.float32)).dtype.name == "float32"


@pytest.mark.parametrize(
    ("image", "kernels", "options", "message"),
    [
        ((3, 8), (4, 3, 3), {}, r"conv: the input needs a batch axis.*f64\[3, 8\]"),
        ((1, 3, 8, 8), (4, 3, 3), {}, "conv: .* equally many axes"),
        ((3, 8), (4, 3), {}, "conv: .* three or more"),
        ((1, 3, 8), (4, 2, 3), {}, "4 kernels over 2 channels each, in 1 groups, do not fit an input of 3 channels"),
        ((1, 4, 8), (3, 2, 3), {"groups": 2}, "3 kernels over 2 channels each, in 2 groups"),
        ((1, 4, 8), (4, 2, 3), {"groups": 0}, "in 0 groups"),
        ((1, 3, 2), (4, 3, 5), {"padding": 1}, r"reaches over \[5\] elements does not fit into \[4\]"),
        ((1, 3, 4), (4, 3, 3), {"dilation": 2}, r"reaches over \[5\] elements does not fit into \[4\]"),
        ((1, 3, 4), (4, 3, 0), {}, "must be 1 or more"),
        ((1, 3, 4), (4, 3, 3), {"stride": 0}, "must be 1 or more"),
        ((1, 3, 4), (4, 3, 3), {"stride": (1, 2)}, "conv: stride is one whole number, or one for each of 1 axes"),
        ((1, 3, 4), (4, 3, 3), {"dilation": (1, 2)}, "conv: dilation is one whole number"),
        ((1, 3, 4), (4, 3, 3), {"padding": (1, 2)}, "conv: padding is one number, or one or"),
        ((1, 3, 4), (4, 3, 3), {"padding": [(1, 2, 3)]}, "conv: padding is"),
        ((1, 3, 4), (4, 3, 3), {"padding": -1}, "none negative"),
        ((1, 3, 4), (4, 3, 3), {"stride": 1.5}, "conv: stride is one whole number.* not 1.5"),
        ((1, 3, 4), (4, 3, 3), {"padding": (0.5,)}, "conv: padding is one number"),
        ((1, 3, 4), (4, 3, 3), {"padding": "half"}, "'same' or 'valid', not 'half'"),
        ((1, 3, 4), (4, 3, 3), {"padding": "same", "stride": 2}, "for a stride of 1"),
    ],
)
def test_conv_says_what_does_not_fit(image: Shape, kernels: Shape, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        conv(np.ones(image), np.ones(kernels), **options)


@pytest.mark.parametrize(
    ("image", "kernels", "options", "message"),
    [
        ((3, 8), (3, 4, 3), {}, "conv_transpose: the input needs a batch axis"),
        ((1, 3, 8), (4, 3, 3), {}, "kernels for 4 channels in 1 groups do not fit an input of 3 channels"),
        ((1, 3, 8), (3, 4, 3), {"groups": 2}, "kernels for 3 channels in 2 groups"),
        ((1, 3, 8), (3, 4, 3), {"output_padding": 1}, r"output_padding \[1\] must be less than the stride \[1\]"),
        ((1, 3, 8), (3, 4, 3), {"output_padding": -1}, "output_padding"),
        ((1, 3, 1), (3, 4, 3), {"padding": 2}, r"a result of \[-1\] is left"),
        ((1, 3, 8), (3, 4, 3), {"stride": (1, 1)}, "conv_transpose: stride"),
        ((1, 3, 8), (3, 4, 3), {"padding": "same"}, "conv_transpose: padding is one number"),
    ],
)
def test_conv_transpose_says_what_does_not_fit(
    image: Shape, kernels: Shape, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        conv_transpose(np.ones(image), np.ones(kernels), **options)


def test_the_operations_themselves_check_what_they_are_given() -> None:
    plain: dict[str, Any] = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    x, w, y = (as_tensor(np.ones(shape)) for shape in ((2, 3, 5), (4, 3, 2), (2, 4, 4)))
    with pytest.raises(ShapeError, match="needed, not"):
        apply(CONVOLUTION, x, as_tensor(np.ones((4, 3, 2), np.float32)), **plain)
    with pytest.raises(ShapeError, match="one pair for each"):
        apply(CONVOLUTION, x, w, **{**plain, "padding": ()})
    with pytest.raises(ShapeError, match="must have one entry for each"):
        apply(CONVOLUTION, x, w, **{**plain, "stride": (1, 1)})
    with pytest.raises(ShapeError, match="needed, not"):
        apply(CONVOLUTION_TRANSPOSE, y, as_tensor(np.ones((4, 3))), **plain, size=(5,))
    with pytest.raises(ShapeError, match=r"gives f64\[2, 4, 5\], not f64\[2, 4, 4\]"):
        apply(CONVOLUTION_TRANSPOSE, y, w, **plain, size=(6,))
    with pytest.raises(ShapeError, match="needed, not"):
        apply(CONVOLUTION_WEIGHT, x, as_tensor(np.ones((2, 4))), **plain, kernel=(2,))
    with pytest.raises(ShapeError, match=r"gives f64\[2, 4, 3\], not f64\[2, 4, 4\]"):
        apply(CONVOLUTION_WEIGHT, x, y, **plain, kernel=(3,))
    with pytest.raises(ShapeError, match="in 0 groups"):
        apply(CONVOLUTION_WEIGHT, x, y, **{**plain, "groups": 0}, kernel=(2,))


@pytest.mark.parametrize("op", [CONVOLUTION, CONVOLUTION_TRANSPOSE, CONVOLUTION_WEIGHT], ids=str)
def test_the_declaration_keeps_its_promises(op: Op) -> None:
    check_op(op, seeds=range(2))
