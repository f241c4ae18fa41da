"""Affine maps, identities and flattening."""

from tests.agreement.case import LayerCase, floats, grid, vary

SHAPES = [(4,), (3, 4), (2, 3, 4)]

CASES = [
    *(
        LayerCase("Linear", {"in_features": 4, "out_features": 5, **options}, [floats(*shape)])
        for shape in SHAPES
        for options in grid(bias=[True, False])
    ),
    LayerCase("Identity", {}, [floats(2, 3)]),
    *(LayerCase("Flatten", options, [floats(2, 3, 4, 2)]) for options in vary(start_dim=[1, 0, 2], end_dim=[-1, 2])),
    *(
        LayerCase(name, {"p": p}, [floats(2, 3)], train=train)
        for name in ("Dropout", "AlphaDropout", "FeatureAlphaDropout")
        for p, train in [(0.5, False), (0.0, True)]
    ),
    *(
        LayerCase(f"Dropout{axes}d", {"p": p}, [floats(2, 3, *(4, 5, 6)[:axes])], train=train)
        for axes in (1, 2, 3)
        for p, train in [(0.5, False), (0.0, True), (1.0, True)]
    ),
]
