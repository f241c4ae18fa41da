"""Modules one after the other, around each other, and in lists and dicts that are modules themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Self, TypeVar, cast, overload

from chainrule.errors import DefinitionError, IndexingError, ShapeError
from chainrule.nn.module import Module, Parameter
from chainrule.tensor import Tensor, TensorLike, as_tensor

Item = TypeVar("Item", Module, Tensor)


class _Container(Module, Generic[Item]):
    """Items that are attributes: their names are those of parameters and in a state."""

    def _add(self, name: str, item: Any) -> None:
        item = self._checked(name, item)
        if not name or "." in name or name.startswith("_") or hasattr(self, name):
            raise DefinitionError(
                f"{type(self).__name__}: an item cannot be called {name!r}: "
                "that is empty, has a dot, starts with an underscore or is taken"
            )
        setattr(self, name, item)

    def _checked(self, name: str, item: Any) -> Any:
        """The item, if it is of the right kind."""
        if not isinstance(item, Module):
            hint = "; wrap a function in a module with a forward method" if callable(item) else ""
            raise DefinitionError(f"{type(self).__name__}: item {name} is {item!r}, which is no module{hint}")
        return item

    def _named(self) -> dict[str, Item]:
        return cast("dict[str, Item]", {k: x for k, x in vars(self).items() if isinstance(x, (Module, Tensor))})

    def __len__(self) -> int:
        return len(self._named())


class _Sequence(_Container[Item]):
    """Items in order, called "0", "1", ... unless they have names of their own."""

    def append(self, item: Item) -> Self:
        """Add an item at the end, named by its position."""
        self._add(str(len(self)), item)
        return self

    def extend(self, items: Iterable[Item]) -> Self:
        """Add items at the end."""
        for item in list(items):
            self.append(item)
        return self

    def insert(self, index: int, item: Item) -> None:
        """Add an item in front of another. What is named by its position has a new name then."""
        items = list(self._named().items())
        items.insert(index, ("0", self._checked(str(index), item)))
        self._arrange(items)

    def pop(self, index: int = -1) -> Item:
        """Take an item out and return it. What is named by its position has a new name then."""
        item = self[index]
        del self[index]
        return item

    def _arrange(self, items: Iterable[tuple[str, Item]]) -> None:
        for name in self._named():
            delattr(self, name)
        for i, (name, item) in enumerate(items):
            self._add(str(i) if name.isdecimal() else name, item)

    def _position(self, index: int) -> int:
        count = len(self)
        if not -count <= index < count:
            raise IndexingError(f"{type(self).__name__}: there is no item {index} among {count}")
        return index % count

    def __iter__(self) -> Iterator[Item]:
        return iter(self._named().values())

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Item | Self:
        if isinstance(index, slice):
            return self._part(dict(list(self._named().items())[index]))
        return list(self)[self._position(index)]

    def _part(self, items: dict[str, Item]) -> Self:
        return type(self)(items.values())  # type: ignore[call-arg]

    def __setitem__(self, index: int, item: Item) -> None:
        name = list(self._named())[self._position(index)]
        setattr(self, name, self._checked(name, item))

    def __delitem__(self, index: int | slice) -> None:
        items = list(self._named().items())
        del items[index if isinstance(index, slice) else self._position(index)]
        self._arrange(items)


class Sequential(_Sequence[Module]):
    """Modules applied one after the other: the output of each is the input of the next.

    Args:
        layers: the modules, named "0", "1", ...; or one dict of names and modules.

    A layer is reached by its position, `model[0]`, and one with a name by that, too, `model.head`. A slice is a
    `Sequential` of the same layers. Layers are added, replaced and removed as in a list.

    Raises `DefinitionError` for a layer that is no module, or a name that cannot be an attribute.

    >>> from chainrule.nn.linear import Linear
    >>> model = Sequential({"hidden": Linear(4, 3), "head": Linear(3, 2)})
    >>> model
    Sequential()  23 parameters
      hidden: Linear(4, 3)  15 parameters
      head: Linear(3, 2)  8 parameters
    >>> model.head is model[1]
    True
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        first = layers[0] if layers else None
        if len(layers) == 1 and isinstance(first, Mapping):
            named = dict(first)
        else:
            named = {str(i): cast(Module, layer) for i, layer in enumerate(layers)}
        for name, layer in named.items():
            self._add(name, layer)

    def forward(self, x: Any) -> Any:
        """The output of the last layer; x itself if there is none."""
        for layer in self:
            x = layer(x)
        return x

    def _part(self, items: dict[str, Module]) -> Self:
        return type(self)(items)


