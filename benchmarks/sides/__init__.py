"""One file a library: from a neutral workload and its data to something that `measure` can call.

Each has `network(mode, workload, data)` and `product(mode, workload, data)`, which return a `Work`.
"""
