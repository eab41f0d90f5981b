"""What two models are run on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphcnn.errors import DataError, RuntimeFailure, VerificationError
from graphcnn.verification.samples import RandomSamples, Samples, Wanted, read_samples

FLOAT, HALF, BYTE, BOOL = (np.dtype(name) for name in ("float32", "float16", "uint8", "bool"))


def wanted(*dtypes: np.dtype, sizes: tuple[int | None, ...] = (4, 5, 3)) -> list[Wanted]:
    one, other = dtypes * 2 if len(dtypes) == 1 else dtypes
    return [Wanted("image", sizes, (one, other))]


def whole(samples: Samples, size: int = 100) -> np.ndarray:
    return np.concatenate([batch["image"] for batch in samples.batches(size)])


def test_random_numbers_are_the_same_in_any_batches() -> None:
    both = [*wanted(FLOAT), Wanted("more", (2,), (FLOAT, FLOAT))]
    samples = RandomSamples(7, both, 3)
    assert whole(samples).shape == (7, 4, 5, 3)
    np.testing.assert_array_equal(whole(samples, 2), whole(samples))
    assert abs(whole(samples).mean()) < 0.2
    assert not np.array_equal(whole(RandomSamples(7, both, 4)), whole(samples))
    assert samples.source == "7 random samples, seed 3"


def test_random_numbers_suit_both_types() -> None:
    half = whole(RandomSamples(2, wanted(FLOAT, HALF), 0))
    assert half.dtype == HALF
    whole_numbers = whole(RandomSamples(50, wanted(FLOAT, BYTE), 0))
    assert (whole_numbers.min(), whole_numbers.max()) == (0, 255)
    assert set(np.unique(whole(RandomSamples(2, wanted(BOOL), 0)))) == {0, 1}


def test_a_range() -> None:
    numbers = whole(RandomSamples(50, wanted(FLOAT), 0, (10, 20)))
    assert numbers.min() == pytest.approx(10, abs=0.1)
    assert numbers.max() == pytest.approx(20, abs=0.1)
    integers = whole(RandomSamples(50, wanted(BYTE), 0, (3, 5)))
    assert set(np.unique(integers)) == {3, 4, 5}


def test_arrays_in_either_order(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((6, 4, 5, 3)).astype(np.float32)
    np.save(tmp_path / "last.npy", x)
    np.save(tmp_path / "first.npy", np.moveaxis(x, -1, 1))
    for name in ("last.npy", "first.npy"):
        samples = read_samples(tmp_path / name, wanted(FLOAT))
        np.testing.assert_array_equal(whole(samples, 4), x)
        assert samples.source == f"6 samples of {tmp_path / name}"
    np.save(tmp_path / "wrong.npy", x[:, :3])
    with pytest.raises(RuntimeFailure, match=r"found \[6, 3, 5, 3\]"):
        read_samples(tmp_path / "wrong.npy", wanted(FLOAT))


def test_an_image(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    np.testing.assert_array_equal(
        whole(read_samples(tmp_path / "photo.png", wanted(FLOAT))), pixels[None]
    )


def test_a_data_set(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (6, 4, 5, 3), np.uint8)
    np.savez(
        tmp_path / "data.npz", x_train=x[:4], y_train=[0, 1, 0, 1], x_test=x[4:], y_test=[0, 1]
    )
    samples = read_samples(tmp_path / "data.npz", wanted(FLOAT))
    np.testing.assert_array_equal(whole(samples), x[4:])
    two = [*wanted(FLOAT), Wanted("more", (2,), (FLOAT, FLOAT))]
    with pytest.raises(VerificationError, match="for models of one input, and these have 2"):
        read_samples(tmp_path / "data.npz", two)


def test_arrays_by_name(tmp_path: Path) -> None:
    two = [*wanted(FLOAT), Wanted("more", (2,), (FLOAT, FLOAT))]
    np.savez(tmp_path / "both.npz", image=np.zeros((3, 4, 5, 3)), more=np.ones((3, 2)))
    (batch,) = read_samples(tmp_path / "both.npz", two).batches(10)
    assert {name: array.shape for name, array in batch.items()} == {
        "image": (3, 4, 5, 3),
        "more": (3, 2),
    }


@pytest.mark.parametrize("name", ["absent.npy", "absent"])
def test_no_such_data(tmp_path: Path, name: str) -> None:
    with pytest.raises((RuntimeFailure, DataError), match="no such file"):
        read_samples(tmp_path / name, wanted(FLOAT))
