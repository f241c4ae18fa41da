"""Normalisation: over the batch, over the last axes, over channels of each example."""

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
    *(
        LayerCase(name, {"num_features": 3, **options}, [floats(*shape)], train=train, calls=2)
        for name, shape in (("BatchNorm2d", (2, 3, 4, 5)), ("BatchNorm3d", (2, 3, 4, 1, 2)))
        for train in (True, False)
        for options in vary(affine=[True, False], momentum=[0.1, None], track_running_stats=[True, False])
    ),
    *(
        LayerCase(name, {"num_features": 3, **options}, [floats(*shape)], train=train, calls=2)
        for name, shapes in (
            ("InstanceNorm1d", [(2, 3, 4), (3, 4)]),
            ("InstanceNorm2d", [(2, 3, 4, 5), (3, 4, 5)]),
            ("InstanceNorm3d", [(2, 3, 4, 1, 2), (3, 4, 1, 2)]),
        )
        for shape in shapes
        for train in (True, False)
        for options in vary(affine=[False, True], track_running_stats=[False, True], momentum=[0.1, 0.7])
    ),
    *(
        LayerCase("GroupNorm", {"num_groups": groups, "num_channels": 6, **options}, [floats(*shape)])
        for groups in (1, 2, 6)
        for shape in ((3, 6, 4), (2, 6, 4, 5))
        for options in vary(affine=[True, False], eps=[1e-5, 0.1])
    ),
    LayerCase("GroupNorm", {"num_groups": 2, "num_channels": 6}, [floats(4, 6)]),
    *(
        LayerCase("RMSNorm", {"normalized_shape": shape, **options}, [floats(3, 2, 4)])
        for shape in (4, (2, 4))
        for options in vary(elementwise_affine=[True, False], eps=[None, 0.1])
    ),
]
