"""From a graph to native code: passes, kernels, object code, threads. `chainrule.compile` is the way in."""
