"""Convolutions as code: the micro-kernel of matrix products, led over an image tap by tap."""

from chainrule.native.convolution.epilogue import PlaceEpilogue
from chainrule.native.convolution.plan import SweepPlan, sweep_plan
from chainrule.native.convolution.sweep import Phase, Sweep, backward, forward
from chainrule.native.convolution.sweeping import emit_sweep
from chainrule.native.convolution.winograd.plan import WinogradPlan

__all__ = [
    "Phase", "PlaceEpilogue", "Sweep", "SweepPlan", "WinogradPlan", "backward", "emit_sweep", "forward", "sweep_plan",
]  # fmt: skip
