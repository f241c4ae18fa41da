"""What embedded symbols are multiplied with meets the table instead, if that has fewer rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn
from chainrule.compiler.ir import Node
from chainrule.compiler.simplify import simplified
from chainrule.errors import IndexingError
from chainrule.random import seed
from chainrule.testing.rounding import same_bits
from chainrule.trace import trace
from chainrule.types import Array

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(9, 24)).astype(np.float32)
WEIGHT = RNG.normal(size=(24, 7)).astype(np.float32)
BIAS = RNG.normal(size=7).astype(np.float32)
SYMBOLS = RNG.integers(9, size=(6, 10))
CT = RNG.normal(size=(60, 7)).astype(np.float32)


def flat(x: cr.Tensor) -> cr.Tensor:
    return x.reshape((-1, x.shape[-1]))


def turned(x: cr.Tensor) -> cr.Tensor:
    return cr.permute_dims(x, (1, 0, 2)).reshape((-1, x.shape[-1]))


def products(function: Callable[..., Any], *args: Any) -> list[tuple[int, ...]]:
    """Rows, depth and columns of the products in a program."""
    found = simplified(trace(function)(*args)).nodes
    return [(*x.inputs[0].type.shape, x.type.shape[1]) for x in found if x.op is not None and x.op.name == "matmul"]


def layer(order: Callable[[cr.Tensor], cr.Tensor]) -> Callable[[Array], tuple[cr.Tensor, ...]]:
    """The output of a layer that reads symbols, and the gradients of table, weight and bias."""

    def of(symbols: Array) -> tuple[cr.Tensor, ...]:
        def forward(table: cr.Tensor, weight: cr.Tensor, bias: cr.Tensor) -> cr.Tensor:
            return order(cr.take(table, symbols, axis=0)) @ weight + bias

        y, pullback = cr.vjp(forward, TABLE, WEIGHT, BIAS)
        return y, *pullback(CT)

    return of


@pytest.mark.parametrize("order", [flat, turned])
def test_no_product_has_more_rows_than_the_table(order: Callable[[cr.Tensor], cr.Tensor]) -> None:
    function = layer(order)
    assert sorted(products(function, SYMBOLS)) == [(9, 7, 24), (9, 24, 7), (24, 9, 7)]
    compiled = cr.compile(function)(SYMBOLS)
    for found, expected in zip(compiled, function(SYMBOLS), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_the_gradient_of_rows_that_nobody_reads_is_zero() -> None:
    by_table = cr.compile(layer(flat))(SYMBOLS % 4)[1].numpy()
    assert by_table[:4].all() and not by_table[4:].any()


def test_cotangents_are_added_up_once() -> None:
    found = simplified(trace(layer(turned))(SYMBOLS)).nodes
    assert [x.op.name for x in found if x.op is not None].count("scatter_add") == 1


@pytest.mark.parametrize(("rows", "columns"), [(40, 24), (9, 8)])
def test_a_large_or_narrow_table_is_gathered_first(rows: int, columns: int) -> None:
    def function(symbols: Array) -> cr.Tensor:
        table, weight = np.ones((rows, columns), np.float32), np.ones((columns, 7), np.float32)
        return cr.take(cr.tensor(table) * 2.0, symbols, axis=0).reshape((-1, columns)) @ weight

    assert products(function, SYMBOLS) == [(60, columns, 7)]


def test_rows_whose_elements_change_places_are_gathered_first() -> None:
    def function(symbols: Array) -> cr.Tensor:
        x = cr.take(cr.tensor(TABLE) * 2.0, symbols, axis=0)
        return cr.permute_dims(x, (0, 2, 1)).reshape((-1, 10)) @ np.ones((10, 3), np.float32)

    assert products(function, SYMBOLS) == [(144, 10, 3)]
    assert same_bits(cr.compile(function)(SYMBOLS).numpy(), function(SYMBOLS).numpy()).all()


def test_what_is_added_to_an_old_gradient_stays() -> None:
    def function(ct: Array) -> cr.Tensor:
        return cr.scatter_add(np.ones((9, 24), np.float32), SYMBOLS.ravel(), cr.matmul(ct, WEIGHT.T))

    np.testing.assert_allclose(cr.compile(function)(CT).numpy(), function(CT).numpy(), rtol=1e-4, atol=1e-5)


def test_indices_outside_are_found() -> None:
    with pytest.raises(IndexingError, match="outside"):
        cr.compile(layer(flat))(np.full((6, 10), 9))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_recurrent_network_learns_as_it_does_uncompiled(kind: type[nn.LSTM | nn.GRU]) -> None:
    def trained(compiled: bool) -> list[float]:
        seed(0)
        model = nn.ModuleDict({"embed": nn.Embedding(9, 24), "cells": kind(24, 16, batch_first=True)})
        optimizer = cr.optim.Adam(model.parameters(), lr=1e-2)

        def step(symbols: Array) -> cr.Tensor:
            h = model["cells"](model["embed"](symbols))[0]
            loss = losses.cross_entropy(h.reshape((-1, 16)), symbols.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        if compiled:
            assert not [p for p in products(step, SYMBOLS) if p[0] == 60 and 24 in p]
            step = cr.compile(step)
        return [step(SYMBOLS).item() for _ in range(8)]

    np.testing.assert_allclose(trained(compiled=True), trained(compiled=False), rtol=1e-4)


def test_no_node_is_lost() -> None:
    ir = simplified(trace(layer(turned))(SYMBOLS))
    ir.verify()
    assert all(isinstance(x, Node) for x in ir.results)
