"""Vectors for symbols."""

from tests.agreement.case import LayerCase, integers

CASES = [
    LayerCase("Embedding", {"num_embeddings": 7, "embedding_dim": 3, **options}, [integers(*shape, high=7)])
    for shape in ((), (5,), (2, 9))
    for options in ({}, {"padding_idx": 0}, {"padding_idx": -2})
]
