"""Folders of images, one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphcnn.datasets import Dataset, read_dataset
from graphcnn.errors import DataError, GraphCNNError

from .files import pixels

SIZES = (6, 8, 3)


def image(path: Path, height: int = 6, width: int = 8, seed: int = 0, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (height, width) if mode == "L" else (height, width, 3)
    Image.fromarray(pixels(*shape, seed=seed)).save(path)


def read(folder: Path, sizes: tuple[int | None, ...] = SIZES, classes: int = 2) -> Dataset:
    return read_dataset(str(folder), sizes, (classes,))


def refused(folder: Path, sizes: tuple[int | None, ...] = SIZES) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, sizes)
    return str(caught.value)


def test_reads_train_and_test_in_the_order_of_names(tmp_path: Path) -> None:
    for number, name in enumerate(["train/dog/b", "train/dog/a", "train/cat/z", "test/cat/y"]):
        image(tmp_path / f"{name}.png", seed=number)
    image(tmp_path / "test" / "dog" / "x.PNG", seed=4)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "train" / "dog" / ".DS_Store").write_bytes(b"...")
    data = read(tmp_path)
    assert data.train is not None
    assert data.test is not None
    assert data.classes == ("cat", "dog")
    assert data.train.y.tolist() == [0, 1, 1]
    assert data.train.y.dtype == np.int64
    assert data.test.y.tolist() == [0, 1]
    expected = [pixels(6, 8, 3, seed=seed) for seed in (2, 1, 0)]
    assert np.array_equal(data.train.x, expected)
    assert np.array_equal(data.test.x, [pixels(6, 8, 3, seed=seed) for seed in (3, 4)])
    assert data.train.x.dtype == np.uint8


def test_class_folders_alone_are_all_for_training(tmp_path: Path) -> None:
    image(tmp_path / "a" / "1.png")
    image(tmp_path / "b" / "1.png", seed=1)
    data = read(tmp_path)
    assert data.test is None
    assert data.train is not None
    assert data.train.y.tolist() == [0, 1]


def test_images_are_brought_to_the_models_size_and_channels(tmp_path: Path) -> None:
    image(tmp_path / "test" / "a" / "1.png", 30, 40, mode="L")
    image(tmp_path / "test" / "b" / "1.jpg", 3, 5)
    data = read(tmp_path, (6, 8, 1))
    assert data.train is None
    assert data.test is not None
    assert data.test.x.shape == (2, 6, 8, 1)


def test_refuses_other_files(tmp_path: Path) -> None:
    image(tmp_path / "cat" / "1.png")
    for number in range(7):
        (tmp_path / "cat" / f"notes{number}.txt").write_text("...")
    assert (
        f"{tmp_path / 'cat'}: expected images (.png, .jpg, .jpeg, .bmp, .gif), found "
        "notes0.txt, notes1.txt, notes2.txt, notes3.txt, notes4.txt and 2 more"
    ) in refused(tmp_path)


def test_refuses_folders_of_another_structure(tmp_path: Path) -> None:
    one, two, three, four = (tmp_path / name for name in "abcd")
    image(one / "train" / "cat" / "1.png")
    image(one / "validation" / "cat" / "1.png")
    assert "expected train and test, found validation" in refused(one)
    image(two / "train" / "cat" / "1.png")
    image(two / "train" / "1.png")
    assert "expected folders, one a class, found 1.png" in refused(two)
    image(three / "cat" / "more" / "1.png")
    assert "found more" in refused(three)
    (four / "train").mkdir(parents=True)
    assert "no folders in it" in refused(four)


def test_refuses_classes_without_images_or_in_one_split_only(tmp_path: Path) -> None:
    image(tmp_path / "train" / "cat" / "1.png")
    image(tmp_path / "test" / "dog" / "1.png")
    assert "train and test must have the same classes, and only one has cat, dog" in refused(
        tmp_path
    )
    (tmp_path / "train" / "dog").mkdir()
    assert f"{tmp_path / 'train' / 'dog'}: no images in it" in refused(tmp_path)


def test_refuses_models_that_images_cannot_be_brought_to(tmp_path: Path) -> None:
    image(tmp_path / "cat" / "1.png")
    assert "input [?, ?, 3] is of any size" in refused(tmp_path, (None, None, 3))
    assert "input is [48]" in refused(tmp_path, (48,))
    assert "input is [6, 8, 2]" in refused(tmp_path, (6, 8, 2))
    assert "does not fit into memory" in refused(tmp_path, (2**31, 2**31, 3))
    with pytest.raises(DataError, match="1 class names, and the model tells 5 classes apart"):
        read(tmp_path, classes=5)


def test_refuses_a_damaged_image_and_says_which(tmp_path: Path) -> None:
    image(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / "2.png").write_bytes(b"\x89PNG not")
    with pytest.raises(GraphCNNError, match=r"2\.png: not a readable image"):
        read(tmp_path)
