"""The frame of a page of HTML that needs nothing but itself: style, tables, and text made safe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --ink: #1d2430; --soft: #5b6675; --rule: #dfe3ea;
  --train: #2f6fde; --validation: #c8570c; --shade: #2f6fde; }
@media (prefers-color-scheme: dark) { :root { --back: #12161d; --card: #1a2029; --ink: #e7ebf1; --soft: #9ba7b8;
  --rule: #323b48; --train: #7db0ff; --validation: #ffa861; --shade: #4d8dff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 12px; }
p { margin: 0 0 12px; text-wrap: pretty; }
.soft { color: var(--soft); }
.cards { display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 20px 22px;
  min-width: 0; margin: 0 0 18px; }
.cards section { margin: 0; }
.cards { margin: 0 0 18px; }
.tiles { display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); margin: 24px 0 18px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 18px; }
.tile b { display: block; font-size: 1.55rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .88rem; }
.scroll { overflow: auto; }
.tall .scroll { max-height: 460px; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: break-word; }
tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 500; }
tbody th { font-weight: 500; overflow-wrap: anywhere; }
td:last-child:not(.number):not([style]) { min-width: 9rem; }
td.number { white-space: nowrap; }
.number { text-align: right; }
.strong { font-weight: 650; }
.matrix td { text-align: center; padding: 8px; border: 2px solid var(--card); border-radius: 6px;
  background: color-mix(in srgb, var(--shade) calc(var(--share) * 55%), var(--back)); }
.matrix th { border: 0; vertical-align: middle; }
.matrix thead th { text-align: center; padding: 6px 8px; }
.gallery { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); }
figure { margin: 0; font-size: .82rem; line-height: 1.35; overflow-wrap: anywhere; }
figure img { display: block; width: 100%; border-radius: 6px; image-rendering: pixelated; margin: 0 0 5px; }
figure span { color: var(--soft); }
.sample { margin: 0 0 14px; }
code, pre { font: .9rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
pre { background: var(--back); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 20px; }
svg { display: block; width: 100%; height: auto; }
svg .axis { stroke: var(--soft); fill: none; }
svg .grid { stroke: var(--rule); fill: none; }
svg .tick { fill: var(--soft); font-size: 12px; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .dot { stroke-width: 8; }
svg .train { stroke: var(--train); }
svg .validation { stroke: var(--validation); }
svg .mark { stroke: var(--soft); stroke-dasharray: 4 4; fill: none; }
svg .dots { fill: var(--train); fill-opacity: .55; }
svg .hover rect { fill: var(--soft); fill-opacity: 0; }
svg .hover rect:hover { fill-opacity: .16; }
@media print { body { background: #fff; } .scroll { max-height: none; } section, .tile { break-inside: avoid; } }
"""


def page(title: str, body: str) -> str:
    """A whole page."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(heading: str, content: str) -> str:
    """A part of the page under a heading, or nothing where there is no content."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>\n" if content else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), strong: int = -1) -> str:
    """A table of texts; the first cell of a row is its heading, `numbers` are columns set to the right, one is bold."""

    def cell(tag: str, i: int, text: str, scope: str = "") -> str:
        styles = " ".join(["number"] * (i in numbers) + ["strong"] * (i == strong and tag == "td"))
        return f'<{tag}{scope} class="{styles}">{escape(text)}</{tag}>'

    top = "".join(cell("th", i, text, ' scope="col"') for i, text in enumerate(head))
    body = ""
    for first, *rest in rows:
        cells = [cell("th", 0, first, ' scope="row"'), *(cell("td", i, text) for i, text in enumerate(rest, 1))]
        body += f"<tr>{''.join(cells)}</tr>\n"
    return _scrolled("", f"<thead><tr>{top}</tr></thead>" if head else "", body)


def _scrolled(style: str, head: str, body: str) -> str:
    return f'<div class="scroll" tabindex="0"><table class="{style}">{head}<tbody>\n{body}</tbody></table></div>'


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]], noun: str = "rows") -> str:
    """A confusion matrix: a row for each true class, shaded by the share of the row; `noun` is what is counted."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = ""
    for name, row in zip(names, counts, strict=True):
        total = max(sum(row), 1)
        cells = ""
        for other, n in zip(names, row, strict=True):
            words = escape(f"{name} taken for {other}: {n:,} of {sum(row):,} {noun}")
            cells += f'<td style="--share:{n / total:.3f}" title="{words}">{n:,}</td>'
        rows += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>\n'
    return _scrolled("matrix", f"<thead><tr><td></td>{top}</tr></thead>", rows)
