"""What all optimizers share: what they take, skip, save and restore, and that a step can be traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import losses, nn, ops, optim
from chainrule.errors import DefinitionError, StateError
from chainrule.interpret import interpret
from chainrule.nn import Parameter
from chainrule.optim import Optimizer, clip_grad_norm
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace

ALL: list[Callable[..., Optimizer]] = [
    optim.SGD,
    lambda parameters, **kw: optim.SGD(parameters, momentum=0.9, dampening=0.1, **kw),
    optim.Adam,
    optim.AdamW,
    lambda parameters, **kw: optim.RMSprop(parameters, momentum=0.9, centered=True, **kw),
    optim.Adagrad,
    lambda parameters, **kw: optim.Adadelta(parameters, eps=1e-2, **kw),
    optim.Adamax,
    optim.LAMB,
    optim.Lion,
    optim.NAdam,
    optim.RAdam,
    optim.Rprop,
]
NAMES = "sgd momentum adam adamw rmsprop adagrad adadelta adamax lamb lion nadam radam rprop"
every = pytest.mark.parametrize("make", ALL, ids=NAMES.split())
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def small_model() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    rng = np.random.default_rng(1)
    for x in model.parameters():
        x.assign(rng.normal(size=x.shape).astype(np.float32))
    return model


def training_step(model: nn.Module, optimizer: Optimizer) -> Callable[..., Tensor]:
    def step(x: Any, y: Any) -> Tensor:
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def test_the_single_neuron_learns_as_calculated_by_hand() -> None:
    w, b = Parameter([0.5, -0.5], "float64"), Parameter(0.1, "float64")
    optimizer = optim.SGD([w, b], lr=0.1)
    p = ops.sigmoid((w * [1.0, 2.0]).sum() + b)
    losses.binary_cross_entropy(p, 1.0).backward()
    optimizer.step()
    np.testing.assert_allclose(w.numpy(), [0.5598688, -0.3802625], atol=5e-8)
    np.testing.assert_allclose(b.numpy(), 0.1598688, atol=5e-8)


@every
def test_a_traced_step_does_what_an_eager_one_does(make: Callable[..., Optimizer]) -> None:
    eager, traced = small_model(), small_model()
    step = training_step(eager, make(eager.parameters(), lr=0.1))
    optimizer = make(traced.parameters(), lr=0.1)
    graph = trace(training_step(traced, optimizer))(X, Y)
    graph.verify()
    assert {id(outside) for outside, _ in graph.assigned} >= {id(x) for x in traced.parameters()}
    for _ in range(3):
        expected = step(X, Y)
        loss, *new = interpret(graph, [X, Y, *(outside.numpy() for outside, _ in graph.captured)])
        np.testing.assert_allclose(loss, expected.numpy(), rtol=1e-6)
        for (outside, _), value in zip(graph.assigned, new, strict=True):
            outside.assign(value)
    for x, y in zip(traced.parameters(), eager.parameters(), strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-5, atol=1e-6)


@every
def test_training_lowers_the_loss(make: Callable[..., Optimizer]) -> None:
    model = small_model()
    step = training_step(model, make(model.parameters(), lr=0.05))
    seen = [step(X, Y).item() for _ in range(50)]
    assert seen[-1] < 0.8 * seen[0]


def test_the_learning_rate_is_a_tensor_that_a_traced_step_reads() -> None:
    w = Parameter([1.0])
    optimizer = optim.SGD([w], lr=0.5)

    def step() -> None:
        w.grad = tensor([1.0])
        optimizer.step()

    graph = trace(step)()
    optimizer.lr = 0.1
    assert optimizer.lr == 0.1
    [new] = interpret(graph, [outside.numpy() for outside, _ in graph.captured])
    assert new.tolist() == [np.float32(0.9)]


def test_a_schedule_can_be_traced() -> None:
    w = Parameter([1.0])
    optimizer = optim.SGD([w], lr=0.5)

    def step() -> None:
        optimizer.lr = optimizer.learning_rate * 0.5
        w.grad = tensor([1.0])
        optimizer.step()

    graph = trace(step)()
    assert {id(outside) for outside, _ in graph.assigned} == {id(w), id(optimizer.learning_rate)}
    assert optimizer.lr == 0.5


@every
def test_parameters_without_a_gradient_are_left_alone(make: Callable[..., Optimizer]) -> None:
    used, unused = Parameter([1.0]), Parameter([1.0])
    optimizer = make([used, unused], lr=0.1)
    used.grad = tensor([1.0])
    optimizer.step()
    assert used.tolist() != [1.0] and unused.tolist() == [1.0]
    untouched = make([unused], lr=0.1).state[0]
    assert all(value.tolist() == untouched[name].tolist() for name, value in optimizer.state[1].items())


def test_zero_grad_forgets_all_gradients() -> None:
    w = Parameter([1.0])
    w.grad = tensor([1.0])
    optim.SGD([w]).zero_grad()
    assert w.grad is None


def test_a_step_records_nothing() -> None:
    w = Parameter([1.0])
    w.grad = tensor([1.0])
    optimizer = optim.Adam([w])
    optimizer.step()
    assert w.requires_grad and w.op is None
    assert not any(x.requires_grad for x in optimizer.state[0].values())


@every
def test_a_bfloat16_parameter_is_computed_with_in_float32(make: Callable[..., Optimizer]) -> None:
    stored, exact = Parameter([1.0, -2.0], "bfloat16"), Parameter([1.0, -2.0])
    first, second = make([stored], lr=0.25), make([exact], lr=0.25)
    stored.grad, exact.grad = tensor([0.5, 1.0], "bfloat16"), tensor([0.5, 1.0])
    first.step()
    second.step()
    assert stored.tolist() == tensor(exact, "bfloat16").tolist()
    assert all(x.dtype.name != "bfloat16" for x in first.state[0].values())


def test_a_parameter_given_twice_is_trained_once() -> None:
    w = Parameter([1.0])
    optimizer = optim.SGD([w, w], lr=0.5)
    w.grad = tensor([1.0])
    optimizer.step()
    assert len(optimizer.parameters) == 1 and w.tolist() == [0.5]


@every
def test_a_saved_optimizer_goes_on_bit_for_bit(make: Callable[..., Optimizer]) -> None:
    model, twin = small_model(), small_model()
    optimizer, other = make(model.parameters(), lr=0.1), make(twin.parameters(), lr=0.2)
    step = training_step(model, optimizer)
    step(X, Y)
    twin.load_state_dict(model.state_dict())
    other.load_state_dict(optimizer.state_dict())
    step(X, Y)
    training_step(twin, other)(X, Y)
    for x, y in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_a_state_names_parameters_by_position() -> None:
    state = optim.Adam([Parameter([1.0]), Parameter(2.0)]).state_dict()
    assert [*state] == ["lr", "0.step", "0.exp_avg", "0.exp_avg_sq", "1.step", "1.exp_avg", "1.exp_avg_sq"]


def test_a_state_that_does_not_fit_is_listed_and_loads_nothing() -> None:
    optimizer = optim.SGD([Parameter([1.0])], lr=0.1, momentum=0.9)
    with pytest.raises(StateError) as caught:
        optimizer.load_state_dict(
            {"lr": np.array(0.5), "0.momentum_buffer": np.zeros(2, np.float32), "0.step": np.array(1.0)}
        )
    assert str(caught.value) == (
        "the state does not fit SGD; nothing was loaded\n"
        "  shape       0.momentum_buffer: [2] in the state, [1] here\n"
        "  unexpected  0.step: float64[]"
    )
    assert optimizer.lr == 0.1


def test_repr_shows_kind_rate_and_size() -> None:
    assert repr(optim.AdamW([Parameter(np.zeros((40, 50)))])) == "AdamW(lr=0.001, 2,000 parameters)"


def test_clipping_scales_all_gradients_by_one_factor() -> None:
    a, b, unused = Parameter([1.0, 1.0], "float64"), Parameter([[1.0]], "float64"), Parameter([1.0])
    a.grad, b.grad = tensor([3.0, 4.0], "float64"), tensor([[12.0]], "float64")
    norm = clip_grad_norm([a, b, unused], 6.5)
    factor = 6.5 / (13.0 + 1e-6)
    assert norm.item() == 13.0 and unused.grad is None
    np.testing.assert_allclose(a.grad.numpy(), factor * np.array([3.0, 4.0]), rtol=1e-12)
    np.testing.assert_allclose(b.grad.numpy(), [[factor * 12.0]], rtol=1e-12)


def test_clipping_leaves_small_gradients_and_their_types() -> None:
    a, b = Parameter([1.0], "float64"), Parameter([1.0])
    a.grad, b.grad = tensor([0.3], "float64"), tensor([0.4])
    assert clip_grad_norm([a, b], 1.0).item() == pytest.approx(0.5)
    assert a.grad.dtype.name == "float64" and b.grad.dtype.name == "float32"
    assert b.grad.tolist() == tensor([0.4]).tolist()


def test_clipping_nothing_is_a_norm_of_zero() -> None:
    assert clip_grad_norm([Parameter([1.0])], 1.0).item() == 0.0


W = Parameter([1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([]), "SGD: there are no parameters to train"),
        (lambda: optim.SGD(nn.Linear(1, 1)), r"a list of parameters is needed, such as model\.parameters\(\)"),
        (lambda: optim.SGD(W), "a list of parameters is needed"),
        (lambda: optim.SGD([tensor(1.0)]), "only tensors made with requires_grad=True"),
        (lambda: optim.SGD([W * 2.0]), "only tensors made with requires_grad=True"),
        (lambda: optim.SGD(["w"]), "only tensors made with requires_grad=True can be trained, not 'w'"),
        (lambda: optim.SGD([W], lr=-1), "lr must be a number of at least 0, not -1"),
        (lambda: optim.SGD([W], lr=float("nan")), "lr must be a number of at least 0, not nan"),
        (lambda: optim.SGD([W], momentum=-0.1), "momentum must be"),
        (lambda: optim.SGD([W], weight_decay=-0.1), "weight_decay must be"),
        (lambda: optim.SGD([W], nesterov=True), "nesterov needs a momentum and no dampening"),
        (lambda: optim.SGD([W], momentum=0.9, dampening=0.1, nesterov=True), "nesterov needs"),
        (lambda: optim.Adam([W], betas=(0.9, 1.0)), "beta2 must be a number of at least 0 and below 1, not 1.0"),
        (lambda: optim.AdamW([W], eps=-1e-8), "eps must be"),
        (lambda: optim.RMSprop([W], alpha=1.5), "alpha must be a number of at least 0 and at most 1"),
        (lambda: optim.Adagrad([W], lr_decay=-1), "lr_decay must be"),
        (lambda: setattr(optim.SGD([W]), "lr", -1), "lr must be"),
        (lambda: clip_grad_norm(W, 1.0), "a list of parameters is needed"),
        (lambda: clip_grad_norm([W], -1.0), "max_norm must be"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_a_base_without_update_says_so() -> None:
    w = Parameter([1.0])
    w.grad = tensor([1.0])
    with pytest.raises(DefinitionError, match="Optimizer has no update method"):
        Optimizer([w], lr=0.1).step()


def test_states_are_named_after_their_parameters_so_that_graphs_can_be_read() -> None:
    optimizer = optim.Adam([Parameter([1.0], name="weight"), Parameter([1.0])])
    assert [x.name for x in optimizer.state[0].values()] == ["weight.step", "weight.exp_avg", "weight.exp_avg_sq"]
    assert [x.name for x in optimizer.state[1].values()] == ["step", "exp_avg", "exp_avg_sq"]
