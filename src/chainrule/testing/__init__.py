"""Tools that test operations, derivatives and executors: those of this library, and your own."""

from chainrule.testing.compiled import check_compiled
from chainrule.testing.derivatives import check_gradients
from chainrule.testing.operations import check_op
from chainrule.testing.programs import random_graph, random_inputs

__all__ = ["check_compiled", "check_gradients", "check_op", "random_graph", "random_inputs"]
