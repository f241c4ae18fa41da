"""Arithmetic on one lane or on many: what the bodies of kernels are written in.

`Lanes(f, 16)` is a handful of 16 lanes in the function `f`, `Lanes(f, 1)` a single one. A value on lanes knows its
data type and takes Python's operators; a Python number beside it becomes a constant of its type:

    Map(lambda v, x: x * vecmath.sigmoid(v, x))

Arithmetic is NumPy's, operation by operation: nothing is contracted or reordered, integers wrap around.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.native.code import MEMORY, REGISTER, Function, Index, Number, Value
from chainrule.native.conversion import cast, literal
from chainrule.types import DType, bool_, float32, float64, int64, uint8


class Lanes:
    """Makes instructions on `count` lanes."""

    def __init__(self, function: Function, count: int) -> None:
        self.f = function
        self.count = count

    # Types and constants.

    def type(self, dtype: DType) -> str:
        """The LLVM type of values of a data type."""
        return self.wide(REGISTER[dtype])

    def wide(self, type: str) -> str:
        """An LLVM type on these lanes."""
        return type if self.count == 1 else f"<{self.count} x {type}>"

    def suffix(self, dtype: DType) -> str:
        """How the names of intrinsics end: f32, v16f32, v8i64, ..."""
        short = {float32: "f32", float64: "f64"}.get(dtype) or REGISTER[dtype]
        return short if self.count == 1 else f"v{self.count}{short}"

    def constant(self, dtype: DType, number: Number) -> Value:
        """The same number on every lane."""
        one = literal(dtype, number)
        name = one if self.count == 1 else f"splat ({REGISTER[dtype]} {one})"
        return self.value(dtype, name)

    def value(self, dtype: DType, name: str) -> Value:
        """A value of a data type that has a name already."""
        return Value(self.type(dtype), name, dtype, self)

    def numbers(self, start: int = 0) -> Value:
        """start, start + 1, ... on the lanes, as int64."""
        if self.count == 1:
            return self.constant(int64, start)
        return self.value(int64, "<" + ", ".join(f"i64 {start + i}" for i in range(self.count)) + ">")

    def index(self, x: Index) -> Value:
        """An index as int64 on every lane."""
        return self.constant(int64, x) if isinstance(x, int) else self.spread(Value("i64", x.name, int64))

    def spread(self, one: Value) -> Value:
        """A value on one lane, copied to every lane."""
        if self.count == 1:
            return self.value(one.dtype, one.name)
        type = self.type(one.dtype)
        first = self.f.new(type, f"insertelement {type} poison, {one}, i64 0")
        return self.new(one.dtype, f"shufflevector {first}, {type} poison, <{self.count} x i32> zeroinitializer")

    def new(self, dtype: DType, text: str) -> Value:
        """An instruction that gives a value of a data type."""
        made = self.f.new(self.type(dtype), text)
        made.dtype, made.lanes = dtype, self
        return made

    def _both(self, x: Value | Number, y: Value | Number) -> tuple[Value, Value]:
        if isinstance(x, Value):
            return x, y if isinstance(y, Value) else self.constant(x.dtype, y)
        assert isinstance(y, Value)
        return self.constant(y.dtype, x), y

    def _two(self, x: Value | Number, y: Value | Number, real: str, whole: str) -> Value:
        x, y = self._both(x, y)
        return self.new(x.dtype, f"{real if x.dtype.is_float else whole} {x}, {y.name}")

    def call(self, name: str, *xs: Value, dtype: DType | None = None, types: Sequence[str] = ()) -> Value:
        """Call an intrinsic or a helper: `call("llvm.sqrt", x)`, to which the lanes' suffix is added."""
        dtype = dtype or xs[0].dtype
        if name.startswith("llvm."):
            name = f"{name}.{self.suffix(xs[0].dtype)}"
            parameters = ", ".join([*(x.type for x in xs), *(t.split()[0] for t in types)])
            self.f.module.declare(name, f"{self.type(dtype)} @{name}({parameters})")
        return self.new(dtype, f"call {self.type(dtype)} @{name}({', '.join([*map(str, xs), *types])})")

    # Arithmetic.

    def add(self, x: Value | Number, y: Value | Number) -> Value:
        """x + y."""
        return self._two(x, y, "fadd", "add")

    def subtract(self, x: Value | Number, y: Value | Number) -> Value:
        """x - y."""
        return self._two(x, y, "fsub", "sub")

    def multiply(self, x: Value | Number, y: Value | Number) -> Value:
        """x * y."""
        return self._two(x, y, "fmul", "mul")

    def divide(self, x: Value | Number, y: Value | Number) -> Value:
        """x / y, for floats."""
        return self._two(x, y, "fdiv", "sdiv")

    def fma(self, x: Value, y: Value | Number, z: Value | Number) -> Value:
        """x * y + z, rounded once."""
        y, z = self._both(x, y)[1], self._both(x, z)[1]
        return self.call("llvm.fma", x, y, z)

    def negative(self, x: Value) -> Value:
        """-x."""
        if x.dtype.is_float:
            return self.new(x.dtype, f"fneg {x}")
        return self.subtract(0, x)

    def abs(self, x: Value) -> Value:
        """|x|."""
        if x.dtype.is_float:
            return self.call("llvm.fabs", x)
        return x if x.dtype in (uint8, bool_) else self.call("llvm.abs", x, types=["i1 false"])

    def sqrt(self, x: Value) -> Value:
        """Square root."""
        return self.call("llvm.sqrt", x)

    def floor(self, x: Value) -> Value:
        """The largest whole number not above x."""
        return self.call("llvm.floor", x)

    def ceil(self, x: Value) -> Value:
        """The smallest whole number not below x."""
        return self.call("llvm.ceil", x)

    def trunc(self, x: Value) -> Value:
        """x without its fraction."""
        return self.call("llvm.trunc", x)

    def round(self, x: Value) -> Value:
        """The nearest whole number, of two the even one."""
        return self.call("llvm.rint", x)

    def copysign(self, x: Value, sign: Value) -> Value:
        """|x| with the sign of another number."""
        return self.call("llvm.copysign", x, self._both(x, sign)[1])

    def maximum(self, x: Value | Number, y: Value | Number) -> Value:
        """The larger one; NaN if either is."""
        return self._extreme(x, y, "greater", "max")

    def minimum(self, x: Value | Number, y: Value | Number) -> Value:
        """The smaller one; NaN if either is."""
        return self._extreme(x, y, "less", "min")

    def _extreme(self, x: Value | Number, y: Value | Number, how: str, name: str) -> Value:
        x, y = self._both(x, y)
        if x.dtype.is_float:
            first = self.logical_or(self._compare(x, y, how), self.is_nan(x))
            return self.select(first, x, y)
        if x.dtype is bool_:
            return self.logical_or(x, y) if name == "max" else self.logical_and(x, y)
        return self.call(f"llvm.{'u' if x.dtype is uint8 else 's'}{name}", x, y)

    # Comparison and choice.

    def less(self, x: Value | Number, y: Value | Number) -> Value:
        """x < y."""
        return self._compare(x, y, "less")

    def less_equal(self, x: Value | Number, y: Value | Number) -> Value:
        """x <= y."""
        return self._compare(x, y, "less_equal")

    def greater(self, x: Value | Number, y: Value | Number) -> Value:
        """x > y."""
        return self._compare(x, y, "greater")

    def greater_equal(self, x: Value | Number, y: Value | Number) -> Value:
        """x >= y."""
        return self._compare(x, y, "greater_equal")

    def equal(self, x: Value | Number, y: Value | Number) -> Value:
        """x == y."""
        return self._compare(x, y, "equal")

    def not_equal(self, x: Value | Number, y: Value | Number) -> Value:
        """x != y; true if either is NaN."""
        return self._compare(x, y, "not_equal")

    def is_nan(self, x: Value) -> Value:
        """Whether x is NaN."""
        return self.new(bool_, f"fcmp uno {x}, {x.name}")

    def _compare(self, x: Value | Number, y: Value | Number, how: str) -> Value:
        x, y = self._both(x, y)
        real, signed, unsigned = _COMPARISONS[how]
        code = f"fcmp {real}" if x.dtype.is_float else f"icmp {unsigned if x.dtype in (uint8, bool_) else signed}"
        return self.new(bool_, f"{code} {x}, {y.name}")

    def select(self, condition: Value, x: Value | Number, y: Value | Number) -> Value:
        """x where the condition holds, else y."""
        x, y = self._both(x, y)
        return self.new(x.dtype, f"select {condition}, {x}, {y}")

    # Bits and truth.

    def logical_and(self, x: Value, y: Value | Number) -> Value:
        """x & y, bit by bit."""
        return self._bits("and", x, y)

    def logical_or(self, x: Value, y: Value | Number) -> Value:
        """x | y, bit by bit."""
        return self._bits("or", x, y)

    def logical_xor(self, x: Value, y: Value | Number) -> Value:
        """x ^ y, bit by bit."""
        return self._bits("xor", x, y)

    def logical_not(self, x: Value) -> Value:
        """All bits the other way round."""
        return self._bits("xor", x, True if x.dtype is bool_ else -1)

    def shift_left(self, x: Value, bits: Value | int) -> Value:
        """x * 2^bits."""
        return self._bits("shl", x, bits)

    def shift_right(self, x: Value, bits: Value | int) -> Value:
        """x / 2^bits, rounded down: the sign is kept."""
        return self._bits("lshr" if x.dtype is uint8 else "ashr", x, bits)

    def shift_right_unsigned(self, x: Value, bits: Value | int) -> Value:
        """The bits moved down, with zeros from above."""
        return self._bits("lshr", x, bits)

    def _bits(self, operation: str, x: Value, y: Value | Number) -> Value:
        x, y = self._both(x, y)
        return self.new(x.dtype, f"{operation} {x}, {y.name}")

    def bitcast(self, x: Value, dtype: DType) -> Value:
        """The same bits as another data type of the same size."""
        return self.new(dtype, f"bitcast {x} to {self.type(dtype)}")

    # Conversion.

    def cast(self, x: Value, dtype: DType) -> Value:
        """The same number as another data type, by NumPy's rules; floats are cut towards zero to be integers."""
        return cast(self, x, dtype)

    # Memory. Truth values are bytes there.

    def load(self, dtype: DType, pointer: Value, index: Index = 0, mask: Value | None = None) -> Value:
        """Neighbouring elements, from an index on; with a mask only some, and zeros on the other lanes."""
        at, type = self.f.at(pointer, index, dtype.itemsize), self.wide(MEMORY[dtype])
        if mask is None or self.count == 1:
            found = self.f.new(type, f"load {type}, {at}, align {dtype.itemsize}")
        else:
            name = f"llvm.masked.load.v{self.count}{_short(dtype)}.p0"
            self.f.module.declare(name, f"{type} @{name}(ptr, <{self.count} x i1>, {type})")
            found = self.f.new(
                type, f"call {type} @{name}(ptr align {dtype.itemsize} {at.name}, {mask}, {type} zeroinitializer)"
            )
        return self._loaded(dtype, found)

    def load_one(self, dtype: DType, pointer: Value, index: Index = 0) -> Value:
        """One element, copied to every lane."""
        return self.spread(Lanes(self.f, 1).load(dtype, pointer, index))

    def gather(self, dtype: DType, pointer: Value, indices: Value, mask: Value | None = None) -> Value:
        """An element for every lane, each at an index (int64) of its own; zero where a mask does not hold."""
        if self.count == 1:
            return self.load(dtype, pointer, Value("i64", indices.name))
        type, pointers = self.wide(MEMORY[dtype]), f"<{self.count} x ptr>"
        if MEMORY[dtype] == "i8":
            where = self.f.new(pointers, f"getelementptr i8, {pointer}, {indices}")
        else:
            where = self.f.new(pointers, f"getelementptr {MEMORY[dtype]}, {pointer}, {indices}")
        name = f"llvm.masked.gather.v{self.count}{_short(dtype)}.v{self.count}p0"
        self.f.module.declare(name, f"{type} @{name}({pointers}, <{self.count} x i1>, {type})")
        chosen = mask or self.constant(bool_, True)
        where.type = f"{pointers} align {dtype.itemsize}"
        return self._loaded(dtype, self.f.new(type, f"call {type} @{name}({where}, {chosen}, {type} zeroinitializer)"))

    def _loaded(self, dtype: DType, found: Value) -> Value:
        if dtype is bool_:
            return self.new(bool_, f"icmp ne {found}, {'0' if self.count == 1 else 'zeroinitializer'}")
        return Value(found.type, found.name, dtype, self)

    def store(self, x: Value, pointer: Value, index: Index = 0, mask: Value | None = None) -> None:
        """Write to neighbouring elements; with a mask only to some."""
        at, x = self.f.at(pointer, index, x.dtype.itemsize), self._stored(x)
        if mask is None or self.count == 1:
            self.f.line(f"store {x}, {at}, align {x.dtype.itemsize}")
            return
        if mask.held == 1:
            # LLVM 22 writes a narrowed lane in its full width where a constant mask holds on this lane alone.
            first = self.f.new(x.type.split(" x ")[1][:-1], f"extractelement {x}, i64 0")
            self.f.line(f"store {first}, {at}, align {x.dtype.itemsize}")
            return
        name = f"llvm.masked.store.v{self.count}{_short(x.dtype)}.p0"
        self.f.module.declare(name, f"void @{name}({x.type}, ptr, <{self.count} x i1>)")
        self.f.line(f"call void @{name}({x}, ptr align {x.dtype.itemsize} {at.name}, {mask})")

    def scatter(self, x: Value, pointer: Value, indices: Value, mask: Value | None = None) -> None:
        """Write each lane to an index (int64) of its own, the first lane first."""
        if self.count == 1:
            self.store(x, pointer, Value("i64", indices.name))
            return
        x, pointers = self._stored(x), f"<{self.count} x ptr>"
        where = self.f.new(pointers, f"getelementptr {MEMORY[x.dtype]}, {pointer}, {indices}")
        name = f"llvm.masked.scatter.v{self.count}{_short(x.dtype)}.v{self.count}p0"
        self.f.module.declare(name, f"void @{name}({x.type}, {pointers}, <{self.count} x i1>)")
        where.type = f"{pointers} align {x.dtype.itemsize}"
        self.f.line(f"call void @{name}({x}, {where}, {mask or self.constant(bool_, True)})")

    def _stored(self, x: Value) -> Value:
        if x.dtype is not bool_:
            return x
        type = self.wide("i8")
        return Value(type, self.f.new(type, f"zext {x} to {type}").name, bool_, self)

    def first(self, count: Index) -> Value:
        """A mask: true on the first `count` lanes."""
        mask = self.less(self.numbers(), self.index(count))
        mask.held = count if isinstance(count, int) else -1
        return mask

    # Between lanes.

    def lane(self, x: Value, position: int) -> Value:
        """The value on one lane, as a single one."""
        if self.count == 1:
            return x
        one = Lanes(self.f, 1)
        return one.new(x.dtype, f"extractelement {x}, i64 {position}")

    def shuffle(self, x: Value, y: Value, order: Sequence[int]) -> Value:
        """Lanes of x and y in a new order: lane i of the result is lane order[i] of x followed by y."""
        lanes = Lanes(self.f, len(order))
        mask = ", ".join(f"i32 {i}" for i in order)
        return lanes.new(x.dtype, f"shufflevector {x}, {y}, <{len(order)} x i32> <{mask}>")


_COMPARISONS = {
    "less": ("olt", "slt", "ult"),
    "less_equal": ("ole", "sle", "ule"),
    "greater": ("ogt", "sgt", "ugt"),
    "greater_equal": ("oge", "sge", "uge"),
    "equal": ("oeq", "eq", "eq"),
    "not_equal": ("une", "ne", "ne"),
}


def _short(dtype: DType) -> str:
    return {float32: "f32", float64: "f64"}.get(dtype) or MEMORY[dtype]
