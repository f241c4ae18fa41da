"""Layers of two inputs."""

from tests.agreement.case import FunctionCase, LayerCase, floats, vary

CASES = [
    *(
        LayerCase("Bilinear", {"in1_features": 3, "in2_features": 4, "out_features": 5, "bias": bias}, inputs)
        for bias in (True, False)
        for inputs in ([floats(3), floats(4)], [floats(2, 6, 3), floats(2, 6, 4)])
    ),
    *(LayerCase("CosineSimilarity", {"dim": dim}, [floats(3, 4, 5), floats(3, 4, 5)]) for dim in (0, 1, -1)),
    *(
        LayerCase("PairwiseDistance", options, [floats(3, 4), floats(3, 4)])
        for options in vary(p=[2.0, 1.0, 3.0, float("inf")], eps=[1e-6, 0.1], keepdim=[False, True])
    ),
    FunctionCase(
        "nn.functional.cosine_similarity",
        {"axis": -1},
        [floats(3, 4), floats(3, 4)],
        peer_arguments={"axis": None, "dim": -1},
    ),
    FunctionCase(
        "nn.functional.pairwise_distance",
        {"p": 1.5, "keepdims": True},
        [floats(3, 4), floats(3, 4)],
        peer_arguments={"keepdims": None, "keepdim": True},
    ),
]
