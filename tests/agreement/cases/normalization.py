"""Normalisation: over the batch, over the last axes."""

from tests.agreement.case import LayerCase, floats, vary

CASES = [
    *(
        LayerCase("LayerNorm", {"normalized_shape": shape, **options}, [floats(3, 2, 4)])
        for shape in (4, (4,), (2, 4))
        for options in vary(elementwise_affine=[True, False], bias=[True, False], eps=[1e-5, 0.1])
    ),
    *(
        LayerCase(
            "BatchNorm1d",
            {"num_features": 3, "affine": affine, **options},
            [floats(*shape)],
            train=train,
            calls=2,
        )
        for shape in ((5, 3), (4, 3, 2))
        for train in (True, False)
        for affine in (True, False)
        for options in vary(momentum=[0.1, None, 0.7], track_running_stats=[True, False], eps=[1e-5, 0.1])
    ),
]
