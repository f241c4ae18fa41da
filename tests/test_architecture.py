"""The house rules that no linter knows: who may import whom, what a package shows, how long a file may be."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "src" / "chainrule"

# Bottom to top: a file imports only from what stands above it in this list. An entry is a module or a package, or
# several on one level, which may name each other's types (circles between them are caught all the same);
# "__init__" is the public face of the library itself, which only the command line may use.
LAYERS = (
    "errors",
    "types",
    "native",
    "kernel",
    "sources",
    "samples",
    ("op", "operators", "state", "tensor"),
    "apply",
    "ops",
    "drawing",
    "graph",
    "gradients",
    "trees",
    "trace",
    "interpret",
    "autodiff",
    "calls",
    "control",
    "recurrence",
    "random",
    "compiler",
    "compiled",
    "epochs",
    "testing",
    "losses",
    "nn",
    "optim",
    "metrics",
    "data",
    "training",
    "__init__",
    "cli",
)
RANK = {
    name: position for position, layer in enumerate(LAYERS) for name in ((layer,) if isinstance(layer, str) else layer)
}

# What `import chainrule` must not load: each costs time and is needed by a part of the library only.
LAZY = ("duckdb", "llvmlite", "rich", "safetensors", "typer")

MAX_LINES = 400


class Import(NamedTuple):
    target: str  # the chainrule module imported, "chainrule.ops.layout"
    line: int
    typing_only: bool  # stands under `if TYPE_CHECKING:`
    within_function: bool


def module_name(path: Path) -> str:
    """The dotted name of a source file, with `__init__` left out."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TESTS = sorted((PROJECT / "tests").rglob("*.py"))


def layer_of(module: str) -> str:
    """The entry of LAYERS that a module belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def resolve(module: str, name: str) -> str:
    """What `from module import name` depends on: the submodule of that name, or else the module itself."""
    submodule = f"{module}.{name}"
    return submodule if submodule in SOURCES else module


def targets(node: ast.Import | ast.ImportFrom, module: str) -> set[str]:
    """The full names of all modules that one import statement depends on."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    base = node.module or ""
    if node.level:
        package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
        ancestors = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*ancestors, base] if base else ancestors)
    return {resolve(base, alias.name) for alias in node.names}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@functools.cache
def imports_of(module: str) -> tuple[Import, ...]:
    """Every import of a chainrule module within one file."""
    imports: list[Import] = []
    stack: list[tuple[ast.AST, bool, bool]] = [(parse(SOURCES[module]), False, False)]
    while stack:
        node, typing_only, within_function = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            inside = sorted(target for target in targets(node, module) if target.split(".")[0] == "chainrule")
            imports += [Import(target, node.lineno, typing_only, within_function) for target in inside]
        typing_only |= is_type_checking(node)
        within_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        stack.extend((child, typing_only, within_function) for child in ast.iter_child_nodes(node))
    return tuple(imports)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each comment of a file."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def isort_order(name: str) -> tuple[int, list[str | int]]:
    """The order that ruff's RUF022 gives `__all__`: CONSTANTS, then Classes, then the rest; digits count as numbers."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


@pytest.mark.parametrize("module", SOURCES)
def test_a_file_imports_only_from_layers_above_it(module: str) -> None:
    layer = layer_of(module)
    assert layer in RANK, f"add {layer!r} to LAYERS in {Path(__file__).name}, where it belongs"
    wrong = [
        f"line {found.line}: {module} imports {found.target}, which stands below it"
        for found in imports_of(module)
        if RANK.get(layer_of(found.target), 0) > RANK[layer]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_circle() -> None:
    edges = {
        module: {found.target for found in imports_of(module) if not found.typing_only and found.target != module}
        for module in SOURCES
    }
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        pytest.fail("import circle: " + " -> ".join(reversed(error.args[1])))


@pytest.mark.parametrize("module", SOURCES)
def test_no_function_imports_from_chainrule(module: str) -> None:
    hidden = [f"line {found.line}: {found.target}" for found in imports_of(module) if found.within_function]
    assert not hidden, f"{module}: move these imports to the top of the file: {hidden}"


@pytest.mark.parametrize("module", SOURCES)
def test_exported_names_are_sorted_and_exist(module: str) -> None:
    loaded = importlib.import_module(module)
    exported: list[str] = getattr(loaded, "__all__", [])
    assert list(exported) == sorted(set(exported), key=isort_order)
    assert [name for name in exported if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("module", [module for module, path in SOURCES.items() if path.name == "__init__.py"])
def test_an_init_file_holds_only_public_names(module: str) -> None:
    body = parse(SOURCES[module]).body
    assert ast.get_docstring(parse(SOURCES[module])), f"{module}: no docstring"
    for node in body[1:]:
        allowed = (
            isinstance(node, ast.Import | ast.ImportFrom)
            or is_type_checking(node)
            or (isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__"))
            or (
                isinstance(node, ast.Assign | ast.AnnAssign)
                and ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
                in ("__all__", "__version__")
            )
        )
        assert allowed, f"{module}, line {node.lineno}: move this out of the __init__ file"


@pytest.mark.parametrize("path", [*SOURCES.values(), *TESTS], ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{lines} lines: split it by what its parts are about"


@pytest.mark.parametrize("path", [*SOURCES.values(), *TESTS], ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_silenced_warning_names_its_code(path: Path) -> None:
    blanket = re.compile(r"#\s*(noqa(?!:\s*[A-Z]+\d)|(type|pyright):\s*ignore(?!\[)|pyright:\s*basic|ruff:\s*noqa)")
    found = [f"line {line}: {text}" for line, text in comments(path) if blanket.search(text)]
    assert not found, "\n".join(found)


def test_importing_chainrule_loads_no_heavy_package() -> None:
    code = f"import sys, chainrule; print(*[name for name in {LAZY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
