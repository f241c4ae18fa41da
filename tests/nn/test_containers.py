"""Sequential, lists and dicts of modules and parameters, Residual."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import nn
from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.tensor import tensor
from chainrule.testing import check_gradients

A, B, C, D = nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1), nn.Tanh()


def test_sequential_gives_layers_by_position_name_and_slice() -> None:
    a, b, c = nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)
    model = nn.Sequential({"first": a, "act": b}).append(c)
    assert model.first is a and model[-1] is c and len(model) == 3 and list(model) == [a, b, c]
    part = model[:2]
    assert isinstance(part, nn.Sequential) and list(part) == [a, b] and part.act is b
    assert [name for name, _ in model.named_parameters()] == ["first.weight", "first.bias", "2.weight", "2.bias"]


def test_an_empty_sequential_passes_its_input_on() -> None:
    x = tensor(1.0)
    assert nn.Sequential()(x) is x


def test_sequential_refuses_what_is_no_module() -> None:
    with pytest.raises(DefinitionError, match=r"item 1 is .* no module; wrap a function"):
        nn.Sequential(nn.ReLU(), np.tanh)
    with pytest.raises(DefinitionError, match=r"item 0 is 3, which is no module$"):
        nn.Sequential(3)


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training", "_hidden"])
def test_sequential_refuses_names_that_cannot_be_attributes(name: str) -> None:
    with pytest.raises(DefinitionError, match="cannot be called"):
        nn.Sequential({name: nn.ReLU()})


def test_sequential_says_how_many_layers_there_are() -> None:
    with pytest.raises(IndexingError, match="there is no item 2 among 1"):
        nn.Sequential(nn.ReLU())[2]


@pytest.mark.parametrize("kind", [lambda items: nn.Sequential(*items), nn.ModuleList])
def test_modules_in_order_change_like_a_list_and_keep_their_numbers(kind) -> None:
    layers = kind([A, B])
    layers.insert(1, C)
    assert list(layers) == [A, C, B]
    layers[-1] = D
    assert list(layers.extend([B])) == [A, C, D, B] and layers.pop(0) is A and layers.pop() is B
    assert list(layers) == [C, D] and [name for name, _ in layers.named_modules()] == ["", "0", "1"]
    del layers[:1]
    assert list(layers) == [D] and layers[0] is D and list(layers.append(A)) == [D, A]
    with pytest.raises(IndexingError, match="there is no item -3 among 2"):
        layers[-3] = A
    with pytest.raises(DefinitionError, match="item 0 is 7, which is no module"):
        layers.insert(0, 7)
    assert list(layers) == [D, A]


def test_named_layers_keep_their_names_when_others_go() -> None:
    model = nn.Sequential({"first": A, "1": B, "last": C})
    del model[0]
    assert [name for name, _ in model.named_modules()] == ["", "0", "last"]


def test_a_module_list_has_the_names_of_pytorchs() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)])

    assert list(Net().state_dict()) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    first, second = nn.ModuleList([A]), nn.ModuleList([B])
    part, longer = nn.ModuleList([A, B, C])[1:], first + second
    assert isinstance(part, nn.ModuleList) and list(part) == [B, C] and part[0] is B
    assert isinstance(longer, nn.ModuleList) and list(longer) == [A, B]
    with pytest.raises(DefinitionError, match="ModuleList has no forward method"):
        part(1.0)


def test_a_module_dict_behaves_like_a_dict() -> None:
    found = nn.ModuleDict({"a": A, "b": B})
    assert list(found) == ["a", "b"] == list(found.keys()) and list(found.values()) == [A, B] and len(found) == 2
    found["b"] = C
    found.update({"c": D})
    assert dict(found.items()) == {"a": A, "b": C, "c": D} and "c" in found and "d" not in found
    assert found.pop("a") is A and list(found) == ["b", "c"] and list(found.state_dict()) == ["b.weight", "b.bias"]
    with pytest.raises(IndexingError, match="ModuleDict: there is no item 'a' among b, c"):
        found["a"]
    with pytest.raises(IndexingError, match="there is no item 'a' among none"):
        del nn.ModuleDict()["a"]
    with pytest.raises(DefinitionError, match="cannot be called 'items'"):
        found["items"] = A


def test_lists_and_dicts_of_parameters_hold_parameters() -> None:
    own = nn.Parameter([1.0])
    some, named = nn.ParameterList([own, np.ones(2)]), nn.ParameterDict({"w": own, "b": 0.0})
    assert some[0] is own and named["w"] is own and some[1].requires_grad and named["b"].requires_grad
    assert list(some.state_dict()) == ["0", "1"] and list(named.state_dict()) == ["w", "b"]
    some[1] = [3.0]
    assert some[1].requires_grad and len(some.append([4.0])) == 3


def test_residual_adds_what_came_in_or_what_a_shortcut_makes_of_it() -> None:
    inner, shortcut = nn.Linear(3, 2, dtype="float64"), nn.Linear(3, 2, dtype="float64")
    x = np.random.default_rng(0).normal(size=(4, 3))
    layer = nn.Residual(inner, shortcut)
    np.testing.assert_array_equal(layer(x).numpy(), (inner(x) + shortcut(x)).numpy())
    np.testing.assert_array_equal(nn.Residual(nn.Tanh())(x).numpy(), np.tanh(x) + x)
    assert list(layer.state_dict()) == ["inner.weight", "inner.bias", "shortcut.weight", "shortcut.bias"]
    check_gradients(lambda layer, x: layer(x), (layer, x))


def test_residual_needs_equal_shapes() -> None:
    with pytest.raises(ShapeError, match=r"f64\[4, 1\] and its shortcut f64\[4, 3\] must have one shape"):
        nn.Residual(nn.Linear(3, 1, dtype="float64"))(np.ones((4, 3)))
