"""RNN, LSTM, GRU and their cells: sequences of different lengths, directions, layers, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import losses, nn, optim
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, ShapeError
from chainrule.random import seed
from chainrule.tensor import Tensor, tensor
from chainrule.testing import check_gradients
from chainrule.trees import flatten

RNG = np.random.default_rng(0)
LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}
LENGTHS = [2, 5, 1]


def states_of(returned: Any) -> list[Tensor]:
    """The last states as a list."""
    return [x for x in flatten(returned)[0] if isinstance(x, Tensor)]


def first_states(kind: Any, *shape: int) -> Any:
    h, c = RNG.normal(size=shape), RNG.normal(size=shape)
    return (h, c) if kind is nn.LSTM else h


# ---- what they compute: tests/agreement compares with PyTorch; here is what that cannot say --------------------------


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_its_cell_step_by_step(kind: Any) -> None:
    layer, cell = kind(3, 4, dtype="float64"), CELLS[kind](3, 4, dtype="float64")
    cell.load_state_dict({name.removesuffix("_l0"): x for name, x in layer.state_dict().items()})
    x = RNG.normal(size=(5, 2, 3))
    out, last = layer(x)
    state = None
    for t in range(5):
        state = cell(x[t], state)
        np.testing.assert_allclose(out[t].numpy(), states_of(state)[0].numpy(), rtol=1e-12)
    for found, expected in zip(states_of(last), states_of(state), strict=True):
        np.testing.assert_allclose(found.numpy()[0], expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("layer", [*(kind(3, 4) for kind in LAYERS), nn.LSTM(3, 4, proj_size=2), nn.GRUCell(3, 4)])
def test_data_types_meet_in_the_wider_one(layer: nn.Module) -> None:
    found = states_of(layer(RNG.normal(size=(5, 3))))
    assert {x.dtype.name for x in found} == {"float64"}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}])
def test_with_lengths_each_sequence_is_as_if_it_were_alone(kind: Any, options: dict[str, Any]) -> None:
    layer, x = kind(3, 4, batch_first=True, dtype="float64", **options), RNG.normal(size=(3, 5, 3))
    count = layer.num_layers * (1 + layer.bidirectional)
    first = first_states(kind, count, 3, 4)
    out, last = layer(x, first, lengths=LENGTHS)
    for i, n in enumerate(LENGTHS):
        own = tuple(s[:, i] for s in first) if kind is nn.LSTM else first[:, i]
        alone, ends = layer(x[i, :n], own)
        np.testing.assert_allclose(out[i, :n].numpy(), alone.numpy(), rtol=1e-12)
        assert not out[i, n:].numpy().any()
        for found, expected in zip(states_of(last), states_of(ends), strict=True):
            np.testing.assert_allclose(found.numpy()[:, i], expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_what_is_beyond_a_length_changes_nothing_and_gets_no_gradient(kind: Any) -> None:
    layer, x = (
        kind(3, 4, 2, bidirectional=True, dtype="float64"),
        tensor(RNG.normal(size=(5, 3, 3)), requires_grad=True),
    )
    inside = np.arange(5)[:, None] < np.array(LENGTHS)
    out, last = layer(x, lengths=LENGTHS)
    (out.sum() + sum(s.sum() for s in states_of(last))).backward()
    assert x.grad is not None
    reached = (x.grad.numpy() != 0).any(-1)
    np.testing.assert_array_equal(reached, inside)
    other = np.where(inside[..., None], x.numpy(), 100.0)
    for found, expected in zip(states_of(layer(other, lengths=LENGTHS)), states_of((out, last)), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("lengths", [None, [2, 1]])
def test_derivatives_hold_to_second_order(kind: Any, lengths: list[int] | None) -> None:
    layer = kind(2, 2, bidirectional=True)
    check_gradients(lambda layer, x: layer(x, lengths=lengths), (layer, RNG.normal(size=(2, 2, 2))), components=3)


def test_derivatives_of_a_projected_lstm_hold_to_second_order() -> None:
    layer = nn.LSTM(2, 3, proj_size=2)
    check_gradients(lambda layer, x: layer(x), (layer, RNG.normal(size=(2, 1, 2))), components=3)


# ---- compiled -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_compiled_training_step_does_what_the_eager_one_does(kind: Any, dtype: str) -> None:
    x = RNG.normal(size=(3, 5, 4)).astype(dtype)
    lengths = np.array(LENGTHS)

    def trained(how: Any) -> list[np.ndarray]:
        seed(0)
        layer = kind(4, 6, 2, batch_first=True, bidirectional=True, dtype=dtype)
        optimizer = optim.SGD(layer.parameters(), lr=0.1)

        @how
        def step(x: Any, lengths: Any) -> Tensor:
            out, last = layer(x, lengths=lengths)
            loss = (out * out).mean() + sum((s * s).mean() for s in states_of(last))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        found = [step(x, lengths).numpy() for _ in range(2)]
        return [*found, *layer.state_dict().values()]

    for found, expected in zip(trained(compile), trained(lambda f: f), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "float32" else 1e-10, atol=1e-6)


def test_an_lstm_learns_to_remember_the_first_symbol() -> None:
    seed(0)
    net = nn.LSTM(2, 8, batch_first=True)
    head = nn.Linear(8, 1)
    optimizer = optim.Adam([*net.parameters(), *head.parameters()], lr=0.05)
    x = RNG.normal(size=(32, 6, 2)).astype(np.float32)
    target = (x[:, 0, :1] > 0).astype(np.float32)

    @compile
    def train() -> Tensor:
        _, (h, _) = net(x)
        loss = losses.binary_cross_entropy_with_logits(head(h[-1]), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(150):
        loss = train()
    assert loss.item() < 0.1


# ---- how they are made --------------------------------------------------------------------------------------------


def test_parameters_have_pytorchs_names_shapes_and_order() -> None:
    layer = nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2)
    shapes = {name: x.shape for name, x in layer.named_parameters()}
    first = {"weight_ih": (20, 3), "weight_hh": (20, 2), "bias_ih": (20,), "bias_hh": (20,), "weight_hr": (2, 5)}
    ends = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
    expected = {f"{name}{end}": shape for end in ends for name, shape in first.items()}
    expected |= {"weight_ih_l1": (20, 4), "weight_ih_l1_reverse": (20, 4)}
    assert shapes == expected and list(shapes) == list(expected)
    assert [name for name, _ in nn.GRU(3, 5, bias=False).named_parameters()] == ["weight_ih_l0", "weight_hh_l0"]


@pytest.mark.parametrize("layer", [nn.GRU(7, 100), nn.GRUCell(7, 100)])
def test_parameters_start_uniform_within_one_over_the_root_of_the_hidden_units(layer: nn.Module) -> None:
    for x in layer.parameters():
        values = x.numpy()
        assert values.dtype == np.float32 and np.abs(values).max() <= 0.1
        assert np.abs(values).max() > 0.095 and abs(values.std() - 0.1 / np.sqrt(3)) < 0.006


def test_they_say_how_they_were_made() -> None:
    made = nn.RNN(2, 3, 2, "relu", False, True, 0.5, True)
    shown = (
        "RNN(2, 3, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True, nonlinearity='relu')"
    )
    assert made.describe() == shown
    assert nn.LSTM(2, 3, proj_size=1).describe() == "LSTM(2, 3, proj_size=1)" and nn.GRU(2, 3).describe() == "GRU(2, 3)"
    assert nn.RNNCell(2, 3, False, "relu").describe() == "RNNCell(2, 3, bias=False, nonlinearity='relu')"
    assert nn.LSTMCell(2, 3).describe() == "LSTMCell(2, 3)"


def test_dropout_is_between_layers_and_in_training_alone() -> None:
    x = RNG.normal(size=(4, 2, 3)).astype(np.float32)
    one, two = nn.GRU(3, 5, dropout=0.9), nn.GRU(3, 5, 2, dropout=0.9)
    np.testing.assert_array_equal(one(x)[0].numpy(), one(x)[0].numpy())
    assert (two(x)[0].numpy() != two(x)[0].numpy()).any()
    two.eval()
    np.testing.assert_array_equal(two(x)[0].numpy(), two(x)[0].numpy())
    all_dropped = nn.GRU(3, 5, 2, dropout=1.0)
    np.testing.assert_array_equal(all_dropped(x)[0].numpy(), all_dropped(0 * x)[0].numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LSTM(0, 3), "input_size must be a whole number of at least 1"),
        (lambda: nn.GRU(3, 0), "hidden_size must be a whole number of at least 1"),
        (lambda: nn.RNN(3, 3, num_layers=0), "num_layers must be"),
        (lambda: nn.RNN(3, 3, nonlinearity="sine"), 'nonlinearity must be "tanh" or "relu", not \'sine\''),
        (lambda: nn.RNNCell(3, 3, nonlinearity="sine"), "nonlinearity must be"),
        (lambda: nn.GRU(3, 3, dropout=1.5), "dropout must be a number"),
        (lambda: nn.LSTM(3, 3, proj_size=3), "proj_size must be less than hidden_size, 3, not 3"),
        (lambda: nn.GRUCell(3, 0), "hidden_size must be"),
    ],
)
def test_arguments_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: nn.LSTM(3, 4)(np.ones((5, 2, 4))),
            r"LSTM: an input \[steps, batch, 3\] or \[steps, 3\] is needed, not",
        ),
        (lambda: nn.LSTM(3, 4, batch_first=True)(np.ones(3)), r"LSTM: an input \[batch, steps, 3\] or \[steps, 3\]"),
        (lambda: nn.GRU(3, 4)(np.ones((0, 2, 3))), "a sequence needs at least one step"),
        (lambda: nn.GRU(3, 4, batch_first=True)(np.ones((2, 0, 3))), "a sequence needs at least one step"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 2, 3)), np.ones((1, 3, 4))), r"state h must have shape \[1, 2, 4\], not"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 3)), np.ones((1, 1, 4))), r"state h must have shape \[1, 4\], not"),
        (lambda: nn.LSTM(3, 4)(np.ones((5, 2, 3)), np.ones((1, 2, 4))), r"must be a pair \(h, c\)"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 2, 3)), lengths=[1, 2, 3]), r"one for each of 2 sequences of a batch, \[2\]"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 3)), lengths=[1]), "sequences of a batch"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 2, 3)), lengths=[6, 1]), "a length of 6 is not from 1 to 5"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 2, 3)), lengths=[0, 1]), "a length of 0 is not from 1 to 5"),
        (lambda: nn.RNNCell(3, 4)(np.ones((2, 4))), r"RNNCell: an input \[batch, 3\] or \[3\] is needed"),
        (lambda: nn.RNNCell(3, 4)(np.ones((2, 3)), np.ones((1, 4))), r"1 of shape \[2, 4\] make the state, not"),
        (lambda: nn.LSTMCell(3, 4)(np.ones((2, 3)), np.ones((2, 4))), r"2 of shape \[2, 4\] make the state, not"),
    ],
)
def test_they_say_what_they_need(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()
