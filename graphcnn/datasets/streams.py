"""Bounded reading of files that may be damaged, or made to exhaust memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from graphcnn.errors import DataError, GraphCNNError
from graphcnn.runtime.signature import Array

ALIGNMENT = 64
"""What the address of an array in bytes is a multiple of: what TensorFlow asks of its tensors."""

_BLOCK = 2**18

_MOST_LISTED = 5

DEFLATE_RATIO = 1032
"""How many bytes one byte of gzip or zip can stand for at most: 258 bytes in two bits."""


class Readable(Protocol):
    """Any stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, and none at the end."""


def allocate(shape: tuple[int, ...], dtype: Any, subject: object) -> Array:
    """An array of that shape, with nothing in it yet, where TensorFlow can use it without a copy.

    Raises:
        DataError: There is not enough memory.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        space = np.empty(size + ALIGNMENT, np.uint8)
    except (MemoryError, ValueError) as error:
        raise DataError(
            f"{subject}: an array of {list(shape)} {np.dtype(dtype)} does not fit into memory"
        ) from error
    start = -space.ctypes.data % ALIGNMENT
    array: Array = space[start : start + size].view(dtype).reshape(shape)
    return array


def read_bytes(stream: Readable, count: int, subject: object) -> Array:
    """The rest of a stream, which is `count` bytes, as uint8; little more is held than those.

    Raises:
        DataError: The stream has fewer bytes, or more.
    """
    array = allocate((count,), np.uint8, subject)
    at = 0
    while block := stream.read(min(_BLOCK, count - at)):
        array[at : at + len(block)] = np.frombuffer(block, np.uint8)
        at += len(block)
    if at < count:
        raise DataError(
            f"{subject}: truncated: expected {count:,} bytes of data, found {at:,}",
            hint="get the file again",
        )
    if stream.read(1):  # Reading to the end is also what compares a checksum.
        raise DataError(f"{subject}: expected {count:,} bytes of data, found more behind them")
    return array


@contextmanager
def reading(subject: object, kind: str, hint: str | None = None) -> Iterator[None]:
    """Turn whatever a reader makes of a damaged file into an error that names the file."""
    try:
        yield
    except GraphCNNError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise DataError(f"{subject}: not a readable {kind}: {reason}", hint=hint) from error


def listed(names: Iterable[str]) -> str:
    """The first few of some names, in order."""
    ordered = sorted(names)
    text = ", ".join(ordered[:_MOST_LISTED]) or "nothing"
    more = len(ordered) - _MOST_LISTED
    return f"{text} and {more:,} more" if more > 0 else text
