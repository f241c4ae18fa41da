"""The figures in words: a table for the terminal, and one in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.table import Table

from benchmarks.comparison import Comparison, Spread, losers_first, spread
from benchmarks.variants import BY_NAME

NONE = "-"
LEGEND = """\
speed   beside the fastest peer: 2.0x is twice as fast
cold    the first call in a new process, after its imports, with empty caches
warm    the same with the caches that an earlier process has filled
memory  the most that a process has held
peak    share of the machine's arithmetic that the products of a step reach
apart   largest difference from the losses, or results, of the plainest peer
In epoch and scan, the first call does the steps of a whole epoch.
"""


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> duration(1.69e-5), duration(0.00234), duration(34.56)
    ('16.9 µs', '2.34 ms', '34.6 s')
    """
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= 0.9995 * size:
            return f"{three_digits(seconds / size)} {unit}"
    return f"{three_digits(seconds * 1e6)} µs"


def three_digits(x: float) -> str:
    """

    >>> three_digits(1.234), three_digits(99.96), three_digits(1234.0)
    ('1.23', '100', '1234')
    """
    return f"{x:.{2 if x < 9.995 else 1 if x < 99.95 else 0}f}"


def times(ratio: float | None) -> str:
    """A ratio.

    >>> times(4.123), times(1.057)
    ('4.1x', '1.06x')
    """
    return NONE if ratio is None else f"{ratio:.{2 if ratio < 1.995 else 1}f}x"


def middle(measured: Spread | None) -> str:
    return duration(measured.median) if measured else NONE


def between(measured: Spread | None) -> str:
    """The quartiles.

    >>> between(Spread(1.2e-3, 1.12e-3, 1.3e-3)), between(Spread(1e-3, 0.9e-3, 1.3e-3))
    ('1.12 to 1.30 ms', '900 µs to 1.30 ms')
    """
    if measured is None:
        return NONE
    low, high = duration(measured.low), duration(measured.high)
    return f"{low[:-3] if low[-3:] == high[-3:] else low} to {high}"


def rate(comparison: Comparison, variant: str) -> str:
    """GFLOP/s, and the share of the machine's peak."""
    gflops = comparison.gflops(variant)
    if gflops is None or comparison.peak is None:
        return NONE
    return f"{gflops:.0f} GFLOP/s, {gflops / comparison.peak:.0%}"


def share(comparison: Comparison, variant: str) -> str:
    """The share of the machine's peak."""
    gflops = comparison.gflops(variant)
    return NONE if gflops is None or comparison.peak is None else f"{gflops / comparison.peak:.0%}"


def tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """One table a workload, those where chainrule does worst first; single layers share a table."""
    worst_first = losers_first(comparisons)
    singles = [x for x in worst_first if x.kind == "layer"]
    return [table_of(x) for x in worst_first if x.kind != "layer"] + [table_of_layers(singles)] * bool(singles)


def table_of_layers(comparisons: Sequence[Comparison]) -> Table:
    """A row a layer: chainrule, the fastest peer and its name, and the ratio."""
    table = empty_table("[bold]single layers[/bold]  forward and all gradients")
    for heading in ("", "chainrule", "peak", "fastest peer", "", "speed", "apart"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for x in comparisons:
        own, peer = x.fastest(peers=False), x.fastest(peers=True)
        table.add_row(
            x.name,
            middle(x.results[own].step) if own else "failed",
            share(x, own) if own else NONE,
            middle(x.results[peer].step) if peer else NONE,
            BY_NAME[peer].title if peer else NONE,
            times(x.lead),
            f"{x.differences()[own]:.0e}" if own else NONE,
            style=None if own else "red",
        )
    return table


def empty_table(title: str) -> Table:
    """Without columns yet."""
    return Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)


def table_of(comparison: Comparison) -> Table:
    table = empty_table(f"[bold]{comparison.name}[/bold]  {comparison.title}")
    time = "a call" if comparison.kind == "product" else "a step"
    for heading in ("", time, "peak", "speed", "cold", "warm", "memory", "apart"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    differences = comparison.differences()
    for name, result in comparison.results.items():
        variant = BY_NAME[name]
        if result.error:
            table.add_row(variant.title, "failed", style="red")
            continue
        table.add_row(
            variant.title,
            middle(result.step),
            share(comparison, name),
            times(comparison.speed(name)),
            middle(spread(result.cold)),
            middle(spread(result.warm)),
            f"{result.memory / 2**20:.0f} MB",
            f"{differences[name]:.0e}",
            style="dim" if variant.is_peer else "bold",
        )
    return table


def markdown(comparisons: Sequence[Comparison]) -> str:
    """Tables of steps, first calls and memory, one row a workload; the machine and the versions below."""
    networks = [x for x in comparisons if x.kind != "layer"]
    singles = losers_first([x for x in comparisons if x.kind == "layer"])
    parts = [
        "# Results",
        "Made by `make bench`; the files beside this one hold every window. Medians; (quartiles).",
        "![as a picture](speed.svg)",
        "## A step",
        grid(networks, lambda x, name: f"{middle(x.results[name].step)} ({between(x.results[name].step)})"),
    ]
    if products := [x for x in networks if x.flops and x.peak]:
        peak = max(x.peak or 0.0 for x in products)
        parts += [
            "## Arithmetic",
            "GFLOP/s of the products of the layers as they are defined, over the time of the whole step, and the share"
            f" of this machine's float32 peak, {peak:.0f} GFLOP/s as measured.",
            grid(products, rate),
        ]
    if singles:
        parts += [
            "## Single layers",
            "Forward and all gradients; where chainrule does worst beside the fastest peer first.",
            grid(singles, lambda x, name: middle(x.results[name].step), titles=True),
        ]
    parts += [
        "## The first call",
        "In a new process after its imports: cold, and (warm) with the caches of an earlier process. Where a call does"
        " an epoch, it is an epoch's.",
        grid(networks, first_call, ratio=False),
        "## Peak memory",
        grid(networks, lambda x, name: f"{x.results[name].memory / 2**20:.0f} MB", ratio=False),
        "## Made with",
        origin(comparisons),
    ]
    return "\n\n".join(parts) + "\n"


def first_call(comparison: Comparison, name: str) -> str:
    result = comparison.results[name]
    return f"{middle(spread(result.cold))} ({middle(spread(result.warm))})"


def grid(
    comparisons: Sequence[Comparison],
    cell: Callable[[Comparison, str], str],
    *,
    ratio: bool = True,
    titles: bool = False,
) -> str:
    """Workloads down, variants across; with `ratio`, how fast chainrule is beside the fastest peer."""
    names = [name for name in BY_NAME if any(name in x.results for x in comparisons)]
    rows = [["", *(BY_NAME[name].title for name in names)], ["---", *("---:" for _ in names)]]
    for x in comparisons:
        cells = (cell(x, name) if name in x.results and not x.results[name].error else NONE for name in names)
        rows.append([f"{x.name}: {x.title}" if titles else x.name, *cells])
    if ratio:
        last = ["chainrule beside the fastest peer", "---:", *(times(x.lead) for x in comparisons)]
        rows = [[*row, end] for row, end in zip(rows, last, strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def origin(comparisons: Sequence[Comparison]) -> str:
    """Machine, versions and dates."""
    machines = sorted({x.machine for x in comparisons})
    dates = sorted({x.date for x in comparisons})
    versions = {name: number for x in comparisons for name, number in x.versions.items()}
    return (
        f"{'; '.join(machines)}. {', '.join(f'{name} {number}' for name, number in sorted(versions.items()))}. "
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}."
    )
