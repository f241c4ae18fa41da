"""What is declared of the work that is timed: data, shapes, and how much it multiplies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import together
from benchmarks.layers import (
    Attention,
    Convolution,
    Flatten,
    Layer,
    MaxPool,
    Recurrent,
    Residual,
    SelfAttention,
    Shape,
    mlp,
    output_of,
    residual_block,
)
from benchmarks.variants import BY_NAME, VARIANTS
from benchmarks.workloads import SINGLES, WORKLOADS, Network, Single, load_data, save_data


@pytest.mark.parametrize("name", WORKLOADS)
def test_data_and_weights_are_the_same_each_time(name: str) -> None:
    first, second = (WORKLOADS[name].make(np.random.default_rng(0)) for _ in range(2))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert all(array.dtype in (np.float32, np.int64) for array in first.values())


def test_what_is_saved_is_what_all_sides_read(tmp_path: Path) -> None:
    data = load_data(save_data(WORKLOADS["lstm-1"], tmp_path))
    assert list(data) == ["x0", "cotangent", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    assert data["x0"].shape == (1, 32, 128) == data["cotangent"].shape


def network(name: str) -> Network:
    workload = WORKLOADS[name]
    assert isinstance(workload, Network)
    return workload


def test_an_epoch_visits_every_row_once() -> None:
    workload = network("tabular")
    data = workload.make(np.random.default_rng(0))
    assert sorted(data["order"]) == list(range(workload.batch * workload.batches))
    assert data["x"].shape == (2048, 30)
    assert set(data["y"]) == {0, 1}
    assert data["0.weight"].shape == (64, 30)


def test_sequences_have_a_class_at_each_place() -> None:
    data = network("gpt").make(np.random.default_rng(0))
    assert data["x"].shape == data["y"].shape == (12 * 16, 64)
    assert data["x"].min() == data["y"].min() == 0 and data["x"].max() == data["y"].max() == 64
    assert data["2.inner.1.inputs.weight"].shape == (384, 128)


def test_factors_of_normalisation_start_about_one() -> None:
    data = network("resnet8").make(np.random.default_rng(0))
    assert data["1.weight"].mean() == pytest.approx(1.0, abs=0.1)
    assert data["1.bias"].mean() == pytest.approx(0.0, abs=0.1)
    assert data["5.shortcut.0.weight"].shape == (32, 16, 1, 1)


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (Convolution(3, 64, 7, 2, 3), (3, 112, 112), (64, 56, 56)),
        (Convolution(8, 8, 3, 1, 2, 2), (8, 10, 9), (8, 10, 9)),
        (Convolution(8, 4, 4, 2, 1, transposed=True), (8, 16, 5), (4, 32, 10)),
        (MaxPool(2), (8, 7, 6), (8, 3, 3)),
        (Flatten(), (8, 3, 3), (72,)),
        (Recurrent("gru", 5, 7), (9, 5), (9, 7)),
    ],
)
def test_shapes_of_outputs(layer: Layer, shape: Shape, output: Shape) -> None:
    assert layer.output(shape) == output


def test_images_shrink_to_a_vector_in_the_convolutional_networks() -> None:
    assert output_of(network("mnist-cnn").layers, (1, 28, 28)) == (10,)
    assert output_of(residual_block(16, 32, 2), (16, 32, 32)) == (32, 16, 16)
    assert output_of(network("resnet8").layers, (3, 32, 32)) == (10,)


@pytest.mark.parametrize(
    ("layer", "shape", "multiplications"),
    [
        (Convolution(2, 6, 3, 1, 1, groups=2), (2, 4, 5), 20 * 9 * 2 * 6 // 2),
        (Convolution(2, 6, 4, 2, 1, transposed=True), (2, 4, 5), 20 * 16 * 2 * 6),
        (Recurrent("lstm", 5, 7), (9, 5), 9 * 4 * 7 * 12),
        (Attention(), (2, 3, 8), 2 * 2 * 8 * 6),  # 3 steps have 1 + 2 + 3 pairs
        (SelfAttention(8, 2), (3, 8), 3 * 8 * 32 + 2 * 8 * 6),
        (Residual(mlp(4, 5, 4, activation="relu")), (3, 4), 3 * 40),
    ],
)
def test_multiplications_of_a_layer(layer: Layer, shape: Shape, multiplications: int) -> None:
    assert layer.multiplications(shape) == multiplications


def test_a_step_multiplies_three_times_but_for_the_gradient_of_the_data() -> None:
    workload = Network("n", "", mlp(3, 5, 2, activation="relu"), (3,), 2, batch=10)
    assert workload.flops == 10 * (2 * 15 * 2 + 2 * 10 * 3)


def test_every_layer_is_timed_alone_under_a_name_of_its_own() -> None:
    assert len({single.name for single in SINGLES}) == len(SINGLES)
    assert set(WORKLOADS) >= {single.name for single in SINGLES}


def test_layers_of_a_kind_share_a_process_and_networks_do_not() -> None:
    groups = [[x.name for x in group] for group in together([])]
    assert [name for group in groups for name in group] == list(WORKLOADS)
    assert ["tabular"] in groups and ["matmul"] in groups
    assert ["attention-64", "attention-256", "attention-1024"] in groups
    assert [[x.name for x in group] for group in together(["softmax", "gpt"])] == [["gpt"], ["softmax"]]
    assert [x.name for group in together(["products"]) for x in group] == ["matmul", "linear"]


def test_memory_formats_of_images_take_part_where_there_are_images() -> None:
    variant = BY_NAME["torch-channels-last"]
    assert variant.does(WORKLOADS["resnet8"]) and variant.does(WORKLOADS["conv-3x3"])
    assert not variant.does(WORKLOADS["gpt"]) and not variant.does(WORKLOADS["attention-64"])
    assert BY_NAME["jax-scan"].does(WORKLOADS["gpt"]) and not BY_NAME["jax-scan"].does(WORKLOADS["resnet8"])
    assert [x.name for x in VARIANTS if x.does(WORKLOADS["softmax"]) and not x.on_request] == [
        "chainrule-step",
        "jax-step",
        "torch-compile",
        "torch-eager",
    ]


def test_gradients_of_single_layers_are_counted_with_the_product() -> None:
    single = WORKLOADS["conv-1x1"]
    assert isinstance(single, Single)
    assert single.flops == 3 * 2 * 32 * 32 * 32 * 64 * 64
    assert WORKLOADS["softmax"].flops == 0
