"""One file a library: from a neutral workload and its data to something that `measure` can call.

Each has a function for every kind of workload that its variants do, `network(mode, workload, data)`, `product` and
`layer`, which return a `Work`.
"""
