"""Interpolation, channels moved into space, and axes split."""

from tests.agreement.case import FunctionCase, LayerCase, floats

SIZES = (5, 4, 3)
LINEAR = ("linear", "bilinear", "trilinear")

CASES = [
    *(
        LayerCase("Upsample", {"mode": mode, **options}, [floats(2, 3, *SIZES[:axes])])
        for axes in (1, 2, 3)
        for mode in ("nearest", "nearest-exact", "area", LINEAR[axes - 1], *["bicubic"][: axes == 2])
        for options in [
            {"size": (7, 9, 2)[:axes]},
            {"scale_factor": 2},
            {"scale_factor": (1.5, 2.5, 0.7)[:axes]},
            {"scale_factor": (1.5, 2.5, 0.7)[:axes], "recompute_scale_factor": True},
        ]
    ),
    *(
        LayerCase(
            "Upsample", {"size": (7, 9, 2)[:axes], "mode": mode, "align_corners": True}, [floats(2, 3, *SIZES[:axes])]
        )
        for axes in (1, 2, 3)
        for mode in (LINEAR[axes - 1], *["bicubic"][: axes == 2])
    ),
    FunctionCase("nn.functional.interpolate", {"scale_factor": 3.0, "mode": "bilinear"}, [floats(2, 3, 4, 5)]),
    LayerCase("PixelShuffle", {"upscale_factor": 2}, [floats(2, 12, 3, 4)]),
    LayerCase("PixelUnshuffle", {"downscale_factor": 2}, [floats(2, 3, 4, 6)]),
    LayerCase("ChannelShuffle", {"groups": 2}, [floats(2, 6, 3)]),
    FunctionCase("nn.functional.pixel_shuffle", {"upscale_factor": 3}, [floats(9, 2, 4)]),
    FunctionCase("nn.functional.pixel_unshuffle", {"downscale_factor": 3}, [floats(2, 3, 6)]),
    FunctionCase("nn.functional.channel_shuffle", {"groups": 3}, [floats(2, 6, 4)]),
    *(LayerCase("Unflatten", {"dim": dim, "unflattened_size": (3, 4)}, [floats(2, 12, 5)]) for dim in (1, -2)),
]
