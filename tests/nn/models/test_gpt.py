from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from chainrule import losses, optim
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn.models import GPT
from chainrule.random import Generator
from chainrule.tensor import Tensor
from chainrule.testing import check_gradients

TOKENS = np.random.default_rng(0).integers(0, 11, (2, 6))


def small(**changes: object) -> GPT:
    options: dict[str, object] = {"width": 8, "layers": 2, "heads": 2, "generator": Generator(0)} | changes
    return GPT(11, 6, **options)  # pyright: ignore[reportArgumentType]


def loss_of(model: GPT, tokens: np.ndarray) -> Tensor:
    logits = model(tokens[:, :-1])
    return losses.cross_entropy(logits.reshape((-1, model.vocab_size)), tokens[:, 1:].reshape(-1))


def test_it_learns_a_sequence_by_heart_and_writes_it() -> None:
    sequence = np.random.default_rng(1).permutation(11)
    tokens = np.stack([np.roll(sequence, -i)[:7] for i in range(11)])
    model = small(width=16)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)

    @compile
    def step(tokens: Tensor) -> Tensor:
        loss = loss_of(model, tokens)  # pyright: ignore[reportArgumentType]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    first, *_ = [step(tokens).item() for _ in range(120)]
    assert abs(first - np.log(11)) < 0.3
    assert loss_of(model, tokens).item() < 0.05
    written = list(model.generate(sequence[:2].tolist(), 20, temperature=0.0))
    assert written == np.resize(np.roll(sequence, -2), 20).tolist()


def test_a_token_sees_none_of_those_after_it() -> None:
    model = small().eval()
    changed = TOKENS.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % 11
    np.testing.assert_array_equal(model(TOKENS).numpy()[:, :4], model(changed).numpy()[:, :4])
    assert not np.allclose(model(TOKENS).numpy()[:, 4:], model(changed).numpy()[:, 4:])


def test_generation_with_a_memory_takes_the_same_tokens_as_reading_all_again() -> None:
    model = small(tied=False, layers=3)
    for x in model.parameters():
        x.assign(Generator(3).normal(x.shape, std=0.5))
    model.eval()
    tokens = [3, 1]
    for _ in range(4):
        tokens.append(int(model([tokens]).numpy()[0, -1].argmax()))
    assert list(model.generate([3, 1], 4, temperature=0.0)) == tokens[2:]


def test_generation_goes_on_with_the_later_half_when_the_context_is_full() -> None:
    model = small().eval()
    written = list(model.generate([1, 2, 3, 4, 5, 6, 7, 8], 4, temperature=0.0))
    tokens, seen = [1, 2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8]
    for _ in range(4):
        seen = seen if len(seen) <= 6 else tokens[-3:]
        tokens.append(int(model([seen]).numpy()[0, -1].argmax()))
        seen = [*seen, tokens[-1]]
    assert written == tokens[8:]


def test_a_seed_decides_what_is_drawn_and_generation_leaves_the_mode() -> None:
    model = small(dropout=0.5)
    first, again, other = (list(model.generate([1], 12, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert model.training and model.transformer.drop.training


def test_the_names_of_parameters_are_those_of_gpt_2() -> None:
    names = [name for name, _ in small(layers=1, tied=False).named_parameters()]
    block = ["ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"]
    within = [f"transformer.h.0.{layer}.{kind}" for layer in block for kind in ("weight", "bias")]
    ends = ["transformer.ln_f.weight", "transformer.ln_f.bias", "lm_head.weight"]
    assert names == ["transformer.wte.weight", "transformer.wpe.weight", *within, *ends]
    assert not any("bias" in name for name, _ in small(bias=False).named_parameters())


def test_first_weights_are_those_of_gpt_2_and_a_seed_decides_them() -> None:
    model, again = (GPT(50, 32, 64, 2, 2, generator=Generator(5)) for _ in range(2))
    state = model.state_dict()
    assert abs(state["transformer.wte.weight"].std() - 0.02) < 0.001
    assert abs(state["transformer.h.1.mlp.c_proj.weight"].std() - 0.02 / sqrt(4)) < 0.0005
    assert not state["transformer.h.1.attn.c_attn.bias"].any() and (state["transformer.ln_f.weight"] == 1).all()
    assert all((again.state_dict()[name] == x).all() for name, x in state.items())


def test_gradients_are_right_and_compiled_is_eager() -> None:
    model = small(layers=1)
    for x in model.parameters():
        x.assign(Generator(3).normal(x.shape, std=0.5))
    model.eval()
    check_gradients(lambda model: loss_of(model, TOKENS), [model], order=1, components=2)
    np.testing.assert_allclose(compile(model)(TOKENS).numpy(), model(TOKENS).numpy(), atol=2e-6)


def test_bad_sizes_and_tokens_are_refused() -> None:
    with pytest.raises(DefinitionError, match="3 heads cannot share a width of 8"):
        small(heads=3)
    with pytest.raises(DefinitionError, match="layers must be a whole number of at least 1, not 0"):
        small(layers=0)
    with pytest.raises(ShapeError, match=r"GPT: tokens \[batch, 1 to 6\] are needed, not i64\[2, 7\]"):
        small()(np.zeros((2, 7), np.int64))
    with pytest.raises(IndexingError, match="tokens from 0 to 10 is needed"):
        small().generate([], 3)
    with pytest.raises(IndexingError):
        small().generate([11], 3)
    with pytest.raises(DefinitionError, match="temperature"):
        small().generate([1], 3, temperature=-1.0)
