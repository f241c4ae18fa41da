"""NumPy with its own OpenBLAS: products only."""

from __future__ import annotations

import numpy as np

from benchmarks.work import Work, norms
from benchmarks.workloads import Arrays, Product


def product(mode: str, workload: Product, data: Arrays) -> Work:
    m, k, n = workload.sizes
    y = np.empty((m, n), np.float32)
    if workload.arithmetic == "matmul":
        return Work(lambda: (np.matmul(data["a"], data["b"], out=y),), norms)
    x, w, bias, cotangent = (data[name] for name in ("x", "w", "bias", "cotangent"))
    dx, dw, dy = np.empty((m, k), np.float32), np.empty((n, k), np.float32), np.empty((m, n), np.float32)

    def call() -> tuple[np.ndarray, ...]:
        np.matmul(x, w.T, out=y)
        np.add(y, bias, out=y)
        np.maximum(y, 0.0, out=y)
        np.multiply(cotangent, y > 0.0, out=dy)
        return y, np.matmul(dy, w, out=dx), np.matmul(dy.T, x, out=dw), dy.sum(axis=0)

    return Work(call, norms)
