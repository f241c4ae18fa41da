"""Folders of images, one folder a class, read into arrays.

Images are decoded by Pillow, which the extra `images` installs. They become bytes [n, channels, height, width].
"""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.wording import counted, listing, one_line, quoted
from chainrule.errors import ChainruleError, DataError

Pixels = NDArray[np.uint8]

ENDINGS = (".png", ".jpg", ".jpeg")
MISSING = "reading images needs Pillow: pip install 'chainrule[images]'"

MOST_PROBED = 200
"""Of more images, so many, evenly spread, decide the size and whether there is colour."""

LARGEST, SMALLEST = 64, 8
GREY = 8
"""An image whose channels differ by no more than this, of 255, is grey."""

WORKERS = 8
CHUNK = 64


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images and what they show.

    Attributes:
        files: the images.
        labels: the class of each [n], a position in `classes`.
        classes: names of the classes, in alphabetic order.
        notices: what the user should be told.
    """

    files: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images as arrays.

    Attributes:
        pixels: bytes [n, channels, size, size].
        kept: which of the files they are [n]; the others could not be read.
        skipped: the files that could not be read, each with the reason.
    """

    pixels: Pixels
    kept: NDArray[np.int64]
    skipped: tuple[tuple[Path, str], ...]


def find_images(folder: str | os.PathLike[str]) -> ImageFiles:
    """All PNG and JPEG files in the folders of a folder; the names of these folders are the classes.

    Folders within the folder of a class belong to the class. What begins with a dot is passed over.

    Raises `DataError` if there is no such folder, or there are no two classes with images.
    """
    top, shown = Path(folder), one_line(str(folder))
    if not top.is_dir():
        raise DataError(f"{shown}: there is no such folder; check the name")
    found = {below.name: images_in(below) for below in sorted(top.iterdir()) if below.is_dir() and _seen(below)}
    classes = [name for name, files in found.items() if files]
    empty = [name for name, files in found.items() if not files]
    if len(classes) < 2:
        loose = any(_is_image(path) for path in top.iterdir())
        there = f"one class, {quoted(classes[0])}" if classes else "no folders with PNG or JPEG files"
        hint = "; move each of the images into the folder of its class" if loose else ""
        raise DataError(f"{shown}: holds {there}; a folder for each of two classes or more is needed{hint}")
    notices = [f"no PNG or JPEG file in {counted(len(empty), 'folder')}: {listing(empty)}"] if empty else []
    files = [(path, i) for i, name in enumerate(classes) for path in found[name]]
    return ImageFiles(tuple(path for path, _ in files), np.array([i for _, i in files]), tuple(classes), tuple(notices))


def images_in(folder: Path) -> list[Path]:
    """All images below a folder, in alphabetic order."""
    return sorted(path for path in folder.rglob("*") if _is_image(path) and _seen(path.relative_to(folder)))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and _seen(path) and path.is_file()


def _seen(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts if part not in (".", ".."))


def probe(files: Sequence[Path]) -> tuple[int, int]:
    """A size and a number of channels that suit images: the middle one of their shorter sides, 8 to 64; 1 or 3.

    There is one channel if all that are looked at are grey. Images that cannot be read are passed over.
    """
    places: list[int] = np.unique(np.linspace(0, len(files) - 1, MOST_PROBED).astype(np.int64)).tolist()
    chosen = [files[i] for i in places]
    with _pool() as pool:
        found = [pair for pair in pool.map(_probe_one, chosen) if pair is not None]
    if not found:
        return LARGEST, 3
    middle = int(np.median([side for side, _ in found]))
    return min(max(middle, SMALLEST), LARGEST), 1 if all(grey for _, grey in found) else 3


def _probe_one(path: Path) -> tuple[int, bool] | None:
    try:
        with _pillow().open(path) as image:
            side = min(image.size)
        pixels = decode(path, min(side, 32), 3).astype(np.int16)
    except ChainruleError:
        raise
    except Exception:  # as in _decoded
        return None
    return side, bool((np.ptp(pixels, axis=0) <= GREY).all())


