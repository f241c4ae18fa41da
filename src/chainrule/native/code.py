"""Code in the making: LLVM IR as text, with loops, branches and index arithmetic.

    module = Module("twice", target)
    with module.kernel() as f:                             # void twice(ptr args, i64 begin, i64 end)
        x, y, v = f.pointer(0), f.pointer(1), Lanes(f, 16)
        with f.loop(f.begin, f.end) as loop:               # here, a unit of work is 16 elements
            at = f.mul(loop.index, 16)
            v.store(v.load(float32, x, at) * 2.0, y, at)
    print(module.text())

Text, because it is several times faster to write than to build objects, and can be read when something goes wrong.
What is done with numbers, on one lane or on many, is in `lanes.py`; here are pointers and indices.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from chainrule.native.target import Target
from chainrule.types import DType, bfloat16, bool_, float32, float64, int32, int64, uint8

if TYPE_CHECKING:
    from chainrule.native.lanes import Lanes

REGISTER = {bool_: "i1", uint8: "i8", int32: "i32", int64: "i64", bfloat16: "i16", float32: "float", float64: "double"}
MEMORY = REGISTER | {bool_: "i8"}

Number: TypeAlias = int | float


@dataclass(slots=True, eq=False)
class Value:
    """What an instruction gives: its LLVM type and its name; for numbers also their data type and lanes."""

    type: str
    name: str
    dtype: DType = int64
    lanes: Lanes = None  # type: ignore[assignment]  # pointers and indices are on none
    held: int = -1  # of a mask, on how many of the first lanes it holds, if that is known

    def __str__(self) -> str:
        return f"{self.type} {self.name}"

    def __add__(self, other: Value | Number) -> Value:
        return self.lanes.add(self, other)

    def __radd__(self, other: Number) -> Value:
        return self.lanes.add(other, self)

    def __sub__(self, other: Value | Number) -> Value:
        return self.lanes.subtract(self, other)

    def __rsub__(self, other: Number) -> Value:
        return self.lanes.subtract(other, self)

    def __mul__(self, other: Value | Number) -> Value:
        return self.lanes.multiply(self, other)

    def __rmul__(self, other: Number) -> Value:
        return self.lanes.multiply(other, self)

    def __truediv__(self, other: Value | Number) -> Value:
        return self.lanes.divide(self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return self.lanes.divide(other, self)

    def __neg__(self) -> Value:
        return self.lanes.negative(self)


Index: TypeAlias = int | Value
"""A 64-bit integer: known while code is made, or a value when it runs."""


class Module:
    """A piece of code that is compiled as a whole: one kernel, and the functions that it calls."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self.target = target
        self._declared: dict[str, str] = {}
        self._helpers: dict[str, str] = {}
        self._functions: list[str] = []

    @contextmanager
    def kernel(self) -> Generator[Function]:
        """The function that is called from outside: `void name(ptr args, i64 begin, i64 end)`.

        `args` is an array of pointers and 64-bit integers, read with `pointer(i)` and `integer(i)`; the units of work
        from `begin` to `end` are to be done.
        """
        f = Function(self, self.name, ["ptr noalias readonly %args", "i64 %begin", "i64 %end"])
        f.begin, f.end = Value("i64", "%begin"), Value("i64", "%end")
        yield f
        f.line("ret void")
        self._functions.append(f.text(external=True))

    @contextmanager
    def function(self, name: str, parameters: Sequence[str], *, external: bool = False) -> Generator[Function]:
        """Any other function without a result; parameters are such as "ptr %x"."""
        f = Function(self, name, parameters)
        yield f
        f.line("ret void")
        self._functions.append(f.text(external=external))

    def helper(self, name: str, result: str, parameters: Sequence[str], body: Callable[[Function], Value]) -> str:
        """A function with a result that this module needs, made on first use; returns its name."""
        if name not in self._helpers:
            self._helpers[name] = ""  # taken, while its body is made
            f = Function(self, name, parameters, result)
            f.line(f"ret {body(f)}")
            self._helpers[name] = f.text(external=False, attributes="#1")  # part of its callers, when compiled
        return name

    def declare(self, name: str, signature: str) -> None:
        """An outside function, such as an intrinsic: `declare("llvm.sqrt.f32", "float @llvm.sqrt.f32(float)")`."""
        self._declared[name] = f"declare {signature}"

    def table(self, name: str, numbers: Sequence[int]) -> Value:
        """The address of constants, 64-bit integers, which stand in this module once."""
        type, listed = f"[{len(numbers)} x i64]", ", ".join(f"i64 {n}" for n in numbers)
        text = f"internal unnamed_addr constant {type} [{listed}], align 8"
        while not self._declared.setdefault(name, f"@{name} = {text}").endswith(text):
            name += "_"  # other numbers have that name
        return Value("ptr", f"@{name}")

    def text(self) -> str:
        """The whole module."""
        return "\n".join([*self._declared.values(), *self._helpers.values(), *self._functions, ""])


