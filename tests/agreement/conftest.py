"""What runs in the benchmarks' environment, where PyTorch is, is not looked at by pytest."""

collect_ignore = ["record.py", "sides/torch_side.py"]
