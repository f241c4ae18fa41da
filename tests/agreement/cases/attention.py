"""Attention, with one head and with several, and the layers and stacks of transformers."""

from tests.agreement.case import FunctionCase, Layer, LayerCase, booleans, exactly, floats, grid, vary

CAUSAL = exactly([[i < j for j in range(4)] for i in range(4)])  # where nothing is attended to
NEVER_ALL = exactly([[False, True, False], [False, False, True]])
ITSELF = [floats(4, 3, 8)] * 3
QUERY, KEY, VALUE = floats(2, 3, 4, 5), floats(2, 3, 6, 5), floats(2, 3, 6, 7)

FUNCTIONS = [
    FunctionCase("nn.functional.scaled_dot_product_attention", options, [QUERY, KEY, VALUE])
    for options in [
        *vary(is_causal=[False, True], scale=[None, 0.3]),
        {"attn_mask": booleans(4, 6)},
        {"attn_mask": booleans(2, 1, 1, 6)},
        {"attn_mask": floats(2, 3, 4, 6)},
        {"attn_mask": exactly([[True] * 6, [False] * 6, [True] * 6, [False] * 5 + [True]])},
    ]
]

HEADS = [
    LayerCase("MultiheadAttention", {"embed_dim": 8, "num_heads": 2, **options}, inputs, keywords=keywords)
    for options, inputs, keywords in [
        *(
            (options, [floats(4, 3, 8), floats(5, 3, 8), floats(5, 3, 8)], {"need_weights": weights})
            for options in vary(bias=[True, False], add_bias_kv=[False, True], add_zero_attn=[False, True])
            for weights in (True, False)
        ),
        *(
            (
                {"batch_first": True, "kdim": kdim, "vdim": vdim},
                [floats(2, 4, 8), floats(2, 3, kdim), floats(2, 3, vdim)],
                {"key_padding_mask": NEVER_ALL, "average_attn_weights": False},
            )
            for kdim, vdim in ((8, 8), (5, 7), (8, 7))
        ),
        ({}, [floats(4, 8), floats(3, 8), floats(3, 8)], {"attn_mask": floats(4, 3)}),
        ({}, ITSELF, {"attn_mask": CAUSAL}),
        ({}, ITSELF, {"attn_mask": CAUSAL, "is_causal": True}),
        ({}, [floats(4, 3, 8), floats(6, 3, 8), floats(6, 3, 8)],
         {"attn_mask": floats(6, 4, 6), "need_weights": False}),
        ({"dropout": 0.0}, [floats(4, 2, 8), floats(3, 2, 8), floats(3, 2, 8)],
         {"attn_mask": floats(4, 3), "key_padding_mask": floats(2, 3)}),
    ]
]  # fmt: skip

BATCH_FIRST, BATCH_SECOND = [floats(2, 4, 6), floats(2, 3, 6)], [floats(4, 2, 6), floats(3, 2, 6)]
SIZES = {"d_model": 6, "nhead": 2, "dim_feedforward": 10, "dropout": 0.0}
OPTIONS = [
    *vary(activation=["relu", "gelu"], layer_norm_eps=[1e-5, 0.1], bias=[True, False]),
    *grid(batch_first=[False, True], norm_first=[True]),
]

LAYERS = [
    LayerCase(name, {**SIZES, **options}, inputs[:count], keywords=keywords)
    for name, count, keywords in [
        ("TransformerEncoderLayer", 1, {"src_mask": CAUSAL}),
        ("TransformerDecoderLayer", 2, {"tgt_mask": CAUSAL}),
    ]
    for options in OPTIONS
    for inputs in [BATCH_FIRST if options.get("batch_first") else BATCH_SECOND]
]

STACKS = [
    LayerCase(
        "TransformerEncoder",
        {"encoder_layer": Layer("TransformerEncoderLayer", SIZES), "num_layers": 2, "norm": norm},
        [floats(3, 2, 6)],
        keywords={"src_key_padding_mask": NEVER_ALL},
        peer_arguments={"enable_nested_tensor": False},
    )
    for norm in (None, Layer("LayerNorm", {"normalized_shape": 6}))
] + [
    LayerCase(
        "TransformerDecoder",
        {"decoder_layer": Layer("TransformerDecoderLayer", SIZES), "num_layers": 2},
        [floats(4, 2, 6), floats(3, 2, 6)],
        keywords={"tgt_mask": CAUSAL, "memory_key_padding_mask": NEVER_ALL},
    ),
    LayerCase(
        "Transformer",
        {**SIZES, "num_encoder_layers": 1, "num_decoder_layers": 2, "batch_first": True},
        [floats(2, 3, 6), floats(2, 4, 6)],
        keywords={
            "tgt_mask": CAUSAL, "src_key_padding_mask": NEVER_ALL, "memory_key_padding_mask": NEVER_ALL,
            "memory_mask": floats(4, 3),
        },
    ),
]  # fmt: skip

CASES = [*FUNCTIONS, *HEADS, *LAYERS, *STACKS]
