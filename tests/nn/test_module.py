"""Modules as trees of tensors: names, state, training mode, errors, and the way through transformations."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import pytest

from chainrule import nn, ops
from chainrule.autodiff import grad
from chainrule.errors import DefinitionError, ShapeError, StateError
from chainrule.nn import Linear, Module, Parameter, Sequential
from chainrule.state import no_grad
from chainrule.tensor import Tensor, tensor
from chainrule.trace import trace
from chainrule.trees import map_tree


class Pair(NamedTuple):
    first: Any
    second: Any


class Net(Module):
    """One of everything: a parameter, a buffer, modules in containers of all kinds, and what is no tensor at all."""

    def __init__(self) -> None:
        self.scale = Parameter(2.0)
        self.offset = tensor([1.0, 2.0])
        self.layers = [Linear(2, 3), nn.Tanh()]
        self.named = {"head": Linear(3, 2)}
        self.pair = Pair(Parameter([1.0, 1.0]), "text")
        self.sizes = (2, 3.5)

    def forward(self, x: Any) -> Tensor:
        hidden = self.layers[1](self.layers[0](x + self.offset))
        return self.scale * self.named["head"](hidden) * self.pair.first


class Tied(Module):
    """Two layers that share a weight."""

    def __init__(self) -> None:
        self.down = Linear(2, 2, bias=False)
        self.up = Linear(2, 2, bias=False)
        self.up.weight = self.down.weight

    def forward(self, x: Any) -> Tensor:
        return self.up(self.down(x))


def test_parameters_are_named_by_their_path_in_order_of_attributes() -> None:
    names = [name for name, _ in Net().named_parameters()]
    assert names == [
        "scale",
        "layers.0.weight",
        "layers.0.bias",
        "named.head.weight",
        "named.head.bias",
        "pair.0",
    ]


def test_tensors_that_need_no_gradient_are_buffers() -> None:
    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["offset"]
    net.scale.requires_grad = False
    assert [name for name, _ in net.named_buffers()] == ["scale", "offset"]


def test_modules_are_named_by_their_path() -> None:
    net = Net()
    assert [name for name, _ in net.named_modules()] == ["", "layers.0", "layers.1", "named.head"]
    assert net.children() == [net.layers[0], net.layers[1], net.named["head"]]


def test_a_tied_tensor_is_counted_once() -> None:
    assert [name for name, _ in Tied().named_parameters()] == ["down.weight"]
    assert [*Tied().state_dict()] == ["down.weight"]


def test_a_module_used_twice_is_counted_once() -> None:
    layer = Linear(2, 2)
    model = Sequential(layer, nn.ReLU(), layer)
    assert [name for name, _ in model.named_modules()] == ["", "0", "1"]
    assert len(model.parameters()) == 2


def test_a_module_that_contains_itself_is_reported() -> None:
    model = Sequential(Linear(2, 2))
    model[0].parent = model
    with pytest.raises(DefinitionError, match=r"0\.parent is a module that contains it"):
        model.parameters()


def test_two_tensors_of_one_name_are_reported() -> None:
    module = Module()
    module.table = {"a.b": Parameter(1.0), "a": {"b": Parameter(2.0)}}
    with pytest.raises(DefinitionError, match=r"two tensors are called table\.a\.b"):
        module.state_dict()


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(DefinitionError, match="Module has no forward"):
        Module()(1.0)


def test_a_state_goes_out_and_in_unchanged() -> None:
    first, second = Net(), Net()
    state = first.state_dict()
    second.load_state_dict(state)
    for name, value in second.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_a_state_is_a_copy() -> None:
    net = Net()
    state = net.state_dict()
    state["scale"][...] = 7.0
    assert net.scale.item() == 2.0
    net.load_state_dict(state)
    state["scale"][...] = 9.0
    assert net.scale.item() == 7.0


def test_a_bfloat16_parameter_is_saved_as_float32_and_restored() -> None:
    module = Module()
    module.weight = Parameter([1.5, -2.0], "bfloat16")
    state = module.state_dict()
    assert state["weight"].dtype == np.float32
    module.weight.assign(tensor([0.0, 0.0], "bfloat16"))
    module.load_state_dict(state)
    assert module.weight.tolist() == [1.5, -2.0]


def test_a_state_that_does_not_fit_is_listed_in_full_and_loads_nothing() -> None:
    model = Sequential(Linear(2, 3), Linear(3, 1))
    before = model.state_dict()
    state = {
        "0.weight": np.zeros((3, 2), np.float32),
        "0.bias": np.zeros(4, np.float32),
        "1.weight": np.zeros((1, 3), np.int64),
        "2.weight": np.zeros(1, np.float32),
    }
    with pytest.raises(StateError) as caught:
        model.load_state_dict(state)
    assert str(caught.value) == (
        "the state does not fit Sequential(); nothing was loaded\n"
        "  shape       0.bias: [4] in the state, [3] here\n"
        "  data type   1.weight: int64 in the state, float32 here\n"
        "  missing     1.bias: f32[1]\n"
        "  unexpected  2.weight: float32[1]"
    )
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_loading_that_is_not_strict_passes_over_names_but_not_over_shapes() -> None:
    layer = Linear(2, 1)
    layer.load_state_dict({"bias": np.array([5.0], np.float32), "other": np.zeros(3)}, strict=False)
    assert layer.bias is not None and layer.bias.tolist() == [5.0]
    with pytest.raises(StateError, match="shape"):
        layer.load_state_dict({"bias": np.zeros(2, np.float32)}, strict=False)


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert net.training and net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_zero_grad_forgets_all_gradients() -> None:
    net = Net()
    net(np.ones((4, 2), np.float32)).sum().backward()
    assert all(x.grad is not None for x in net.parameters())
    net.zero_grad()
    assert all(x.grad is None for x in net.parameters())


def test_grad_of_a_module_is_a_module_of_gradients() -> None:
    net, x = Net(), np.ones((4, 2), np.float32)
    found = grad(lambda net, x: net(x).sum())(net, x)
    net(x).sum().backward()
    assert isinstance(found, Net) and found is not net
    for (name, gradient), parameter in zip(map_named(found), net.parameters(), strict=True):
        assert parameter.grad is not None, name
        np.testing.assert_allclose(gradient.numpy(), parameter.grad.numpy(), rtol=1e-6)
    assert found.pair.second == "text" and found.sizes == (2, 3.5)


def map_named(net: Net) -> list[tuple[str, Tensor]]:
    return [(name, x) for name, x in [*net.named_parameters(), *net.named_buffers()] if name != "offset"]


def test_a_mapped_module_leaves_the_original_untouched_and_keeps_ties() -> None:
    model = Tied()
    doubled = map_tree(lambda x: x * 2.0, model)
    assert doubled.up.weight is doubled.down.weight and doubled.up is not model.up
    np.testing.assert_array_equal(doubled.up.weight.numpy(), 2.0 * model.up.weight.numpy())
    assert model.down.weight.op is None


def test_the_gradient_of_a_tied_weight_adds_up_both_uses() -> None:
    model, x = Tied(), np.array([[1.0, -1.0]], np.float32)
    found = grad(lambda model: model(x).sum())(model)
    model(x).sum().backward()
    np.testing.assert_array_equal(found.down.weight.numpy(), model.down.weight.grad.numpy())


def test_a_traced_module_names_its_tensors_by_path() -> None:
    model = Sequential(Linear(2, 3), nn.Tanh())
    graph = trace(lambda model, x: model(x))(model, np.ones((4, 2), np.float32))
    assert [x.name for x in graph.inputs] == ["model.0.weight", "model.0.bias", "x"]


def test_a_copied_module_shares_nothing() -> None:
    model = Sequential(Linear(2, 1))
    twin = copy.deepcopy(model)
    twin[0].weight.assign(twin[0].weight * 0.0)
    assert model[0].weight.numpy().any()
    twin(np.ones((1, 2), np.float32)).sum().backward()
    assert model[0].weight.grad is None


class Block(Module):
    def __init__(self) -> None:
        self.attention = Linear(4, 4)
        self.hidden = [Linear(4, 3), Linear(5, 2)]

    def forward(self, x: Any) -> Tensor:
        return self.hidden[1](self.hidden[0](self.attention(x)))


def test_an_error_names_the_path_of_its_layer_once() -> None:
    model = Sequential(nn.Identity(), Sequential(Block()))
    with pytest.raises(ShapeError) as caught:
        model(np.ones((1, 4), np.float32))
    lines = str(caught.value).splitlines()
    assert lines[-1] == "  layer  1.0.hidden.1 (Linear(5, 2))"
    assert sum("layer " in line for line in lines) == 1


def test_an_error_of_the_outermost_module_names_it_without_a_path() -> None:
    with pytest.raises(ShapeError, match=r"\n  layer  Linear\(5, 2\)$"):
        Linear(5, 2)(np.ones((1, 4), np.float32))


def test_an_error_of_a_module_outside_the_tree_keeps_its_own_line() -> None:
    class Hidden(Module):
        def forward(self, x: Any) -> Tensor:
            return Linear(5, 2)(x)

    with pytest.raises(ShapeError, match=r"\n  layer  Linear\(5, 2\)$"):
        Hidden()(np.ones((1, 4), np.float32))


def test_repr_shows_the_tree_with_parameter_counts() -> None:
    assert repr(Sequential(Linear(2, 3), Block())) == (
        "Sequential()  56 parameters\n"
        "  0: Linear(2, 3)  9 parameters\n"
        "  1: Block()  47 parameters\n"
        "    attention: Linear(4, 4)  20 parameters\n"
        "    hidden.0: Linear(4, 3)  15 parameters\n"
        "    hidden.1: Linear(5, 2)  12 parameters"
    )


def test_summary_lists_outputs_and_parameters_without_computing() -> None:
    class Two(Module):
        def __init__(self) -> None:
            self.norm = nn.BatchNorm1d(2)
            self.unused = Linear(3, 3)

        def forward(self, x: Any) -> tuple[Tensor, Tensor]:
            return self.norm(x), x

    model = Two()
    assert model.summary(np.ones((4, 2), np.float32)).splitlines() == [
        "layer   kind            output                parameters",
        "        Two()           f32[4, 2], f32[4, 2]",
        "norm    BatchNorm1d(2)  f32[4, 2]                      4",
        "unused  Linear(3, 3)    not called                    12",
        "16 parameters, 64 bytes",
    ]
    assert model.norm.num_batches_tracked.item() == 0


def test_summary_counts_a_tied_tensor_with_its_first_layer() -> None:
    assert [line.split("  ")[-1].strip() for line in Tied().summary(np.ones((1, 2))).splitlines()] == [
        "parameters", "f64[1, 2]", "4", "f64[1, 2]", "4 parameters, 16 bytes",
    ]  # fmt: skip


def test_observe_reports_calls_innermost_first() -> None:
    model, seen = Sequential(nn.ReLU(), nn.Tanh()), []
    with nn.observe(lambda module, result: seen.append((module.describe(), result.shape))):
        model(np.ones(3))
    model(np.ones(3))
    assert seen == [("ReLU()", (3,)), ("Tanh()", (3,)), ("Sequential()", (3,))]


def test_no_grad_makes_a_module_forget_how_its_output_came_about() -> None:
    with no_grad():
        assert not Linear(2, 1)([1.0, 2.0]).requires_grad
    assert ops.sum(Linear(2, 1)([1.0, 2.0])).requires_grad


def test_private_attributes_are_no_part_of_the_tree() -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 1)
            self._last = tensor(0.0)

        def forward(self, x: Any) -> Any:
            self._last = self.layer(x)
            return self._last

    model = Remembers()
    model([1.0, 2.0])
    assert list(model.state_dict()) == ["layer.weight", "layer.bias"]
    assert [name for name, _ in model.named_buffers()] == []


def test_a_graph_calls_the_tensors_of_a_model_by_their_paths() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = [nn.Linear(2, 3), nn.BatchNorm1d(3)]

        def forward(self, x: Any) -> Any:
            return self.layers[1](self.layers[0](x))

    model = Net()
    graph = trace(lambda x: model(x))(tensor([[1.0, 2.0], [3.0, 4.0]]))
    read = [stand_in.name for _, stand_in in graph.captured]
    assert read[:2] == ["net.layers.0.weight", "net.layers.0.bias"] and "net.layers.1.running_mean" in read
    assert "assigns net.layers.1.running_mean = " in graph.text()
