"""Nested containers, taken apart and put together."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import DefinitionError
from chainrule.tensor import tensor
from chainrule.trees import flatten, held_by_modules, is_leaf, leaf_paths, map_tree, register_container, unflatten

LEAVES = st.floats(allow_nan=False)
STATIC = st.none() | st.integers() | st.text(max_size=3) | st.booleans()
TREES = st.recursive(
    LEAVES | STATIC,
    lambda t: (
        st.lists(t, max_size=3)
        | st.lists(t, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), t, max_size=3)
    ),
    max_leaves=8,
)


class Pair(NamedTuple):
    left: object
    right: object


class Box:
    def __init__(self, content, label="box"):
        self.content, self.label = content, label


class SmallBox(Box):
    pass


@pytest.fixture
def boxes(monkeypatch):
    monkeypatch.setattr("chainrule.trees._registered", {})
    register_container(Box, lambda box: [("content", box.content)], lambda box, new: type(box)(new[0], box.label))


@given(TREES)
def test_putting_together_undoes_taking_apart(tree):
    leaves, structure = flatten(tree)
    assert unflatten(structure, leaves) == tree
    assert structure.leaves == len(leaves) == len(leaf_paths(tree))


@given(TREES)
def test_structures_do_not_depend_on_the_leaves(tree):
    assert flatten(map_tree(lambda x: 7.0, tree))[1] == flatten(tree)[1]


def test_leaves_are_tensors_arrays_and_floats_but_no_integers():
    values = [tensor(1.0), np.ones(2), np.float32(1), 2.5]
    assert all(map(is_leaf, values))
    assert not any(map(is_leaf, [1, True, None, "x", [1.0]]))
    leaves, structure = flatten([*values, 3, True, "tanh"])
    assert all(a is b for a, b in zip(leaves, values, strict=True))
    assert unflatten(structure, [0.0] * 4) == [0.0, 0.0, 0.0, 0.0, 3, True, "tanh"]


def test_static_parts_and_kinds_of_containers_tell_structures_apart():
    assert flatten((1.0, 2))[1] == flatten((5.0, 2))[1]
    assert flatten((1.0, 2))[1] != flatten((1.0, 3))[1]
    assert flatten((1.0,))[1] != flatten([1.0])[1]
    assert flatten({"a": 1.0})[1] != flatten({"b": 1.0})[1]


def test_named_tuples_and_dicts_of_other_kinds_come_back():
    pair = Pair(1.0, {"x": [2.0]})
    assert map_tree(lambda x: -x, pair) == Pair(-1.0, {"x": [-2.0]})
    assert isinstance(map_tree(lambda x: x, pair), Pair)
    assert map_tree(lambda x: -x, OrderedDict(b=1.0, a=2.0)) == {"b": -1.0, "a": -2.0}


def test_paths_name_every_leaf():
    assert leaf_paths({"layers": [{"weight": 1.0}, (2.0, 3)], "rate": 0.5}) == ["layers.0.weight", "layers.1.0", "rate"]
    assert leaf_paths(1.0) == [""]
    assert leaf_paths([]) == leaf_paths("static") == []


def test_a_registered_class_is_a_container_and_so_is_what_derives_from_it(boxes):
    box = SmallBox([1.0, Box(2.0)], label="outer")
    leaves, structure = flatten(box)
    assert leaves == [1.0, 2.0]
    assert leaf_paths(box) == ["content.0", "content.1.content"]
    again = unflatten(structure, [3.0, 4.0])
    assert type(again) is SmallBox and again.label == "outer"
    assert again.content[0] == 3.0 and again.content[1].content == 4.0
    assert box.content[0] == 1.0


def test_leaves_that_a_module_holds_are_told_apart(boxes):
    tree = [1.0, Box([2.0, (3.0,)]), {"a": 4.0, "b": [SmallBox(5.0)]}, "static"]
    assert held_by_modules(flatten(tree)[1]) == [False, True, True, False, True]


def test_a_class_that_is_not_registered_is_static():
    box = Box(1.0)
    leaves, structure = flatten([box])
    assert leaves == [] and unflatten(structure, []) == [box]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_leaves_is_an_error(count):
    with pytest.raises(DefinitionError, match=f"a tree of 2 leaves cannot be made from {count}"):
        unflatten(flatten((1.0, [2.0]))[1], [0.0] * count)


def test_a_dict_needs_strings_as_keys():
    with pytest.raises(DefinitionError, match=r"needs strings as keys, not \[1, 'a'\]"):
        flatten({1: 2.0, "a": 3.0})