@dataclass(eq=False)
class Loop:
    """A loop while its body is made: the index, and what is carried from one iteration to the next."""

    index: Value
    values: list[Value]
    next: list[Value] = field(default_factory=list[Value])  # to be set in the body
    results: list[Value] = field(default_factory=list[Value])  # to be read after it


class Function:
    """A function in the making. Indices that are Python integers are worked out at once."""

    begin: Value
    end: Value

    def __init__(self, module: Module, name: str, parameters: Sequence[str], result: str = "void") -> None:
        self.module = module
        self.target = module.target
        self.name = name
        self._head = f"{result} @{name}({', '.join(parameters)})"
        self._stack: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self._block = "entry"
        self._arguments: dict[tuple[str, int], Value] = {}
        self._first: list[str] = []

    def text(self, *, external: bool, attributes: str = "#0") -> str:
        """The definition as it stands."""
        head = f"define {'' if external else 'internal '}{self._head} {attributes} {{\nentry:"
        return "\n".join([head, *self._stack, *self._first, *self._lines, "}"])

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self._lines.append("  " + text)

    def name_for_new(self) -> str:
        """A name that is not taken."""
        self._count += 1
        return f"%v{self._count}"

    def new(self, type: str, text: str) -> Value:
        """An instruction that gives a value of an LLVM type."""
        name = self.name_for_new()
        self._lines.append(f"  {name} = {text}")
        return Value(type, name)

    def block(self, label: str) -> None:
        """Go on in a new basic block."""
        self._lines.append(f"{label}:")
        self._block = label

    def label(self) -> str:
        """A label that is not taken."""
        self._count += 1
        return f"b{self._count}"

    # Arguments of kernels: read once, at the start.

    def pointer(self, position: int) -> Value:
        """An argument that is a pointer."""
        return self._argument("ptr", position)

    def integer(self, position: int) -> Value:
        """An argument that is a 64-bit integer."""
        return self._argument("i64", position)

    def _argument(self, type: str, position: int) -> Value:
        if (type, position) not in self._arguments:
            at, name = f"%at{position}", f"%arg{position}"
            self._first += [
                f"  {at} = getelementptr i64, ptr %args, i64 {position}",
                f"  {name} = load {type}, ptr {at}, align 8",
            ]
            self._arguments[type, position] = Value(type, name)
        return self._arguments[type, position]

    def stack(self, size: int, align: int = 64) -> Value:
        """Memory of `size` bytes that lives as long as the call; keep it small."""
        name = f"%stack{len(self._stack)}"
        self._stack.append(f"  {name} = alloca i8, i64 {size}, align {align}")
        return Value("ptr", name)

    # Index arithmetic.

    def add(self, x: Index, y: Index) -> Index:
        """x + y."""
        if isinstance(x, int) and isinstance(y, int):
            return x + y
        if _is(x, 0):
            return y
        return x if _is(y, 0) else self._index("add nsw", x, y)

    def sub(self, x: Index, y: Index) -> Index:
        """x - y."""
        if isinstance(x, int) and isinstance(y, int):
            return x - y
        return x if _is(y, 0) else self._index("sub nsw", x, y)

    def mul(self, x: Index, y: Index) -> Index:
        """x * y."""
        if isinstance(x, int) and isinstance(y, int):
            return x * y
        if _is(x, 0) or _is(y, 0):
            return 0
        if _is(x, 1):
            return y
        return x if _is(y, 1) else self._index("mul nsw", x, y)

    def div(self, x: Index, y: int) -> Index:
        """x // y for x that is not negative."""
        if isinstance(x, int):
            return x // y
        return x if y == 1 else self._index("udiv", x, y)

    def rem(self, x: Index, y: int) -> Index:
        """x % y for x that is not negative."""
        if isinstance(x, int):
            return x % y
        return 0 if y == 1 else self._index("urem", x, y)

    def min(self, x: Index, y: Index) -> Index:
        """The smaller one."""
        if isinstance(x, int) and isinstance(y, int):
            return min(x, y)
        return self.choose(self.compare("slt", x, y), x, y)

    def choose(self, condition: Value, x: Index, y: Index) -> Value:
        """One of two indices."""
        return self.new("i64", f"select {condition}, i64 {_name(x)}, i64 {_name(y)}")

    def compare(self, how: str, x: Index, y: Index) -> Value:
        """A truth value: how is one of eq, ne, slt, sle, sgt, sge."""
        return self.new("i1", f"icmp {how} i64 {_name(x)}, {_name(y)}")

    def _index(self, operation: str, x: Index, y: Index) -> Value:
        return self.new("i64", f"{operation} i64 {_name(x)}, {_name(y)}")

    def at(self, pointer: Value, index: Index, size: int) -> Value:
        """The address of an element, for elements of `size` bytes."""
        if _is(index, 0):
            return pointer
        offset = self.mul(index, size)
        return self.new("ptr", f"getelementptr inbounds i8, {pointer}, i64 {_name(offset)}")

    def load_index(self, pointer: Value) -> Value:
        """The 64-bit integer at an address."""
        return self.new("i64", f"load i64, {pointer}, align 8")

    def load_pointer(self, pointer: Value) -> Value:
        """The pointer at an address."""
        return self.new("ptr", f"load ptr, {pointer}, align 8")

    def fetch(self, pointer: Value) -> None:
        """Ask for the line of memory at an address to come to the first cache; any address will do."""
        self.module.declare("llvm.prefetch", "void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.line(f"call void @llvm.prefetch.p0({pointer}, i32 0, i32 3, i32 1)")

    # Control flow.

    @contextmanager
    def loop(
        self, start: Index, stop: Index, step: int = 1, carried: Sequence[Value] = (), *, once: bool = False
    ) -> Generator[Loop]:
        """index = start, start + step, ... below stop. Set `next` of what it carries; read `results` afterwards.

        With `once` the caller promises that there is at least one iteration.
        """
        if isinstance(start, int) and isinstance(stop, int) and start + step >= stop > start:
            loop = Loop(start, list(carried))  # type: ignore[arg-type]  # a single iteration needs no loop
            yield loop
            loop.results = loop.next
            return
        head, body, done = self.label(), self.label(), self.label()
        before = self._block
        self.line(f"br label %{head}")
        self.block(head)
        index = Value("i64", self.name_for_new())
        phis = [Value(x.type, self.name_for_new(), x.dtype, x.lanes) for x in carried]
        place = len(self._lines)
        loop = Loop(index, phis)
        if not once:
            more = self.compare("slt", index, stop)
            self.line(f"br {more}, label %{body}, label %{done}")
            self.block(body)
        yield loop
        after = self.new("i64", f"add nsw i64 {index.name}, {step}")
        latch = self._block
        if once:
            more = self.compare("slt", after, stop)
            self.line(f"br {more}, label %{head}, label %{done}")
        else:
            self.line(f"br label %{head}")
        self._lines[place:place] = [
            f"  {index.name} = phi i64 [ {_name(start)}, %{before} ], [ {after.name}, %{latch} ]",
            *(
                f"  {phi.name} = phi {phi.type} [ {first.name}, %{before} ], [ {last.name}, %{latch} ]"
                for phi, first, last in zip(phis, carried, loop.next, strict=True)
            ),
        ]
        self.block(done)
        loop.results = loop.next if once else phis

    @contextmanager
    def when(self, condition: Value) -> Generator[None]:
        """What is made inside runs only if the condition holds."""
        body, done = self.label(), self.label()
        self.line(f"br {condition}, label %{body}, label %{done}")
        self.block(body)
        yield
        self.line(f"br label %{done}")
        self.block(done)


def _is(x: Index, number: int) -> bool:
    return isinstance(x, int) and x == number


def _name(x: Index) -> str:
    return str(x) if isinstance(x, int) else x.name
