"""Convolutions, transposed convolutions, and windows as columns."""

from tests.agreement.case import FunctionCase, LayerCase, floats, vary

SIZES = (7, 6, 5)
KERNEL = (3, 2, 3)

CASES = [
    *(
        LayerCase(
            f"Conv{axes}d",
            {"in_channels": 4, "out_channels": 6, "kernel_size": KERNEL[:axes], **options},
            [floats(*lead, 4, *SIZES[:axes])],
        )
        for axes in (1, 2, 3)
        for lead, options in [
            ((), {}),
            *(
                ((2,), options)
                for options in vary(
                    stride=[1, 2],
                    padding=[0, 1, "same", "valid"],
                    dilation=[1, 2],
                    groups=[1, 2],
                    bias=[True, False],
                )
            ),
            ((2,), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
            *(((2,), {"padding": 2, "padding_mode": mode}) for mode in ("zeros", "reflect", "replicate", "circular")),
            ((2,), {"padding": "same", "padding_mode": "reflect"}),
        ]
    ),
    *(
        LayerCase(
            f"ConvTranspose{axes}d",
            {"in_channels": 4, "out_channels": 6, "kernel_size": KERNEL[:axes], **options},
            [floats(*lead, 4, *SIZES[:axes])],
            keywords=keywords,
        )
        for axes in (1, 2, 3)
        for lead, options, keywords in [
            ((), {}, {}),
            *(
                ((2,), options, {})
                for options in vary(padding=[0, 1], groups=[1, 2], bias=[True, False], dilation=[1, 2])
            ),
            ((2,), {"stride": 3, "padding": 1, "output_padding": 2}, {}),
            ((2,), {"stride": 3, "groups": 2}, {"output_size": [3 * n + 1 for n in SIZES[:axes]]}),
        ]
    ),
    *(
        FunctionCase(
            f"nn.functional.{name}{axes}d", options, [floats(2, 4, *SIZES[:axes]), floats(*shape, *KERNEL[:axes])]
        )
        for axes in (1, 2, 3)
        for name, shape, options in [
            ("conv", (6, 2), {"bias": floats(6), "stride": 2, "padding": 1, "groups": 2}),
            ("conv_transpose", (4, 3), {"bias": floats(6), "stride": 2, "output_padding": 1, "groups": 2}),
        ]
    ),
    *(
        LayerCase("Unfold", {"kernel_size": (2, 3), **options}, [floats(2, 3, 7, 8)])
        for options in vary(dilation=[1, 2], padding=[0, 1], stride=[1, 2])
    ),
    *(
        LayerCase("Fold", {"output_size": (4, 5), "kernel_size": (2, 3), **options}, [floats(2, 12, columns)])
        for columns, options in [(9, {}), (25, {"padding": 1}), (4, {"stride": 2})]
    ),
    FunctionCase("nn.functional.unfold", {"kernel_size": 2}, [floats(3, 4, 5)]),
    FunctionCase("nn.functional.fold", {"output_size": (4, 5), "kernel_size": (2, 3)}, [floats(12, 9)]),
]
