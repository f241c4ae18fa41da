"""Vectors for symbols, one by one or in bags."""

from tests.agreement.case import LayerCase, exactly, floats, integers

SYMBOLS = exactly([0, 3, 6, 1, 4, 2, 5, 1])
OFFSETS = exactly([0, 2, 2, 5])

CASES = [
    *(
        LayerCase("Embedding", {"num_embeddings": 7, "embedding_dim": 3, **options}, [integers(*shape, high=7)])
        for shape in ((), (5,), (2, 9))
        for options in (
            {},
            {"padding_idx": 0},
            {"padding_idx": -2},
            {"max_norm": 0.8},
            {"max_norm": 1.5, "norm_type": 1.0},
        )
    ),
    *(
        LayerCase(
            "EmbeddingBag", {"num_embeddings": 7, "embedding_dim": 3, "mode": mode, **options}, [SYMBOLS, OFFSETS]
        )
        for mode in ("sum", "mean", "max")
        for options in ({}, {"padding_idx": 2}, {"include_last_offset": True}, {"max_norm": 0.8})
    ),
    *(
        LayerCase(
            "EmbeddingBag", {"num_embeddings": 7, "embedding_dim": 3, "mode": mode}, [exactly([[0, 3, 6], [1, 4, 2]])]
        )
        for mode in ("sum", "mean", "max")
    ),
    LayerCase("EmbeddingBag", {"num_embeddings": 7, "embedding_dim": 3, "mode": "sum"}, [SYMBOLS, OFFSETS, floats(8)]),
]
