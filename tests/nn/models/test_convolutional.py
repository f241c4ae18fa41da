"""ConvNet, SmallResNet, ResNet."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest

from chainrule import losses, nn, optim
from chainrule.compiled import compile
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.models import Bottleneck, ConvNet, ResNet, SmallResNet, resnet, resnet18, resnet34, resnet50
from chainrule.nn.models.resnet import Shortcut
from chainrule.ops import zeros
from chainrule.random import Generator
from chainrule.tensor import Tensor, tensor

RNG = np.random.default_rng(0)


def bars(n: int = 32, size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 1, size, size] of upright and of lying bars."""
    x, y = RNG.normal(size=(n, 1, size, size)).astype(np.float32) * 0.3, np.arange(n) % 2
    for image, kind, at in zip(x, y, RNG.integers(0, size - 1, n), strict=True):
        image[0, :, at : at + 2] += 2.0 if kind else 0.0
        image[0, at : at + 2] += 0.0 if kind else 2.0
    return x, y


def small() -> list[nn.Module]:
    return [
        ConvNet(2, 1, ((4,), (8,)), generator=Generator(0)),
        SmallResNet(8, 2, 1, 4, generator=Generator(0)),
    ]


@pytest.mark.parametrize("model", small(), ids=lambda model: type(model).__name__)
def test_it_learns_to_tell_images_apart_and_compiled_is_eager(model: nn.Module) -> None:
    optimizer = optim.Adam(model.parameters(), lr=0.02)

    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x, y = bars()
    state, first = model.state_dict(), step(x, y).item()  # pyright: ignore[reportArgumentType]
    eager = model.state_dict()
    model.load_state_dict(state)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    compiled = compile(step)
    assert abs(compiled(x, y).item() - first) < 1e-5
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, eager[name], atol=1e-4, err_msg=name)
    for _ in range(40):
        last = compiled(x, y).item()
    assert last < 0.1 < first
    x, y = bars()
    assert (model.eval()(x).numpy().argmax(1) == y).mean() > 0.9


def test_a_shortcut_takes_every_second_place_and_adds_channels_of_zeros() -> None:
    x = RNG.normal(size=(1, 2, 4, 4)).astype(np.float32)
    found = Shortcut(3)(tensor(x)).numpy()
    np.testing.assert_array_equal(found[:, 1:3], x[:, :, ::2, ::2])
    assert found.shape == (1, 5, 2, 2) and not found[:, [0, 3, 4]].any()


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_small_residual_networks_have_the_papers_sizes(depth: int, millions: float) -> None:
    model = SmallResNet(depth)
    assert round(sum(x.size for x in model.parameters()) / 1e6, 2) == pytest.approx(millions, abs=0.011)
    weights = [x for x in model.parameters() if x.ndim in (2, 4)]
    assert len(weights) == depth


@pytest.mark.parametrize(
    ("make", "parameters"), [(resnet18, 11_689_512), (resnet34, 21_797_672), (resnet50, 25_557_032)]
)
def test_large_residual_networks_have_torchvisions_sizes_and_names(
    make: Callable[..., ResNet], parameters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resnet, "normal", lambda shape, **_: zeros(shape))  # drawing takes time
    model = make()
    assert sum(x.size for x in model.parameters()) == parameters
    names = {name for name, _ in [*model.named_parameters(), *model.named_buffers()]}
    expected = {"conv1.weight", "bn1.running_var", "bn1.num_batches_tracked", "layer1.0.conv2.weight", "fc.bias"}
    expected |= {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_mean", "layer4.1.bn2.bias"}
    assert expected <= names
    assert ("layer1.0.downsample.0.weight" in names) == (make is resnet50)


def test_a_large_residual_network_halves_the_size_five_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resnet, "normal", lambda shape, **_: zeros(shape))
    model = ResNet(Bottleneck, [1, 1, 1, 1], 7, 1)
    assert model.eval()(zeros((1, 1, 33, 32))).shape == (1, 7)
    assert model.layer4(zeros((1, 1024, 4, 4))).shape == (1, 2048, 2, 2)


def test_first_weights_are_hes_by_the_number_of_outputs() -> None:
    model, again = (SmallResNet(20, generator=Generator(1)) for _ in range(2))
    weight = model.layer3[1].conv1.weight.numpy()  # pyright: ignore[reportAttributeAccessIssue]
    assert abs(weight.std() - sqrt(2 / (64 * 9))) < 0.002
    assert all(np.array_equal(x, again.state_dict()[name]) for name, x in model.state_dict().items())


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(DefinitionError, match="6 n \\+ 2, such as 20, 32, 44 or 56, not 18"):
        SmallResNet(18)
    with pytest.raises(DefinitionError, match="widths"):
        ConvNet(2, 1, ())
    with pytest.raises(ShapeError, match="at least 4 pixels"):
        ConvNet()(zeros((1, 3, 3, 8)))
    with pytest.raises(ShapeError, match=r"\[batch, channels, height, width\] are needed, not f32\[3, 8, 8\]"):
        SmallResNet()(zeros((3, 8, 8)))
