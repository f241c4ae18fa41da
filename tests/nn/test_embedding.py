"""Vectors for symbols."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import IndexingError
from chainrule.trace import trace


def test_embedding_reads_rows() -> None:
    layer, indices = nn.Embedding(5, 3), np.array([[0, 4], [2, 2]])
    np.testing.assert_array_equal(layer(indices).numpy(), layer.weight.numpy()[indices])


def test_embedding_gradients_add_up_and_never_reach_the_padding() -> None:
    layer = nn.Embedding(4, 2, padding_idx=-1)
    assert layer.weight.tolist()[3] == [0.0, 0.0] and repr(layer) == "Embedding(4, 2, padding_idx=3)  8 parameters"
    layer([1, 1, 3, 0]).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[1.0, 1.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("index", [-1, 4])
def test_embedding_refuses_symbols_that_it_does_not_have(index: int) -> None:
    with pytest.raises(IndexingError, match=f"symbol {index} is not among 4 symbols"):
        nn.Embedding(4, 2)([0, index])


def test_embedding_refuses_floats_and_a_padding_that_it_does_not_have() -> None:
    with pytest.raises(IndexingError, match="indices must be integers"):
        nn.Embedding(4, 2)([0.0])
    with pytest.raises(IndexingError, match="padding_idx 4"):
        nn.Embedding(4, 2, padding_idx=4)


def test_a_traced_embedding_takes_indices_that_are_not_known() -> None:
    graph = trace(nn.Embedding(4, 2))(np.array([0, 1]))
    assert graph.outputs[0].shape == (2, 2)
