"""Who takes part: a library in one of its ways to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Variant:
    """One way to do the work.

    Attributes:
        name: what it is called on the command line.
        title: what it is called in the table.
        side: the file in `sides/`.
        mode: what that file calls it.
        kinds: of workloads that it does.
        images: whether it does workloads with images; None if it does all.
        compiles: whether code is made at the first call, so that caches matter.
        on_request: whether it runs only if it is named.
    """

    name: str
    title: str
    side: str
    mode: str
    kinds: tuple[str, ...] = ("network", "product", "layer")
    images: bool | None = None
    compiles: bool = True
    on_request: bool = False

    @property
    def is_peer(self) -> bool:
        """Whether this is what chainrule is compared with."""
        return self.side != "chainrule"

    def does(self, workload: Workload) -> bool:
        """Whether it can do a workload."""
        return workload.kind in self.kinds and self.images in (None, workload.has_images)


VARIANTS = (
    Variant("chainrule-epoch", "chainrule, epoch", "chainrule", "epoch", ("network",)),
    Variant("chainrule-step", "chainrule, step", "chainrule", "step"),
    Variant("chainrule-eager", "chainrule, eager", "chainrule", "eager", compiles=False, on_request=True),
    Variant("jax-scan", "JAX, scan", "jax", "scan", ("network",), images=False),
    Variant("jax-step", "JAX, jit", "jax", "step"),
    Variant("torch-compile", "torch.compile", "torch", "compile"),
    Variant(
        "torch-compile-channels-last",
        "torch.compile, channels last",
        "torch",
        "compile, channels-last",
        images=True,
    ),
    Variant("torch-eager", "PyTorch, eager", "torch", "eager", compiles=False),
    Variant(
        "torch-channels-last",
        "PyTorch, channels last",
        "torch",
        "eager, channels-last",
        images=True,
        compiles=False,
    ),
    Variant("numpy", "NumPy", "numpy", "eager", ("product",), compiles=False),
)

BY_NAME = {variant.name: variant for variant in VARIANTS}


def chosen(peers: Sequence[str]) -> list[Variant]:
    """chainrule and the peers that are named, by library ("jax") or exactly ("jax-scan"); all if none is.

    Raises `ValueError` for a name that fits nobody.
    """
    for name in peers:
        if not any(name in (variant.side, variant.name) for variant in VARIANTS):
            known = sorted({variant.side for variant in VARIANTS} | set(BY_NAME))
            raise ValueError(f"no peer is called {name!r}; there are {', '.join(known)}")
    return [
        variant
        for variant in VARIANTS
        if variant.name in peers
        or (not variant.on_request and (not peers or not variant.is_peer or variant.side in peers))
    ]
