"""The machine that code is made for: this one, or a plain one."""

from __future__ import annotations

import functools

from chainrule.compiler.llvm import library
from chainrule.native.target import Target, named_target, target_of


@functools.cache
def triple() -> str:
    """The processor and system of this process in LLVM's notation, such as "x86_64-unknown-linux-gnu"."""
    return library().asked(library().process_triple)


def architecture() -> str:
    """The kind of processor: "x86_64", "aarch64" or whatever LLVM calls it."""
    name = triple().split("-", 1)[0]
    return "aarch64" if name.startswith("arm64") else name


@functools.cache
def host_target() -> Target:
    """The processor of this machine, with all that it can do."""
    return target_of(library().asked(library().host_name), library().asked(library().host_features))


def target_named(name: str) -> Target:
    """A processor by name: "host" is this one, others are in `LEVELS`. Raises `DefinitionError` for other names."""
    return host_target() if name == "host" else named_target(name)