def decode(path: Path, size: int, channels: int) -> Pixels:
    """An image as bytes [channels, size, size]: turned as its EXIF data say, cut to a square in the middle, resized.

    What is transparent becomes white. Raises whatever Pillow raises for a file that is damaged.
    """
    image_module, operations = _pillow(), importlib.import_module("PIL.ImageOps")
    with image_module.open(path) as image:
        image.draft("L" if channels == 1 else "RGB", (size, size))  # JPEG is decoded no larger than it has to be
        image = operations.exif_transpose(image)
        if image.mode.startswith(("I", "F")):
            image = image_module.fromarray(_bytes(np.asarray(image)))
        if "A" in image.mode or "transparency" in image.info:
            image = image.convert("RGBA")
            image = image_module.alpha_composite(image_module.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (size, size):
            image = operations.fit(image, (size, size), image_module.Resampling.BILINEAR)
        return np.asarray(image, np.uint8).reshape(size, size, channels).transpose(2, 0, 1)


def _bytes(values: NDArray[Any]) -> Pixels:
    """Grey values of 16 bits, or of any range, as bytes."""
    high = 65535.0 if values.dtype.itemsize == 2 or values.max() > 255 else 255.0
    return np.clip(values * (255.0 / high), 0, 255).astype(np.uint8)


def read_images(
    files: Sequence[Path], size: int, channels: int, progress: Callable[[int], None] | None = None
) -> Decoded:
    """Decode images in several threads. Those that cannot be read are skipped, and told.

    Args:
        files: the images.
        size: of the square that each becomes.
        channels: 1 for grey, 3 for colour.
        progress: called now and then with the number of files that have been read.

    Raises `DataError` if there is no file that can be read, `ChainruleError` if Pillow is not installed.
    """
    _pillow()
    pixels = np.empty((len(files), channels, size, size), np.uint8)
    kept: list[int] = []
    skipped: list[tuple[Path, str]] = []
    for i, (path, found) in enumerate(zip(files, _decoded_all(files, size, channels), strict=True)):
        if isinstance(found, str):
            skipped.append((path, found))
        else:
            pixels[len(kept)] = found
            kept.append(i)
        if progress is not None and (i + 1) % CHUNK == 0:
            progress(i + 1)
    if not kept:
        what = f"{one_line(str(skipped[0][0]))}: {skipped[0][1]}" if skipped else "there are none"
        raise DataError(f"none of {counted(len(files), 'image')} can be read; {what}")
    return Decoded(pixels[: len(kept)], np.array(kept), tuple(skipped))


def _decoded_all(files: Sequence[Path], size: int, channels: int) -> Iterator[Pixels | str]:
    one = partial(_decoded, size=size, channels=channels)
    with _pool() as pool:
        for start in range(0, len(files), CHUNK * WORKERS):  # not all at once, so that Ctrl-C is heard
            yield from pool.map(one, files[start : start + CHUNK * WORKERS])


def _decoded(path: Path, size: int, channels: int) -> Pixels | str:
    """The image, or why it cannot be read."""
    try:
        return decode(path, size, channels)
    except OSError as error:
        reason = error.strerror or str(error)
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        reason = str(error) or type(error).__name__
    if "cannot identify" in reason:
        reason = "no PNG or JPEG file, or a damaged one"
    return one_line(reason[0].lower() + reason[1:])


def skipped_words(skipped: Sequence[tuple[Path, str]]) -> str:
    """What is told about images that could not be read: how many, and the first few by name.

    >>> skipped_words([(Path("cat/1.png"), "image file is truncated")])
    '1 image could not be read and is skipped: "cat/1.png" (image file is truncated)'
    """
    verb = "is" if len(skipped) == 1 else "are"
    first = ", ".join(f'"{one_line(str(path))}" ({reason:.60})' for path, reason in skipped[:5])
    rest = f" and {len(skipped) - 5:,} more" if len(skipped) > 5 else ""
    return f"{counted(len(skipped), 'image')} could not be read and {verb} skipped: {first}{rest}"


def to_png(pixels: Pixels) -> bytes:
    """An image [channels, height, width] as a PNG file."""
    memory = io.BytesIO()
    shown = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    _pillow().fromarray(np.ascontiguousarray(shown)).save(memory, "PNG")
    return memory.getvalue()


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1))


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ImportError as error:
        raise ChainruleError(MISSING) from error
