"""The native interpreter of programs: what runs a compiled step from its first kernel to its last.

A program is, for each thread, a table of 64-bit integers:

    CALL     [1, function, arguments, begin, end]                    function(arguments, begin, end)
    BARRIER  [2]                                                     wait until every thread is here
    LOOP     [3, count, words, advances, (address, stride)..., body] the body, of so many words, again and again
    END      [0]

After each iteration of a loop, each stride is added to the integer at its address; when the loop is over, what was
added is taken back. Loops nest.

Threads meet in memory that they share: a few words for all of them, then three lines of cache for each thread.
The barrier is the dissemination barrier of Hensgen, Finkel and Manber (1988): in round r, thread t says that it has
come and waits for thread t - 2^r. Two threads need one round, in which each reads what the other wrote. Who waits
spins at first, then lets other threads run, then sleeps for moments.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from chainrule.native.code import Function, Index, Module, Value
from chainrule.native.target import Target

END, CALL, BARRIER, LOOP = 0, 1, 2, 3

# Words at the start of the shared memory, set once.
YIELD, SLEEP, NAP, PATIENCE, QUIT = range(5)
SHARED_WORDS = 16

# Words of each thread, in three lines of 128 bytes: what it tells others at barriers, one word a round; what the
# caller tells it; what is its own.
ARRIVED = 0
POSTED, TABLE, THREADS, COUNTERS, START, ASLEEP, WAKE = range(16, 23)
EPISODE, SEEN = 32, 33
THREAD_WORDS = 48

# A request: the memory in which threads meet, how many run, the address of an array with the address of the counters of
# each, or 0, and then the tables of each.
SHARED, ON, COUNTED, TABLES = range(4)

# How often a thread that waits looks again before it lets others run each time, and before it naps each time. Few, as
# on a busy machine the other thread may be waiting for this one's processor; letting others run where there are none
# takes less than a microsecond.
SPINS, YIELDS = 32, 10_000

MODULE = "chainrule_runner"
LAUNCH, ATTEND, CLOCK = "chainrule_launch", "chainrule_attend", "chainrule_clock"

THREAD, COUNT = Value("i64", "%thread"), Value("i64", "%threads")
_COMMON = ["ptr %shared", "i64 %thread", "i64 %threads"]


def runner_text(target: Target, architecture: str) -> str:
    """The module with the functions `LAUNCH`, `ATTEND` and `CLOCK`.

    `launch(request)`: run a program, on this thread and maybe on others. If there are counters, the clock's ticks
        within each CALL and BARRIER are added to the counter with the index of its first word.
    `attend(shared, thread)`: do what is launched for this thread; returns when nothing has been for a while, with the
        word ASLEEP set, or when QUIT is set.
    `clock(result)`: the clock's ticks.
    """
    module = Module(MODULE, target)
    maker = _Maker(module, architecture)
    maker.clock()
    maker.wait()
    maker.barrier()
    maker.walk()
    maker.post()
    maker.launch()
    maker.attend()
    return module.text()


class _Maker:
    """Writes the functions of the module."""

    def __init__(self, module: Module, architecture: str) -> None:
        self.module = module
        self.pause_code = ""
        counter = "llvm.readcyclecounter"
        if architecture in ("x86_64", "i686"):
            module.declare("llvm.x86.sse2.pause", "void @llvm.x86.sse2.pause()")
            self.pause_code = "call void @llvm.x86.sse2.pause()"
        elif architecture == "aarch64":
            module.declare("llvm.aarch64.isb", "void @llvm.aarch64.isb(i32)")
            self.pause_code = "call void @llvm.aarch64.isb(i32 15)"
            counter = "llvm.readsteadycounter"  # the cycle counter is not for programs there
        module.declare(counter, f"i64 @{counter}()")
        self.ticks_code = f"call i64 @{counter}()"

    # Parts of functions.

    def ticks(self, f: Function) -> Value:
        return f.new("i64", self.ticks_code)

    def pause(self, f: Function) -> None:
        if self.pause_code:
            f.line(self.pause_code)

    def word(self, f: Function, base: Value, index: Index) -> Value:
        return f.at(base, index, 8)

    def own(self, f: Function, thread: Index) -> Value:
        """Where the words of a thread start."""
        return self.word(f, Value("ptr", "%shared"), f.add(f.mul(thread, THREAD_WORDS), SHARED_WORDS))

    def load(self, f: Function, at: Value, order: str = "acquire") -> Value:
        return f.new("i64", f"load atomic i64, {at} {order}, align 8")

    def store(self, f: Function, x: Index, at: Value, order: str = "release") -> None:
        f.line(f"store atomic i64 {_text(x)}, {at} {order}, align 8")

    def set(self, f: Function, x: Index, at: Value) -> None:
        f.line(f"store i64 {_text(x)}, {at}, align 8")

    # Functions.

    def clock(self) -> None:
        with self.module.function(CLOCK, ["ptr %result"], external=True) as f:
            self.set(f, self.ticks(f), Value("ptr", "%result"))

    def wait(self) -> None:
        """One moment of waiting, the `tries`th: short at first, longer later."""
        with self.module.function("wait", ["ptr %shared", "i64 %tries"]) as f:
            shared, tries = Value("ptr", "%shared"), Value("i64", "%tries")
            self.pause(f)
            with f.when(f.compare("sgt", tries, SPINS)):
                with f.when(f.compare("sgt", tries, SPINS + YIELDS)):
                    nap = f.new("i32", f"trunc {f.load_index(self.word(f, shared, NAP))} to i32")
                    f.line(f"call void {f.load_pointer(self.word(f, shared, SLEEP)).name}({nap})")
                with f.when(f.compare("sle", tries, SPINS + YIELDS)):
                    f.line(f"call void {f.load_pointer(self.word(f, shared, YIELD)).name}()")

    def wait_until(self, f: Function, reached: Callable[[], Value]) -> None:
        """Wait as long as it takes for a condition to hold."""
        tries = f.stack(8, 8)
        self.set(f, 0, tries)
        with self.forever(f) as leave:
            leave(reached())
            count = f.add(f.load_index(tries), 1)
            self.set(f, count, tries)
            f.line(f"call void @wait(ptr %shared, {count})")

    @contextmanager
    def forever(self, f: Function) -> Generator[Callable[[Value], None]]:
        """A loop that is left where `leave(condition)` finds its condition to hold."""
        head, done = f.label(), f.label()
        f.line(f"br label %{head}")
        f.block(head)

        def leave(condition: Value) -> None:
            on = f.label()
            f.line(f"br {condition}, label %{done}, label %{on}")
            f.block(on)

        yield leave
        f.line(f"br label %{head}")
        f.block(done)

    def barrier(self) -> None:
        with self.module.function("barrier", _COMMON) as f, f.when(f.compare("sgt", COUNT, 1)):
            own, count = self.own(f, THREAD), f.stack(16, 8)
            episode = f.add(f.load_index(self.word(f, own, EPISODE)), 1)
            self.set(f, episode, self.word(f, own, EPISODE))
            round_at, step_at = count, self.word(f, count, 1)
            self.set(f, 0, round_at)
            self.set(f, 1, step_at)
            with self.forever(f) as leave:
                round, step = f.load_index(round_at), f.load_index(step_at)
                leave(f.compare("sge", step, COUNT))
                self.store(f, episode, self.word(f, own, f.add(round, ARRIVED)))
                before = f.sub(THREAD, step)
                partner = f.choose(f.compare("slt", before, 0), f.add(before, COUNT), before)
                flag = self.word(f, self.own(f, partner), f.add(round, ARRIVED))
                self.wait_until(f, lambda flag=flag: f.compare("sge", self.load(f, flag), episode))
                self.set(f, f.add(round, 1), round_at)
                self.set(f, f.add(step, step), step_at)

    def walk(self) -> None:
        """The instructions from one word of a table up to another one, or to END."""
        parameters = ["ptr %from", "ptr %to", "ptr %table", "ptr %counters", *_COMMON]
        with self.module.function("walk", parameters) as f:
            now = f.stack(8, 8)
            f.line(f"store ptr %from, {now}")
            with self.forever(f) as leave:
                at = f.load_pointer(now)
                leave(f.new("i1", f"icmp eq {at}, %to"))
                code = f.load_index(at)
                leave(f.compare("eq", code, END))
                with f.when(f.compare("eq", code, CALL)):
                    self.call(f, at)
                    f.line(f"store {self.word(f, at, 5)}, {now}")
                with f.when(f.compare("eq", code, BARRIER)):
                    with self.counted(f, at):
                        f.line("call void @barrier(ptr %shared, i64 %thread, i64 %threads)")
                    f.line(f"store {self.word(f, at, 1)}, {now}")
                with f.when(f.compare("eq", code, LOOP)):
                    f.line(f"store {self.repeat(f, at)}, {now}")

    def call(self, f: Function, at: Value) -> None:
        function, arguments = (f.load_pointer(self.word(f, at, i)) for i in (1, 2))
        begin, end = (f.load_index(self.word(f, at, i)) for i in (3, 4))
        with self.counted(f, at):
            f.line(f"call void {function.name}({arguments}, {begin}, {end})")

    @contextmanager
    def counted(self, f: Function, at: Value) -> Generator[None]:
        """Add the clock's ticks within to the counter of an instruction, if there are counters."""
        asked, start = f.new("i1", "icmp ne ptr %counters, null"), f.stack(8, 8)
        with f.when(asked):
            self.set(f, self.ticks(f), start)
        yield
        with f.when(asked):
            spent = f.sub(self.ticks(f), f.load_index(start))
            here, first = (f.new("i64", f"ptrtoint ptr {x} to i64") for x in (at.name, "%table"))
            counter = f.at(Value("ptr", "%counters"), f.sub(here, first), 1)
            self.set(f, f.add(f.load_index(counter), spent), counter)

    def repeat(self, f: Function, at: Value) -> Value:
        """A LOOP; gives where the table goes on."""
        count, words, advances = (f.load_index(self.word(f, at, i)) for i in (1, 2, 3))
        body = self.word(f, at, f.add(f.mul(advances, 2), 4))
        after = self.word(f, body, words)

        def advance(by: Index) -> None:
            with f.loop(0, advances) as each:
                pair = self.word(f, at, f.add(f.mul(each.index, 2), 4))
                place = f.load_pointer(pair)
                change = f.mul(f.load_index(self.word(f, pair, 1)), by)
                self.set(f, f.add(f.load_index(place), change), place)

        with f.loop(0, count):
            rest = "ptr %table, ptr %counters, ptr %shared, i64 %thread, i64 %threads"
            f.line(f"call void @walk({body}, {after}, {rest})")
            advance(1)
        advance(f.sub(0, count))
        return after

    def launch(self) -> None:
        with self.module.function(LAUNCH, ["ptr %request"], external=True) as f:
            request = Value("ptr", "%request")
            shared, counters = (f.load_pointer(self.word(f, request, i)) for i in (SHARED, COUNTED))
            tables, threads = self.word(f, request, TABLES), f.load_index(self.word(f, request, ON))
            given = f"ptr {tables.name}, ptr {counters.name}, ptr {shared.name}, i64 {threads.name}"
            f.line(f"call void @post({given})")

    def post(self) -> None:
        """A request, taken apart."""
        with self.module.function("post", ["ptr %tables", "ptr %counters", "ptr %shared", "i64 %threads"]) as f:
            tables = Value("ptr", "%tables")
            with f.loop(1, COUNT) as each:
                episode = f.load_index(self.word(f, self.own(f, 0), EPISODE))
                own = self.own(f, each.index)
                self.set(f, f.load_index(self.word(f, tables, each.index)), self.word(f, own, TABLE))
                self.set(f, self.counters(f, each.index), self.word(f, own, COUNTERS))
                self.set(f, COUNT, self.word(f, own, THREADS))
                self.set(f, episode, self.word(f, own, START))
                posted = self.word(f, own, POSTED)
                self.store(f, f.add(f.load_index(posted), 1), posted, "seq_cst")
                asleep = self.take(f, self.word(f, own, ASLEEP))
                with f.when(f.compare("ne", asleep, 0)):
                    f.line(f"call void {f.load_pointer(self.word(f, own, WAKE)).name}()")
            table = f.load_index(tables)
            self.whole(f, table, self.counters(f, 0), 0, COUNT)

    def counters(self, f: Function, thread: Index) -> Value:
        """The address of a thread's counters; null if there are none."""
        place = f.stack(8, 8)
        self.set(f, 0, place)
        given = Value("ptr", "%counters")
        with f.when(f.new("i1", "icmp ne ptr %counters, null")):
            self.set(f, f.load_index(self.word(f, given, thread)), place)
        return f.load_index(place)

    def whole(self, f: Function, table: Value, counters: Value, thread: Index, threads: Value) -> None:
        """A thread's part of a program, and a last barrier: all parts are done after it."""
        pointers = [f.new("ptr", f"inttoptr {x} to ptr") for x in (table, counters)]
        common = f"ptr %shared, i64 {_text(thread)}, {threads}"
        start, counted = (x.name for x in pointers)
        f.line(f"call void @walk(ptr {start}, ptr null, ptr {start}, ptr {counted}, {common})")
        f.line(f"call void @barrier({common})")

    def take(self, f: Function, flag: Value) -> Value:
        """What a flag was before it is cleared here."""
        return f.new("i64", f"atomicrmw xchg {flag}, i64 0 seq_cst, align 8")

    def attend(self) -> None:
        with self.module.function(ATTEND, ["ptr %shared", "i64 %thread"], external=True) as f:
            shared, own = Value("ptr", "%shared"), self.own(f, THREAD)
            posted, seen, asleep = (self.word(f, own, i) for i in (POSTED, SEEN, ASLEEP))
            since, tries, rest = (f.stack(8, 8) for _ in range(3))
            self.set(f, self.ticks(f), since)
            self.set(f, 0, tries)
            self.set(f, 0, rest)
            patience = f.load_index(self.word(f, shared, PATIENCE))
            with self.forever(f) as leave:
                number = self.load(f, posted, "seq_cst")
                with f.when(f.compare("ne", number, f.load_index(seen))):
                    self.set(f, number, seen)
                    self.part(f, own)
                    self.set(f, self.ticks(f), since)
                    self.set(f, 0, tries)
                leave(f.compare("ne", self.load(f, self.word(f, shared, QUIT)), 0))
                count = f.add(f.load_index(tries), 1)
                self.set(f, count, tries)
                f.line(f"call void @wait(ptr %shared, {count})")
                with f.when(f.compare("sgt", f.sub(self.ticks(f), f.load_index(since)), patience)):
                    # Who launches posts first and then looks whether this thread is asleep; here it is the other way
                    # round, so that one of the two sees the other. Whoever clears the flag decides: if it is this
                    # thread, it stays awake; if not, it is going to be woken.
                    self.set(f, 1, rest)
                    self.store(f, 1, asleep, "seq_cst")
                    with f.when(f.compare("ne", self.load(f, posted, "seq_cst"), f.load_index(seen))):
                        self.set(f, f.sub(1, self.take(f, asleep)), rest)
                leave(f.compare("ne", f.load_index(rest), 0))

    def part(self, f: Function, own: Value) -> None:
        """What was launched for this thread."""
        self.set(f, f.load_index(self.word(f, own, START)), self.word(f, own, EPISODE))
        table, counters, threads = (f.load_index(self.word(f, own, i)) for i in (TABLE, COUNTERS, THREADS))
        self.whole(f, table, counters, THREAD, threads)


def _text(x: Index) -> str:
    return str(x) if isinstance(x, int) else x.name
