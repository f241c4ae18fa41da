"""Pictures of directed graphs: boxes and arrows in, one self-contained SVG out.

The layout is Graphviz's `dot` (Gansner, Koutsofios, North and Vo 1993, *A Technique for Drawing Directed Graphs*), the
standard of layered drawing: no other library routes curves round boxes and labels as well. It comes through PyGraphviz,
long kept and permissively licensed (BSD-3-Clause), whose wheels for Linux, macOS and Windows carry Graphviz with them
and call it in process, so that nothing has to be installed on the system.

Only positions come from Graphviz. Sizes are reckoned here from the number of characters, so that a picture is the same
on every machine whatever fonts it has, and the SVG is written here: readable in light and in dark, with tooltips, a
legend and a description for screen readers. Nothing in this package knows about tensors.
"""

from chainrule.drawing.parts import Arrow, Box, Kind
from chainrule.drawing.picture import draw

__all__ = ["Arrow", "Box", "Kind", "draw"]