class ModuleList(_Sequence[Module]):
    """A list of modules that is a module itself. A plain list as an attribute does the same.

    Args:
        modules: what is in it, named "0", "1", ...

    Raises `DefinitionError` for an item that is no module.

    >>> from chainrule.nn.linear import Linear
    >>> ModuleList([Linear(2, 2) for _ in range(2)]).append(Linear(2, 1))
    ModuleList()  15 parameters
      0: Linear(2, 2)  6 parameters
      1: Linear(2, 2)  6 parameters
      2: Linear(2, 1)  3 parameters
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])


class ParameterList(_Sequence[Tensor]):
    """A list of parameters that is a module. A plain list as an attribute does the same.

    Args:
        parameters: what is in it, named "0", "1", ...; what requires no gradient becomes a `Parameter`.

    >>> ParameterList([[1.0, 2.0], 3.0]).named_parameters()
    [('0', tensor([1., 2.], f32[2], requires_grad=True)), ('1', tensor(3., f32[], requires_grad=True))]
    """

    def __init__(self, parameters: Iterable[TensorLike] = ()) -> None:
        self.extend(cast("Iterable[Tensor]", parameters))

    def _checked(self, name: str, item: Any) -> Tensor:
        return _as_parameter(item)


class _Dict(_Container[Item]):
    """Items by their names."""

    def __init__(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self.update(items)

    def update(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add items, or replace those of the same names."""
        for name, item in dict(items).items():
            self[name] = item

    def pop(self, name: str) -> Item:
        """Take an item out and return it."""
        item = self[name]
        del self[name]
        return item

    def keys(self) -> Iterable[str]:
        """All names, in order."""
        return self._named().keys()

    def values(self) -> Iterable[Item]:
        """All items, in order."""
        return self._named().values()

    def items(self) -> Iterable[tuple[str, Item]]:
        """Names and items, in order."""
        return self._named().items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._named())

    def __contains__(self, name: object) -> bool:
        return name in self._named()

    def __getitem__(self, name: str) -> Item:
        self._find(name)
        return self._named()[name]

    def __setitem__(self, name: str, item: Any) -> None:
        if name in self:
            setattr(self, name, self._checked(name, item))
        else:
            self._add(name, item)

    def __delitem__(self, name: str) -> None:
        self._find(name)
        delattr(self, name)

    def _find(self, name: str) -> None:
        if name not in self:
            raise IndexingError(f"{type(self).__name__}: there is no item {name!r} among {', '.join(self) or 'none'}")


class ModuleDict(_Dict[Module]):
    """A dict of modules that is a module itself. A plain dict as an attribute does the same.

    Args:
        items: modules by name.

    Raises `DefinitionError` for an item that is no module or a name that cannot be an attribute, such as "forward";
    `IndexingError` for a name that is not there.

    >>> from chainrule.nn.linear import Linear
    >>> heads = ModuleDict({"kind": Linear(4, 3), "size": Linear(4, 1)})
    >>> heads["size"]([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 1)
    """


class ParameterDict(_Dict[Tensor]):
    """A dict of parameters that is a module. A plain dict as an attribute does the same.

    Args:
        items: parameters by name; what requires no gradient becomes a `Parameter`.

    >>> ParameterDict({"scale": 2.0}).named_parameters()
    [('scale', tensor(2., f32[], requires_grad=True))]
    """

    def _checked(self, name: str, item: Any) -> Tensor:
        return _as_parameter(item)


def _as_parameter(item: Any) -> Tensor:
    return item if isinstance(item, Tensor) and item.requires_grad else Parameter(item)


class Residual(Module):
    """y = inner(x) + shortcut(x): what is learned is the difference from x.

    He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016.

    Args:
        inner: the module around which the shortcut leads.
        shortcut: a module that gives x the shape of what `inner` makes of it; by default x itself is added.

    Raises `ShapeError` if the two are not of one shape.

    >>> from chainrule.nn.activations import ReLU
    >>> Residual(ReLU())([-1.0, 2.0])
    tensor([-1.,  4.], f32[2])
    """

    def __init__(self, inner: Module, shortcut: Module | None = None) -> None:
        self.inner = inner
        self.shortcut = shortcut

    def forward(self, x: TensorLike) -> Tensor:
        """inner(x) + shortcut(x)."""
        x = as_tensor(x)
        out, added = self.inner(x), x if self.shortcut is None else self.shortcut(x)
        if out.shape != added.shape:
            raise ShapeError(f"Residual: {out.type} and its shortcut {added.type} must have one shape")
        return out + added
