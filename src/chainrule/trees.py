"""Nested containers of tensors: taken apart into leaves, put together again.

A tree is a tensor or an array or a float (a leaf), a list, tuple or dict of trees, an instance of a registered class (a
module), or anything else, which is kept as it is: part of the structure, compared by equality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from chainrule.errors import DefinitionError
from chainrule.tensor import Tensor

Children: TypeAlias = "list[tuple[str, Any]]"
Rebuild: TypeAlias = Callable[[Any, Sequence[Any]], Any]


@dataclass(frozen=True)
class Structure:
    """What is left of a tree when its leaves are taken away. Equal structures are equal trees up to their leaves."""

    kind: Any  # the class of a container; Leaf for a leaf; Static for anything else
    keys: tuple[str, ...] = ()
    children: tuple[Structure, ...] = ()
    original: Any = None  # of a static part, its value; of a registered class, the instance

    @property
    def leaves(self) -> int:
        """Number of leaves."""
        return 1 if self.kind is Leaf else sum(child.leaves for child in self.children)


class Leaf:
    """Marks a leaf in a structure."""


class Static:
    """Marks a part that is no container and no tensor."""


_registered: dict[type, tuple[Callable[[Any], Children], Rebuild]] = {}


def register_container(kind: type, children: Callable[[Any], Children], rebuild: Rebuild) -> None:
    """Teach trees about a class and what derives from it.

    Args:
        kind: the class.
        children: instance -> list of (name, subtree).
        rebuild: (instance, new subtrees) -> a new instance.
    """
    _registered[kind] = (children, rebuild)


def _handlers(value: Any) -> tuple[Callable[[Any], Children], Rebuild] | None:
    return next((_registered[k] for k in type(value).__mro__ if k in _registered), None)


def is_leaf(value: Any) -> bool:
    """Whether a value is a leaf: a tensor, an array, a NumPy number or a Python float."""
    return isinstance(value, (Tensor, np.ndarray, np.generic, float))


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Leaves from left to right, and the structure that holds them.

    >>> leaves, structure = flatten({"a": [1.5, 2.5], "b": (3.5, None)})
    >>> leaves
    [1.5, 2.5, 3.5]
    >>> unflatten(structure, [x * 2 for x in leaves])
    {'a': [3.0, 5.0], 'b': (7.0, None)}
    """
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    if is_leaf(tree):
        leaves.append(tree)
        return Structure(Leaf)
    children = _children(tree)
    if children is None:
        return Structure(Static, original=tree)
    structures = tuple(_flatten(child, leaves) for _, child in children)
    original = tree if _handlers(tree) is not None else None
    return Structure(type(tree), tuple(key for key, _ in children), structures, original)


def _children(tree: Any) -> Children | None:
    handlers = _handlers(tree)
    if handlers is not None:
        return handlers[0](tree)
    if isinstance(tree, dict):
        items = cast("dict[Any, Any]", tree)
        if not all(isinstance(key, str) for key in items):
            raise DefinitionError(f"a dict of tensors needs strings as keys, not {list(items)}")
        return list(items.items())
    if isinstance(tree, (list, tuple)):
        return [(str(i), child) for i, child in enumerate(cast("Sequence[Any]", tree))]
    return None


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The inverse of `flatten`. Raises `DefinitionError` if the number of leaves differs."""
    if len(leaves) != structure.leaves:
        raise DefinitionError(f"a tree of {structure.leaves} leaves cannot be made from {len(leaves)}")
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    if structure.kind is Leaf:
        return next(leaves)
    if structure.kind is Static:
        return structure.original
    children = [_unflatten(child, leaves) for child in structure.children]
    handlers = _handlers(structure.original)
    if handlers is not None:
        return handlers[1](structure.original, children)
    if issubclass(structure.kind, dict):
        return dict(zip(structure.keys, children, strict=True))
    if hasattr(structure.kind, "_fields"):  # a named tuple
        return structure.kind(*children)
    return list(children) if issubclass(structure.kind, list) else tuple(children)


def held_by_modules(structure: Structure) -> list[bool]:
    """For every leaf, whether an instance of a registered class holds it."""
    if structure.kind is Leaf:
        return [False]
    inside = _handlers(structure.original) is not None
    return [inside or held for child in structure.children for held in held_by_modules(child)]


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with a function applied to each leaf."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [function(leaf) for leaf in leaves])


def leaf_paths(tree: Any) -> list[str]:
    """The path of every leaf, as `layers.0.weight`; the tree itself has the path ''."""
    return list(_paths(tree, ""))


def _paths(tree: Any, path: str) -> Iterator[str]:
    if is_leaf(tree):
        yield path
    for key, child in _children(tree) or [] if not is_leaf(tree) else []:
        yield from _paths(child, f"{path}.{key}" if path else key)


def leaves_like(tree: Any, like: Any) -> list[Any]:
    """The leaves of a tree in the order of another one: dicts of the same keys may list them in any order.

    >>> leaves_like({"b": 2.0, "a": 1.0}, {"a": 0.0, "b": 0.0})
    [1.0, 2.0]
    """
    leaves, paths, wanted = flatten(tree)[0], leaf_paths(tree), leaf_paths(like)
    by_path = dict(zip(paths, leaves, strict=True))
    return [by_path[path] for path in wanted] if len(by_path) == len(wanted) and {*by_path} == {*wanted} else leaves


def static_parts(structure: Structure) -> list[Any]:
    """What a tree holds beside its leaves, from left to right."""
    if structure.kind is Static:
        return [structure.original]
    return [part for child in structure.children for part in static_parts(child)]
