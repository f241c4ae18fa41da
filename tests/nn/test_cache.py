"""Keys and values kept from step to step give what the whole sequence gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import nn
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.tensor import Tensor, tensor

RNG = np.random.default_rng(0)


class Model(nn.Module):
    """A small model of language with a stack of attention."""

    def __init__(self) -> None:
        self.embedding = nn.Embedding(7, 8, dtype="float64")
        self.positions = nn.SinusoidalPositions(12, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True, dtype="float64")
        self.blocks = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 7, dtype="float64")

    def forward(self, tokens: Any, caches: Any = None) -> Tensor:
        position = 0 if caches is None else caches[0].position
        x = self.positions(self.embedding(tokens), position)
        return self.head(self.blocks(x, is_causal=True, caches=caches))


def caches(count: int = 2, batch: int = 2, length: int = 12) -> list[nn.KeyValueCache]:
    return [nn.KeyValueCache(batch, 2, length, 4, dtype="float64") for _ in range(count)]


@pytest.mark.parametrize("first", [1, 5])
@pytest.mark.parametrize("compiled", [False, True])
def test_step_by_step_gives_what_the_whole_sequence_gives(compiled: bool, first: int) -> None:
    model, tokens, kept = Model(), RNG.integers(0, 7, (2, 12)), caches()

    def step(tokens: Any) -> Tensor:
        return model(tokens, kept)

    run = compile(step) if compiled else step
    found = [run(tokens[:, :first]).numpy()]
    found += [run(tokens[:, i : i + 1]).numpy() for i in range(first, 12)]
    np.testing.assert_allclose(np.concatenate(found, 1), model(tokens).numpy(), atol=1e-12)
    assert kept[0].position.item() == 12


def test_one_program_serves_all_steps() -> None:
    model, kept = Model(), caches()
    step = compile(lambda tokens: model(tokens, kept))
    token = np.zeros((2, 1), np.int64)
    step(token)
    graph = step.graph
    for _ in range(4):
        step(token)
    assert step.graph is graph and kept[1].position.item() == 5


def test_a_cache_starts_again() -> None:
    model, tokens, kept = Model(), RNG.integers(0, 7, (2, 4)), caches()
    first = model(tokens, kept).numpy()
    for cache in kept:
        cache.reset()
    np.testing.assert_array_equal(model(tokens, kept).numpy(), first)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_that_has_no_room_is_an_error(compiled: bool) -> None:
    kept = nn.KeyValueCache(1, 1, 3, 2)

    def step(x: Any) -> Any:
        return kept.update(x, x)[0]

    run, new = compile(step) if compiled else step, np.ones((1, 1, 2, 2), np.float32)
    run(new)
    with pytest.raises(IndexingError):
        run(new)


def test_a_target_is_decoded_step_by_step() -> None:
    layer = nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True, dtype="float64")
    decoder, memory, x = nn.TransformerDecoder(layer, 2), RNG.normal(size=(2, 5, 8)), RNG.normal(size=(2, 12, 8))
    kept = caches()
    found = [decoder(x[:, i : i + 1], memory, caches=kept).numpy() for i in range(12)]
    np.testing.assert_allclose(np.concatenate(found, 1), decoder(x, memory, tgt_is_causal=True).numpy(), atol=1e-12)


def test_gradients_pass_through_the_steps_of_one_call() -> None:
    kept, x = nn.KeyValueCache(1, 1, 4, 2), tensor(np.ones((1, 1, 2, 2)), "float32", requires_grad=True)
    keys, values, _ = kept.update(x, x)
    (keys * 2.0 + values).sum().backward()
    assert x.grad is not None and (x.grad.numpy() == 3.0).all()
    assert not kept.keys.requires_grad


def test_keys_that_do_not_fit_and_masks_beside_a_cache_are_refused() -> None:
    kept, x = nn.KeyValueCache(2, 2, 4, 4), np.zeros((2, 1, 8), np.float32)
    with pytest.raises(ShapeError, match="does not fit buffers"):
        kept.update(np.zeros((2, 2, 1, 4)), np.zeros((2, 2, 2, 4)))
    with pytest.raises(DefinitionError, match="with a cache there are neither masks"):
        nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x, np.zeros((2, 1), bool), cache=kept)
    with pytest.raises(DefinitionError, match="a cache for each of 2 layers is needed, not 1"):
        Model()(np.zeros((2, 1), np.int64), caches(1))
    assert repr(kept).startswith("KeyValueCache(2, 2, 4, 4)")
