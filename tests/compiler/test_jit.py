"""From text to functions in memory, with and without the cache."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrule.compiler import cache, jit, llvm, machine
from chainrule.compiler.jit import Code, build, load
from chainrule.compiler.objects import compile_texts, object_key
from chainrule.errors import DefinitionError
from chainrule.native.code import Module
from chainrule.native.lanes import Lanes
from chainrule.native.target import LEVELS, Target
from chainrule.types import float32, float64

HOST = machine.host_target()
PLAIN = ["x86-64-v2", "x86-64-v3"] if machine.architecture() == "x86_64" else []


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    return tmp_path


def adder(name: str, number: int, target: Target = HOST) -> str:
    """`name(args, begin, end)`: the integer that its first argument points to becomes begin + number."""
    module = Module(name, target)
    with module.kernel() as f:
        f.line(f"store {f.add(f.begin, number)}, {f.pointer(0)}, align 8")
    return module.text()


def call(code: Code, name: str, begin: int = 0) -> int:
    """Call a kernel with a pointer to an integer; what that is afterwards."""
    result = ctypes.c_int64()
    call_with(code, name, ctypes.addressof(result), begin)
    return result.value


def call_with(code: Code, name: str, address: int, begin: int = 0) -> None:
    argument = ctypes.c_int64(address)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(code[name])
    function(ctypes.addressof(argument), begin, begin + 1)


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call of the compiler is given, from now on."""
    counts: list[int] = []
    original: Callable[..., list[bytes]] = jit.compile_texts

    def counting(texts: list[str], target: Target) -> list[bytes]:
        counts.append(len(texts))
        return original(texts, target)

    monkeypatch.setattr(jit, "compile_texts", counting)
    return counts


def test_functions_are_found_by_name() -> None:
    code = build([adder("one", 1), adder("two", 2)], ["two", "one"], HOST)
    assert call(code, "one", 10) == 11
    assert call(code, "two", 10) == 12


def test_a_module_may_call_functions_of_another() -> None:
    caller = Module("caller", HOST)
    with caller.kernel() as f:
        caller.declare("callee", "void @callee(ptr, i64, i64)")
        f.line(f"call void @callee(ptr %args, {f.add(f.begin, 100)}, i64 0)")
    code = build([caller.text(), adder("callee", 5)], ["caller"], HOST)
    assert call(code, "caller", 1) == 106


def test_names_are_free_for_each_build() -> None:
    first, second = build([adder("same", 1)], ["same"], HOST), build([adder("same", 2)], ["same"], HOST)
    assert (call(first, "same"), call(second, "same")) == (1, 2)


def test_equal_texts_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = compiled(monkeypatch)
    build([adder("one", 1), adder("one", 1)], ["one"], HOST)
    assert counts == [1]


def test_what_was_compiled_before_is_taken_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = compiled(monkeypatch)
    build([adder("one", 1)], ["one"], HOST)
    code = build([adder("one", 1), adder("two", 2)], ["one", "two"], HOST)
    assert call(code, "one") == 1
    build([adder("one", 1)], ["one"], HOST)
    assert counts == [1, 1, 0]


def test_without_a_cache_everything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, "")
    counts = compiled(monkeypatch)
    for _ in range(2):
        assert call(build([adder("one", 1)], ["one"], HOST), "one", 0) == 1
    assert counts == [1, 1]


@pytest.mark.parametrize("other", [b"", b"no object code at all", None])
def test_kept_code_that_does_not_load_is_made_again(other: bytes | None) -> None:
    text = adder("one", 1)
    content = compile_texts([adder("another", 2)], HOST)[0] if other is None else other
    cache.put(object_key(text, HOST), content)
    assert call(build([text], ["one"], HOST), "one", 0) == 1
    assert cache.get(object_key(text, HOST)) not in (None, content)


def test_object_code_works_in_another_process(place: Path) -> None:
    build([adder("one", 1)], ["one"], HOST)
    script = (
        "from chainrule.compiler import jit, machine\n"
        "jit.compile_texts = lambda texts, target: [][: len(texts)]\n"
        f"code = jit.build([{adder('one', 1)!r}], ['one'], machine.host_target())\n"
        "print(code['one'] != 0)"
    )
    environment = {**os.environ, cache.VARIABLE: str(place)}
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout == "True\n"


def test_keys_tell_texts_and_targets_apart() -> None:
    targets = [HOST, Target("generic", HOST.features, 16, 16), Target(HOST.cpu, "", 16, 16)]
    keys = {object_key(text, target) for text in ("a", "b") for target in targets}
    assert len(keys) == 6


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_makes_the_same_code(workers: int) -> None:
    texts = [adder(f"k{i}", i) for i in range(12)]
    objects = compile_texts(texts, HOST, workers)
    assert objects == [compile_texts([text], HOST)[0] for text in texts]
    code = load(objects, [f"k{i}" for i in range(12)])
    assert [call(code, f"k{i}") for i in range(12)] == list(range(12))


def test_text_without_object_code_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm.library(), "emit", lambda *_: None)
    with pytest.raises(RuntimeError, match="no object code"):
        compile_texts([adder("one", 1)], HOST)


def test_nothing_to_compile_is_nothing() -> None:
    assert compile_texts([], HOST) == []


