"""Modules one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self, cast, overload

from chainrule.errors import DefinitionError, IndexingError
from chainrule.nn.module import Module


class Sequential(Module):
    """Modules applied one after the other: the output of each is the input of the next.

    Args:
        layers: the modules, named "0", "1", ...; or one dict of names and modules.

    A layer is reached by its position, `model[0]`, and one with a name by that, too, `model.head`. A slice is a
    `Sequential` of the same layers.

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

    def _add(self, name: str, layer: Any) -> None:
        if not isinstance(layer, Module):
            hint = "; wrap a function in a module with a forward method" if callable(layer) else ""
            raise DefinitionError(f"Sequential: layer {name} is {layer!r}, which is no module{hint}")
        if not name or "." in name or hasattr(self, name):
            raise DefinitionError(f"Sequential: a layer cannot be called {name!r}: it is empty, has a dot or is taken")
        setattr(self, name, layer)

    def _layers(self) -> dict[str, Module]:
        return {name: x for name, x in vars(self).items() if isinstance(x, Module)}

    def forward(self, x: Any) -> Any:
        """The output of the last layer; x itself if there is none."""
        for layer in self:
            x = layer(x)
        return x

    def append(self, layer: Module) -> Self:
        """Add a layer at the end, named by its position."""
        self._add(str(len(self)), layer)
        return self

    def __len__(self) -> int:
        return len(self._layers())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers().values())

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Module:
        layers = list(self._layers().items())
        if isinstance(index, slice):
            return Sequential(dict(layers[index]))
        if not -len(layers) <= index < len(layers):
            raise IndexingError(f"Sequential: there is no layer {index} among {len(layers)}")
        return layers[index][1]
