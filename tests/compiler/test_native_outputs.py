"""Operations with loops of their own: several outputs, outputs in the order of an input, and micro-kernels."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.apply import apply, apply_several
from chainrule.kernel import Native
from chainrule.native.contraction import MicroKernel, Tile, call
from chainrule.native.job import Job
from chainrule.native.lanes import Lanes
from chainrule.native.loops.axes import nest
from chainrule.native.target import Target
from chainrule.op import NON_DIFFERENTIABLE, REGISTRY, Op, define
from chainrule.samples import floats
from chainrule.testing import check_compiled
from chainrule.types import FLOATS, TensorType, float32, int32

ROWS, COLUMNS = 3, 2  # of the tile, in rows and vectors


def _signs(job: Job) -> None:
    f, (x,), (size, sign) = job.f, job.inputs, job.outputs
    v = Lanes(f, 1)
    with f.loop(f.begin, f.end) as loop, nest(f, x.shape[1:]) as rest:
        value = x.load(v, (loop.index, *rest))
        size.store(v.abs(value), (loop.index, *rest))
        sign.store(v.cast(v.less(value, 0.0), int32), (loop.index, *rest))


def _tile(target: Target) -> MicroKernel:
    return Tile(float32, ROWS, COLUMNS, along=True)


def _tile_product(job: Job) -> None:
    """Three rows times as many columns as the tile has: padded in the thread's own memory."""
    f, (x, y), (out,) = job.f, job.inputs, job.outputs
    assert job.scratch is not None
    wide, one = f.target.lanes(4) * COLUMNS, Lanes(f, 1)
    k, n = y.shape
    with f.when(f.compare("slt", f.begin, f.end)):
        with nest(f, (k, n)) as (i, j):
            one.store(y.load(one, (i, j)), job.scratch, f.add(f.mul(i, wide), j))
        sums = f.at(job.scratch, k * wide, 4)
        kernel = job.micro[_tile(f.target)]
        call(f, kernel, x.pointer, k * 4, job.scratch, wide * 4, sums, wide * 4, k, 0)
        with nest(f, (ROWS, n)) as (i, j):
            out.store(one.load(float32, sums, f.add(f.mul(i, wide), j)), (i, j))


def _product_type(x: TensorType, y: TensorType) -> TensorType:
    return x.with_shape((x.shape[0], y.shape[1]))


def _declare() -> Sequence[Op]:
    signs = define(
        "signs",
        takes=(FLOATS,),
        infer=lambda x: (x, x.with_dtype(int32)),
        numpy=lambda x: (np.abs(x), (x < 0).astype(np.int32)),
        vjp=NON_DIFFERENTIABLE,
        samples=floats(),
        kernel=Native(_signs, lambda x: x.shape[0], follows=0),
    )
    product = define(
        "tile_product",
        takes=(FLOATS,),
        infer=_product_type,
        numpy=np.matmul,
        vjp=NON_DIFFERENTIABLE,
        samples=floats(),
        kernel=Native(
            _tile_product,
            lambda x, y: 1,
            scratch=lambda x, y: (y.shape[0] + ROWS) * COLUMNS * 64,
            micro=lambda target, x, y: (_tile(target),),
        ),
    )
    return signs, product


@pytest.fixture
def own() -> Generator[Sequence[Op]]:
    yield _declare()
    del REGISTRY["signs"], REGISTRY["tile_product"]


def test_each_output_can_be_used_and_given_back(own):
    def f(x: Any) -> Any:
        size, sign = apply_several(own[0], x)
        return size, sign, (size * 2.0 + sign).sum()

    x = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]], np.float32)
    size, sign, total = cr.compile(f)(x)
    assert (size.numpy() == np.abs(x)).all() and (sign.numpy() == (x < 0)).all()
    assert total.item() == 2 * 21 + 3


def test_outputs_that_nobody_asks_for_are_made_all_the_same(own):
    x = np.arange(-4.0, 4.0, dtype=np.float32).reshape(2, 4)
    assert (cr.compile(lambda x: apply_several(own[0], x)[1])(x).numpy() == (x < 0)).all()


def test_outputs_follow_the_order_of_an_input(own):
    def f(x: Any) -> Any:
        turned = cr.permute_dims(x, (0, 3, 1, 2))
        size, _ = apply_several(own[0], turned)
        return cr.permute_dims(size, (0, 2, 3, 1)) + 1.0

    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5), np.float32)
    step = cr.compile(f)
    np.testing.assert_array_equal(step(x).numpy(), np.abs(x) + 1)
    assert "copy" not in [row.kind for row in step.kernels.rows]


def test_compiled_equals_interpreted(own):
    def f(x: Any) -> Any:
        return [y * 2 for y in apply_several(own[0], x.T)]

    x = np.random.default_rng(0).standard_normal((3, 4), np.float32)
    check_compiled(cr.trace(f)(x), [x])


def test_a_body_calls_micro_kernels(own):
    random = np.random.default_rng(0)
    x, y = random.standard_normal((ROWS, 5), np.float32), random.standard_normal((5, 4), np.float32)
    found = cr.compile(lambda x, y: apply(own[1], x, y))(x, y)
    np.testing.assert_allclose(found.numpy(), x @ y, rtol=1e-5)
