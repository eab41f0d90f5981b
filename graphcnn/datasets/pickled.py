"""Pickles read as data: what a pickle asks to be called is written down, and nothing is called.

`pickle.Unpickler` with a restricted `find_class` is not enough for files of strangers: it takes
memory as the file says (nine bytes that store at a large memo index take gigabytes), and it calls
what is allowed with the file's arguments. The reader here knows only the instructions that the
batches of CIFAR-10 have: dictionaries, lists, tuples, texts, integers and numpy arrays, as Python 2
wrote them. None of them fetches an object a second time, so what is read is a tree.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from graphcnn.errors import DataError
from graphcnn.options import shorten
from graphcnn.runtime.signature import Array

_MOST_STEPS = 200_000
"""Instructions, each of which may make an object; one of CIFAR-10's batches has 30,000."""

_SHORT = 256
"""A longer text is not copied."""

_LONGEST_NAME = 100


class _Names(StrEnum):
    """The globals that may be named; none of them is looked up."""

    reconstruct = "numpy.core.multiarray _reconstruct"
    ndarray = "numpy ndarray"
    dtype = "numpy dtype"


_HINT = "only CIFAR-10's own batches are read as pickles; give other data as .npz"


@dataclass(slots=True, eq=False)
class Call:
    """What a pickle wants made.

    Attributes:
        function: The global name it wants called.
        arguments: With what.
        state: What it wants set on the result.
    """

    function: object
    arguments: object
    state: object = None


def read_pickle(data: memoryview, subject: object) -> object:
    """Read a pickle as Python 2 wrote it, with protocol 2.

    Returns:
        Its value: dictionaries, lists, tuples, integers, bytes (long ones as views of `data`),
        global names as str, and whatever it wants called as a `Call`.

    Raises:
        DataError: It is damaged, or asks for something that CIFAR-10's batches do not.
    """
    try:
        return _Reader(data, subject).read()
    except (IndexError, TypeError, ValueError) as error:
        raise DataError(f"{subject}: not a readable pickle, it may be damaged") from error


def pixel_rows(value: object, subject: object) -> Array:
    """The array of uint8 (rows, columns) that a `Call` describes, as a view of its bytes.

    Raises:
        DataError: It is another array, or not one.
    """
    match value:
        case Call(
            function=_Names.reconstruct,
            arguments=(_Names.ndarray, _, _),
            state=(
                1,
                (int(rows), int(columns)),
                Call(function=_Names.dtype, arguments=(b"u1", 0, 1)),
                False,
                bytes() | memoryview() as pixels,
            ),
        ) if len(pixels) == rows * columns and rows > 0:
            return np.frombuffer(pixels, np.uint8).reshape(rows, columns)
    raise DataError(f"{subject}: expected an array of uint8 of rank 2", hint=_HINT)


class _Reader:
    def __init__(self, data: memoryview, subject: object) -> None:
        self._data = data
        self._subject = subject
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []

    def read(self) -> object:
        for _ in range(_MOST_STEPS):
            code = bytes(self._take(1))
            if code == pickle.STOP:
                (value,) = self._stack
                return value
            self._step(code)
        raise DataError(f"{self._subject}: more than {_MOST_STEPS:,} instructions", hint=_HINT)

    def _step(self, code: bytes) -> None:
        match code:
            case pickle.PROTO | pickle.BINPUT:
                self._take(1)
            case pickle.LONG_BINPUT:
                self._take(4)
            case pickle.MARK:
                self._marks.append(len(self._stack))
            case pickle.APPENDS:
                items = self._above_mark()
                self._top(list).extend(items)
            case pickle.SETITEMS:
                items = self._above_mark()
                self._top(dict).update(zip(items[::2], items[1::2], strict=True))
            case pickle.BUILD:
                state = self._stack.pop()
                self._top(Call).state = state
            case _:
                self._stack.append(self._made(code))

    def _made(self, code: bytes) -> object:
        match code:
            case pickle.NONE:
                return None
            case pickle.NEWFALSE:
                return False
            case pickle.BININT:
                return self._number("<i")
            case pickle.BININT1:
                return self._number("<B")
            case pickle.BININT2:
                return self._number("<H")
            case pickle.SHORT_BINSTRING:
                return self._text(self._number("<B"))
            case pickle.BINSTRING:
                return self._text(self._number("<i"))
            case pickle.EMPTY_LIST:
                return []
            case pickle.EMPTY_DICT:
                return {}
            case pickle.TUPLE:
                return tuple(self._above_mark())
            case pickle.TUPLE1 | pickle.TUPLE2 | pickle.TUPLE3:
                popped = [self._stack.pop() for _ in range(ord(code) - ord(pickle.TUPLE1) + 1)]
                return tuple(reversed(popped))
            case pickle.GLOBAL:
                return self._name()
            case pickle.REDUCE:
                arguments = self._stack.pop()
                return Call(self._stack.pop(), arguments)
        raise DataError(
            f"{self._subject}: a pickle with the instruction {code!r}, which is not read",
            hint=_HINT,
        )

    def _take(self, count: int) -> memoryview:
        if not 0 <= count <= len(self._data) - self._at:
            raise DataError(f"{self._subject}: truncated", hint="get the file again")
        self._at += count
        return self._data[self._at - count : self._at]

    def _number(self, form: str) -> int:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return int(value)

    def _text(self, length: int) -> bytes | memoryview:
        text = self._take(length)
        return bytes(text) if length < _SHORT else text

    def _name(self) -> str:
        name = f"{self._line()} {self._line()}"
        if name not in list(_Names):
            raise DataError(
                f"{self._subject}: a pickle that asks for {shorten(name.replace(' ', '.'))}, "
                "and only numpy's arrays are read: nothing of it was run",
                hint=_HINT,
            )
        return name

    def _line(self) -> str:
        line = bytes(self._data[self._at : self._at + _LONGEST_NAME]).partition(b"\n")
        if not line[1]:
            raise ValueError("a name without an end")
        self._at += len(line[0]) + 1
        return line[0].decode("ascii")

    def _top(self, kind: type[Any]) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError("an instruction for another type")
        return self._stack[-1]

    def _above_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items
