"""Programs on disk: what has been compiled once is found again by its graph, without compiling anything.

An entry holds the blueprint as JSON, with the keys of its kernels' object code, which are entries of their own.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.compiler import cache
from chainrule.compiler.blueprint import Blueprint, Buffer, Call, Kind, Repeat, blueprint, repeated
from chainrule.compiler.effort import Effort
from chainrule.compiler.jit import Code, build, load
from chainrule.compiler.memory import Plan
from chainrule.compiler.objects import object_key
from chainrule.graph import Graph
from chainrule.native.target import Target
from chainrule.types import Array, DType, TensorType


def compiled(
    graph: Graph, target: Target, moving: Mapping[tuple[Kind, int], int] | None, entering: tuple[int, ...], free: bool
) -> tuple[Blueprint, Code]:
    """The program of a graph and its code: from the disk if it is there, else compiled and put there."""
    key = program_key(graph, target, str((moving, entering, free)))
    found = None if key is None else _read(key)
    if found is not None:
        return found
    made = blueprint(graph, target, entering, free)
    if moving is not None:
        made = repeated(made, moving)
    code = build(list(made.modules.values()), list(made.modules), target)
    if key is not None:
        objects = {name: object_key(text, target) for name, text in made.modules.items()}
        cache.put(key, json.dumps({"program": _as_json(made), "objects": objects}).encode())
    return made, code


def _read(key: str) -> tuple[Blueprint, Code] | None:
    entry = cache.get(key)
    if entry is None:
        return None
    told = json.loads(entry)
    objects = {name: cache.get(k) for name, k in told["objects"].items()}
    known = [x for x in objects.values() if x is not None]
    if len(known) < len(objects):
        return None
    try:
        return _from_json(told["program"]), load(known, list(objects))
    except RuntimeError:  # object code of old that does not fit
        return None


def _as_json(made: Blueprint) -> dict[str, Any]:
    constants = [
        {"dtype": str(x.dtype), "shape": x.shape, "data": base64.b64encode(x.tobytes()).decode()}
        for x in made.constants
    ]
    return {
        "calls": [_call_as_json(call) for call in made.calls],
        "micros": made.micros,
        "constants": constants,
        "memory": asdict(made.memory),
        "scratch": made.scratch,
        "leaving": made.leaving,
    }


def _call_as_json(call: Call | Repeat) -> dict[str, Any]:
    if isinstance(call, Repeat):
        return {**vars(call), "calls": [_call_as_json(x) for x in call.calls]}
    arguments = [(b.kind, b.number, b.shift, b.steps) for b in call.arguments]
    return {**vars(call), "arguments": arguments, "effort": vars(call.effort)}


def _from_json(told: dict[str, Any]) -> Blueprint:
    return Blueprint(
        calls=[_call_from_json(call) for call in told["calls"]],
        micros=told["micros"],
        constants=[_array(x) for x in told["constants"]],
        memory=Plan(**told["memory"]),
        scratch=told["scratch"],
        leaving=told["leaving"],
    )


def _call_from_json(told: dict[str, Any]) -> Call | Repeat:
    made = dict(told)
    if "calls" in told:
        made["calls"] = tuple(_call_from_json(x) for x in told["calls"])
        return Repeat(**made)
    arguments = tuple(Buffer(k, n, shift, tuple(map(tuple, steps))) for k, n, shift, steps in told["arguments"])
    made |= {"arguments": arguments, "updates": tuple(told["updates"]), "effort": Effort(**told["effort"])}
    return Call(**made)


def _array(told: dict[str, Any]) -> Array:
    return np.frombuffer(base64.b64decode(told["data"]), told["dtype"]).reshape(told["shape"])


def program_key(graph: Graph, target: Target, way: str) -> str | None:
    """Under what a program is kept: a hash of all that it depends on; None for graphs that hold what has no name.

    `way` says how it is called.
    """
    parts: list[str] = [object_key("", target), _sources(), way]
    if not _describe(graph, parts):
        return None
    return "p" + hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.cache
def _sources() -> str:
    """What this library looks like: another version of it may compile differently."""
    root = Path(__file__).parents[1]
    found = [root.glob("*.py"), *((root / folder).rglob("*.py") for folder in ("compiler", "native", "ops"))]
    files = [(path, path.stat()) for path in itertools.chain(*found)]
    return str(sorted((str(path.relative_to(root)), s.st_size, s.st_mtime_ns) for path, s in files))


def _describe(graph: Graph, parts: list[str]) -> bool:
    """Write down a graph; False if that cannot be done."""
    numbers: dict[int, int] = {}
    for node in graph.nodes:
        numbers[id(node)] = len(numbers)
        parts.append(_type_text(node.type))
        if node.op is None:
            parts.append("" if node.value is None else hashlib.sha256(node.value.tobytes()).hexdigest())
            continue
        if not node.op.is_own:
            return False
        parts.append(f"{node.op.name} {[numbers[id(x)] for x in node.inputs]} {node.source}")
        for name, value in node.attributes.items():
            if isinstance(value, Graph):
                if not _describe(value, parts):
                    return False
            elif name != "rule":
                parts.append(f"{name} {value!r}")
    positions = {id(outside): i for i, (outside, _) in enumerate(graph.captured)}
    parts.append(f"{[numbers[id(x)] for x in graph.parameters]} {[numbers[id(x)] for x in graph.results]}")
    parts.append(f"{len(graph.inputs)} {[positions.get(id(x), -1) for x, _ in graph.assigned]}")
    return True


def _type_text(type: TensorType | tuple[TensorType, ...]) -> str:
    if isinstance(type, tuple):
        return " ".join(map(_type_text, type))
    dtype: DType = type.dtype
    return f"{dtype.short}{type.shape}"
