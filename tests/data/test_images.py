from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chainrule.data.images import decode, find_images, probe, read_images, skipped_words, to_png
from chainrule.errors import ChainruleError, DataError


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """A folder of two classes, each with a JPEG and three PNG files."""
    rng = np.random.default_rng(0)
    for kind in ("lying", "upright"):
        (tmp_path / "bars" / kind).mkdir(parents=True)
        for i in range(4):
            image = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8))
            image.save(tmp_path / "bars" / kind / (f"{i:02}.png" if i else "00.jpg"))
    return tmp_path / "bars"


def save(path: Path, shown: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(shown)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def test_folders_are_classes_and_what_is_hidden_or_no_image_is_passed_over(bars: Path) -> None:
    (bars / ".git").mkdir()
    (bars / "notes").mkdir()
    (bars / "lying" / "readme.txt").write_text("no image")
    (bars / "lying" / ".thumb.png").write_bytes(b"")
    (bars / "upright" / "more").mkdir()
    (bars / "upright" / "01.png").rename(bars / "upright" / "more" / "01.PNG")
    found = find_images(bars)
    assert found.classes == ("lying", "upright")
    assert found.labels.tolist() == [0] * 4 + [1] * 4
    assert [str(path.relative_to(bars)) for path in found.files][4:] == [
        "upright/00.jpg",
        "upright/02.png",
        "upright/03.png",
        "upright/more/01.PNG",
    ]
    assert found.notices == ('no PNG or JPEG file in 1 folder: "notes"',)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a/1.png"], 'holds one class, "a"; a folder for each of two classes or more is needed$'),
        (["1.png"], "no folders with PNG or JPEG files; .* move each of the images into the folder of its class"),
        ([], "no folders with PNG or JPEG files"),
    ],
)
def test_a_folder_without_two_classes_is_refused(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=words):
        find_images(tmp_path)
    with pytest.raises(DataError, match="none: there is no such folder"):
        find_images(tmp_path / "none")


def test_size_and_colour_come_from_the_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = [save(tmp_path / f"g{i}.png", rng.integers(0, 255, (20, 30 + i), np.uint8), "RGB") for i in range(3)]
    assert probe(grey) == (20, 1)
    colour = save(tmp_path / "c.png", rng.integers(0, 255, (50, 40, 3), np.uint8))
    assert probe([*grey, colour, tmp_path / "none.png"]) == (20, 3)
    assert probe([save(tmp_path / "large.png", np.zeros((300, 200), np.uint8))]) == (64, 1)
    assert probe([save(tmp_path / "small.png", np.zeros((3, 200), np.uint8))]) == (8, 1)


def test_an_image_of_the_right_size_comes_bit_for_bit(tmp_path: Path) -> None:
    shown = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(decode(save(tmp_path / "a.png", shown), 8, 3), shown.transpose(2, 0, 1))
    np.testing.assert_array_equal(decode(save(tmp_path / "b.png", shown[..., 0]), 8, 1), shown[None, ..., 0])


def test_the_middle_is_cut_out_and_resized(tmp_path: Path) -> None:
    wide = np.zeros((16, 48), np.uint8)
    wide[:, 16:32] = 200
    assert (decode(save(tmp_path / "a.png", wide), 8, 1)[0, :, 1:-1] == 200).all()


def test_images_are_turned_as_their_exif_data_say(tmp_path: Path) -> None:
    shown = np.zeros((8, 8), np.uint8)
    shown[:4] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    save(tmp_path / "a.jpg", shown, exif=exif, quality=100)
    found = decode(tmp_path / "a.jpg", 8, 1)[0]
    assert found[:, 4:].mean() > 190 and found[:, :4].mean() < 10


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    shown = np.zeros((8, 8, 4), np.uint8)
    shown[:4, :, 3] = 255
    found = decode(save(tmp_path / "a.png", shown), 8, 3)
    assert (found[:, :4] == 0).all() and (found[:, 4:] == 255).all()


def test_grey_values_of_16_bits_keep_their_order(tmp_path: Path) -> None:
    shown = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    found = decode(save(tmp_path / "a.png", shown), 8, 1)
    np.testing.assert_array_equal(found[0], (shown / 257).astype(np.uint8))


def test_damaged_files_are_skipped_and_told(bars: Path) -> None:
    whole = (bars / "lying" / "01.png").read_bytes()
    (bars / "lying" / "01.png").write_bytes(whole[: len(whole) // 2])
    (bars / "upright" / "02.png").write_bytes(b"")
    (bars / "upright" / "03.png").write_bytes(b"<html>not found</html>")
    found = find_images(bars)
    calls: list[int] = []
    decoded = read_images(found.files, 8, 3, calls.append)
    assert decoded.pixels.shape == (5, 3, 8, 8) and decoded.kept.tolist() == [0, 2, 3, 4, 5]
    assert [path.name for path, _ in decoded.skipped] == ["01.png", "02.png", "03.png"]
    words = skipped_words(decoded.skipped)
    assert words.startswith("3 images could not be read and are skipped: ")
    assert "02.png" in words and "no PNG or JPEG file, or a damaged one" in words


def test_only_if_no_image_can_be_read_is_it_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"none of 1 image can be read; .*a.png: no PNG or JPEG file"):
        read_images([tmp_path / "a.png"], 8, 3)


def test_many_images_come_in_the_order_of_their_files(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i:04}.png", np.full((8, 8), i % 256, np.uint8)) for i in range(150)]
    calls: list[int] = []
    decoded = read_images(files, 8, 1, calls.append)
    np.testing.assert_array_equal(decoded.pixels[:, 0, 0, 0], np.arange(150))
    assert calls == [64, 128]


def test_without_pillow_the_error_says_what_to_install(bars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def missing(name: str) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ChainruleError, match=r"pip install 'chainrule\[images\]'"):
        read_images(find_images(bars).files, 8, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_image(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (channels, 5, 6), np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(to_png(pixels)))).reshape(5, 6, channels)
    np.testing.assert_array_equal(shown.transpose(2, 0, 1), pixels)