@pytest.mark.parametrize(
    "text",
    [
        "this is no code",
        "define void @f() {\n ret i32 1\n}",
        "define void @f(i1 %x) {\n br label %a\na:\n %y = phi i1 [ %x, %a ]\n ret void\n}",
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_text_that_llvm_does_not_take_is_an_error_with_its_reason(text: str, workers: int) -> None:
    with pytest.raises(RuntimeError, match=r"LLVM does not take a kernel: ."):
        compile_texts([adder("good", 1), text, adder("better", 2)], HOST, workers)


def test_a_function_that_is_nowhere_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="nowhere"):
        build([adder("one", 1)], ["one", "nowhere"], HOST)
    missing = Module("missing", HOST)
    with missing.kernel() as f:
        missing.declare("elsewhere", "void @elsewhere()")
        f.line("call void @elsewhere()")
    with pytest.raises(RuntimeError, match="missing"):
        build([missing.text()], ["missing"], HOST)


def test_a_processor_that_llvm_does_not_know_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.compiler.objects.triple", lambda: "abacus-unknown-linux")
    with pytest.raises(RuntimeError, match="abacus"):
        compile_texts([adder("one", 1)], HOST)


def copying(target: Target) -> str:
    """A loop over bytes that would be a call of memcpy or memset for other compilers."""
    module = Module("copying", target)
    with module.kernel() as f, f.loop(f.begin, f.end) as loop:
        one = f.new("i8", f"load i8, {f.at(f.pointer(1), loop.index, 1)}, align 1")
        f.line(f"store {one}, {f.at(f.pointer(0), loop.index, 1)}, align 1")
        f.line(f"store i8 0, {f.at(f.pointer(2), loop.index, 1)}, align 1")
    return module.text()


def test_loops_do_not_become_calls_of_the_library() -> None:
    (made,) = compile_texts([copying(HOST)], HOST)
    assert b"memcpy" not in made and b"memset" not in made


@pytest.mark.parametrize("name", ["host", *PLAIN])
def test_a_product_and_sum_rounded_once_works_on_every_processor(name: str) -> None:
    target = machine.target_named(name)
    module = Module("fused", target)
    with module.kernel() as f:
        for dtype, offset in ((float32, 0), (float64, 64)):
            v, at = Lanes(f, 4), f.at(f.pointer(0), offset, 1)
            x = v.load(dtype, at)
            v.store(v.fma(x, x, -1.0), at)
    code = build([module.text()], ["fused"], target)
    floats, doubles = (ctypes.c_float * 4)(*[1 + 2**-12] * 4), (ctypes.c_double * 4)(*[1 + 2**-30] * 4)
    memory = ctypes.create_string_buffer(128)
    ctypes.memmove(memory, floats, 16)
    ctypes.memmove(ctypes.addressof(memory) + 64, doubles, 32)
    call_with(code, "fused", ctypes.addressof(memory))
    assert list((ctypes.c_float * 4).from_buffer(memory)) == [2**-11 + 2**-24] * 4
    assert list((ctypes.c_double * 4).from_buffer(memory, 64)) == [2**-29 + 2**-60] * 4


def test_helpers_are_part_of_their_kernels() -> None:
    module = Module("outer", HOST)
    with module.kernel() as f:
        name = module.helper("inner", "i64", ["i64 %x"], lambda g: g.new("i64", "add i64 %x, 7"))
        f.line(f"store {f.new('i64', f'call i64 @{name}({f.begin})')}, {f.pointer(0)}, align 8")
    (made,) = compile_texts([module.text()], HOST)
    assert b"inner" not in made
    assert call(load([made], ["outer"]), "outer", 1) == 8


def test_code_is_unloaded_when_nothing_refers_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    jit.load([], [])  # frees what other tests have left
    unloaded: list[int] = []
    monkeypatch.setattr(llvm.library(), "unlink", lambda found, _: unloaded.append(found))
    code = build([adder("one", 1)], ["one"], HOST)
    assert unloaded == []
    del code
    gc.collect()
    assert len(unloaded) == 1


def test_code_that_is_let_go_while_another_thread_compiles_is_unloaded_later(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    jit.load([], [])  # frees what other tests have left
    unloaded: list[int] = []
    monkeypatch.setattr(llvm.library(), "unlink", lambda found, _: unloaded.append(found))
    codes = [build([adder("one", 1)], ["one"], HOST)]
    with jit._lock:
        thread = threading.Thread(target=codes.clear)
        thread.start()
        thread.join()
        assert unloaded == []
    kept = build([adder("two", 2)], ["two"], HOST)
    assert len(unloaded) == 1
    assert call(kept, "two") == 2


def test_many_python_threads_may_build_at_once() -> None:
    found: dict[int, int] = {}

    def work(number: int) -> None:
        found[number] = call(build([adder("k", number)], ["k"], HOST), "k", 0)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: i for i in range(6)}


def test_the_host_is_a_target_and_plain_ones_have_names() -> None:
    assert machine.target_named("host") is machine.host_target()
    assert machine.target_named("x86-64-v3") is LEVELS["x86-64-v3"]
    assert HOST.cpu
    assert HOST.vector_bytes in (16, 32, 64)
    with pytest.raises(DefinitionError, match="'host'"):
        machine.target_named("abacus")


def test_the_kind_of_processor_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for triple, name in (("x86_64-unknown-linux-gnu", "x86_64"), ("arm64-apple-darwin24", "aarch64")):
        monkeypatch.setattr(machine, "triple", lambda triple=triple: triple)
        assert machine.architecture() == name


def test_without_llvmlite_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="pip install llvmlite"):
        llvm.Library()


def test_a_process_without_a_linker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm.library(), "new_linker", lambda *_: None)
    with pytest.raises(RuntimeError, match="no linker"):
        jit._linker.__wrapped__()
