"""What a model is trained and tested on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from graphcnn.runtime.signature import Array


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Samples and what is known of them.

    Attributes:
        x: (samples, *sizes), channels last, in the type it was stored in.
        y: int64 labels (samples,), or float32 targets (samples, *sizes).
    """

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Data to train on, to test on, or both.

    Attributes:
        source: What the user named, for messages.
        train: What is trained on; None if there is none.
        test: What is tested on; None if there is none.
        classes: The names of the classes in the order of the labels; empty if the files have none.
    """

    source: str
    train: Split | None
    test: Split | None
    classes: tuple[str, ...]

    @property
    def splits(self) -> dict[str, Split]:
        """The splits that are there, by what messages call them."""
        found = {"training": self.train, "test": self.test}
        return {name: split for name, split in found.items() if split is not None}

    def fingerprint(self) -> str:
        """The SHA-256 of all splits, in hexadecimal: their types, shapes and numbers."""
        digest = hashlib.sha256()
        for name, split in self.splits.items():
            for array in (split.x, split.y):
                digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
                digest.update(array.data.cast("B"))
        return digest.hexdigest()
