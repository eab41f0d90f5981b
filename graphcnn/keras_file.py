"""Where the arrays and the model lie in Keras's files: ``.keras``, ``.weights.h5`` and ``.h5``.

Keras 3 writes a group a layer, called after the layer's class and number: ``layers/conv2d_1``. In
it is a group ``vars`` that holds the layer's own name as its attribute ``name``, and the layer's
variables as ``0``, ``1``, ... in the order of `keras.Layer.weights`. The layers that a layer holds
lie in its group; an activation with weights is one, ``activation``. What draws at random has no
state in the file. Source: keras/src/saving/saving_lib.py (3.15).

An ``.h5`` file, as Keras 2 wrote them and Keras 3 still can, has a group a layer of the outermost
model, called as the layer. Its attribute ``weight_names`` lists the arrays: of a model in the
model, all that are trained first, then the others. Source: keras/src/legacy/saving (3.15).

The files are untrusted: nothing is deserialized, links are not followed, and only arrays of plain
numbers that lie whole in the file itself are accepted. Arrays are not read here; their place is
told.
"""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import MissingExtra, ModelFileError, WeightError
from .options import shorten

WEIGHTS_ENDING = ".weights.h5"
ARCHIVE_ENDING = ".keras"
H5_ENDINGS = (".h5", ".hdf5")
SAVE_AGAIN = "load it in Keras 3.6 or later, and save it again: model.save_weights('W.weights.h5')"

_SAVE_MODEL = "load it in Keras, and save it again: model.save('MODEL.keras') saves all of it"

MAX_CONFIG_BYTES = 64 * 2**20
"""The longest description of a model that is read."""

_MEMBER = "model.weights.h5"
_CONFIG = "config.json"
_METADATA = "metadata.json"
_LOCAL_HEADER_BYTES = 30
_BLOCK_BYTES = 2**20
_LONGEST_NAME = 4096
_RANDOM_STATE = ("StateVar:0", "seed_generator_state")
"""How the arrays end that layers which draw at random keep in files of Keras 2."""


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array in a file.

    Attributes:
        shape: Its shape.
        dtype: Its element type as numpy spells it, with the byte order, such as ``<f4``.
        offset: The byte at which it begins, from the beginning of the file on disk.
    """

    shape: tuple[int, ...]
    dtype: str
    offset: int


def read_keras_file(path: Path) -> dict[str, list[StoredArray]]:
    """The arrays of each layer that has any, in Keras's order.

    Returns:
        By the layer's name with those of the models around it, ``outer/inner``; for an ``.h5``
        file of the older format, by the name of the layer in the outermost model. Where the file
        does not say the name (Keras before 3.6), by its place, such as ``/layers/conv2d_1``.

    Raises:
        MissingExtra: h5py is not installed.
        WeightError: The file is not of this kind, or holds what Keras does not write.
        Exception: Whatever h5py and zipfile raise for a damaged file.
    """
    with _opened(path) as (root, reader):
        if is_legacy(root):
            return reader.legacy_layers(root)
        return reader.layers(root)


def read_model_config(path: Path) -> tuple[str, str]:
    """The description of the model in a ``.keras`` or ``.h5`` file, and the version of Keras.

    Returns:
        JSON, and a version such as ``3.15.1``, empty where the file does not say.

    Raises:
        MissingExtra: h5py is not installed.
        ModelFileError: There is none in the file, or it is too large.
        Exception: Whatever h5py and zipfile raise for a damaged file.
    """
    if path.name.endswith(ARCHIVE_ENDING):
        return _archived_config(path)
    with _opened(path) as (root, reader):
        if "model_config" not in root.attrs:
            raise ModelFileError(
                f"{path}: there is no model in it, only weights",
                hint=_SAVE_MODEL,
            )
        return reader.words(root, "model_config")[0], "".join(reader.words(root, "keras_version"))


def _archived_config(path: Path) -> tuple[str, str]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        if _CONFIG not in archive.namelist():
            raise ModelFileError(f"{path}: there is no {_CONFIG} in it", hint=_SAVE_MODEL)
        config = _bounded(path, archive, _CONFIG)
        if _METADATA not in archive.namelist():
            return config, ""
        metadata = json.loads(_bounded(path, archive, _METADATA))
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return config, version if isinstance(version, str) else ""


def _bounded(path: Path, archive: Any, name: str) -> str:
    """The text of a member; what it says of its own size is not relied on."""
    with archive.open(name) as member:
        raw: bytes = member.read(MAX_CONFIG_BYTES + 1)
    if len(raw) > MAX_CONFIG_BYTES:
        raise ModelFileError(f"{path}: {name} is larger than {MAX_CONFIG_BYTES:,} bytes")
    return raw.decode()


def printable(text: str, limit: int = 100) -> str:
    """A name or a message from a file, cut, and without what a terminal takes for a command."""
    text = text if len(text) <= limit else f"{text[: limit - 3]}..."
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_legacy(root: Any) -> bool:
    """Whether an HDF5 file has the layout of Keras 2."""
    return "layer_names" in root.attrs or "model_weights" in root


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, _Reader]]:
    """The HDF5 file at a path, or in the archive there."""
    try:
        import h5py
    except ImportError:
        raise MissingExtra("h5py", "keras") from None
    archived = path.name.endswith(ARCHIVE_ENDING)
    start, size = _member(path) if archived else (0, path.stat().st_size)
    with path.open("rb") as file, h5py.File(_Window(file, start, size), "r") as root:
        if root.userblock_size:
            raise WeightError(f"{path}: it does not begin with an HDF5 header")
        yield root, _Reader(path, start, size)


def _member(path: Path) -> tuple[int, int]:
    """Where the weights begin in an archive, and how many bytes they have."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        if _MEMBER not in archive.namelist():
            raise WeightError(f"{path}: there is no {_MEMBER} in it", hint=SAVE_AGAIN)
        entry = archive.getinfo(_MEMBER)
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise WeightError(
                f"{path}: {_MEMBER} is compressed in it, and Keras stores it as it is",
                hint=f"unpack the archive, and give {_MEMBER} to --weights",
            )
        with archive.open(entry) as member:
            while member.read(_BLOCK_BYTES):
                pass  # Reading to the end is what compares the checksum.
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER_BYTES)
    name, extra = header[26:28], header[28:30]
    before = sum(int.from_bytes(length, "little") for length in (name, extra))
    return entry.header_offset + _LOCAL_HEADER_BYTES + before, entry.file_size


class _Window(io.RawIOBase):
    """A part of a file as a file of its own, which h5py reads where it lies."""

    def __init__(self, file: io.BufferedReader, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        left = memoryview(buffer)[: max(self._size - self._at, 0)]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(left)
        self._at += count
        if bytes(left[:4]) == b"GCOL":
            _check_texts(left)
        return count


def _check_texts(block: memoryview) -> None:
    """Refuse a heap of texts with an object of no size, at which HDF5 (1.14.6) stays for ever.

    A heap is the signature, the version, its size in bytes, and objects: index, references, size,
    and that many bytes up to a multiple of 8. The object of index 0 is what is free, its size that
    of its head included. Source: HDF5 File Format Specification 3.0, III.E.
    """
    head, (end,) = 16, struct.unpack_from("<8xQ", block)
    at = head
    while at + head <= min(end, len(block)):
        index, size = struct.unpack_from("<H6xQ", block, at)
        taken = head + size + -size % 8 if index else size
        if not 0 < taken <= end - at:
            raise ValueError("a text in it has no size")
        at += taken


@dataclass(slots=True)
class _Reader:
    """Walks the groups of one HDF5 file.

    Attributes:
        path: The file, for messages.
        start: Where the HDF5 file begins in it.
        size: The HDF5 file's bytes.
        seen: The addresses of the objects that were met; none is met twice.
    """

    path: Path
    start: int
    size: int
    seen: set[int] = field(default_factory=set)

    def layers(self, root: Any) -> dict[str, list[StoredArray]]:
        """The arrays by layer, with the names of the models around it."""
        self.seen.add(_address(root))
        top = self._members(root)
        top.pop("optimizer", None)
        found: dict[str, list[StoredArray]] = {}
        left: list[tuple[dict[str, Any], str, str | None]] = [(top, "", None)]
        while left:
            members, prefix, owner = left.pop()
            own = members.pop("vars", None)
            name = self._text(own, "name") if own else None
            place = own.name.removesuffix("/vars") if own else None
            layer = owner or (place if name is None else f"{prefix}{name}")
            arrays = self._variables(own) if own else []
            if arrays:
                self._enter(found, str(layer), arrays, new=owner is None)
            inside = f"{layer}/" if own and members is not top else prefix
            for key, member in members.items():
                owner = layer if key == "activation" else None
                left.append((self._members(member), inside, owner))
        return found

    def legacy_layers(self, root: Any) -> dict[str, list[StoredArray]]:
        """The arrays by layer of the outermost model."""
        top = self._member(root, "model_weights") if "model_weights" in root else root
        found: dict[str, list[StoredArray]] = {}
        for name in self.words(top, "layer_names"):
            if name in found:
                raise WeightError(f"{self.path}: two layers are called {printable(name)}")
            group = self._member(top, name)
            names = self.words(group, "weight_names")
            found[name] = [
                self._array(self._member(group, array))
                for array in names
                if not array.endswith(_RANDOM_STATE)
            ]
        return {name: arrays for name, arrays in found.items() if arrays}

    def _member(self, group: Any, name: str) -> Any:
        """What is at a path in a group, over hard links only."""
        import h5py

        for part in filter(None, name.split("/")):
            if not isinstance(group, h5py.Group) or part not in group:
                raise WeightError(f"{self.path}: there is no {shorten(name)} in it")
            if not isinstance(group.get(part, getlink=True), h5py.HardLink):
                raise WeightError(
                    f"{self.path}: {shorten(part)} in {printable(group.name)} is a link"
                )
            group = group[part]
        return group

    def words(self, item: Any, name: str) -> list[str]:
        """The texts in an attribute; a long list is in several, with numbers behind the name."""
        import numpy as np

        numbered = (f"{name}{number}" for number in range(len(item.attrs)))
        words: list[str] = []
        for key in [name, *numbered]:
            if key not in item.attrs:
                if key == name:
                    continue
                break
            for word in np.atleast_1d(item.attrs[key]).tolist():
                words.append(word.decode() if isinstance(word, bytes) else str(word))
        return words

    def _enter(
        self, found: dict[str, list[StoredArray]], name: str, arrays: list[StoredArray], new: bool
    ) -> None:
        if new and name in found:
            raise WeightError(f"{self.path}: two layers are called {printable(name)}")
        found.setdefault(name, []).extend(arrays)

    def _members(self, group: Any) -> dict[str, Any]:
        """What is in a group, by name: all of it in the file itself, and in one place."""
        import h5py

        if not isinstance(group, h5py.Group):
            raise WeightError(f"{self.path}: {printable(group.name)} is in no layer's vars")
        members = {}
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise WeightError(
                    f"{self.path}: {shorten(key)} in {printable(group.name)} is a link"
                )
            member = group[key]
            address = _address(member)
            if address in self.seen:
                raise WeightError(f"{self.path}: {printable(member.name)} is in another place too")
            self.seen.add(address)
            members[key] = member
        return members

    def _variables(self, group: Any) -> list[StoredArray]:
        members = self._members(group)
        numbers = [str(number) for number in range(len(members))]
        if members.keys() != set(numbers):
            raise WeightError(
                f"{self.path}: {printable(group.name)} holds {shorten(sorted(members))}, "
                "expected variables numbered from 0"
            )
        return [self._array(members[number]) for number in numbers]

    def _array(self, dataset: Any) -> StoredArray:
        import h5py

        name = printable(dataset.name)
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            raise WeightError(f"{self.path}: {name} is no array")
        if dataset.dtype.kind not in "fiu":
            kind = printable(self._text(dataset, "dtype") or str(dataset.dtype))
            raise WeightError(f"{self.path}: {name} holds {kind}, expected float32")
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        plan = dataset.id.get_create_plist()
        offset = dataset.id.get_offset()
        if (
            plan.get_layout() != h5py.h5d.CONTIGUOUS
            or plan.get_external_count()
            or dataset.id.get_storage_size() != size
            or offset is None
            or offset + size > self.size
        ):
            raise WeightError(
                f"{self.path}: {name} {list(dataset.shape)} does not lie in the file as one piece",
                hint=SAVE_AGAIN,
            )
        return StoredArray(dataset.shape, dataset.dtype.str, self.start + offset)

    def _text(self, item: Any, name: str) -> str | None:
        """An attribute, if it is a short text."""
        if name not in item.attrs:
            return None
        attribute = item.attrs.get_id(name)
        if attribute.shape != () or attribute.get_storage_size() > _LONGEST_NAME:
            return None
        value = item.attrs[name]
        return value if isinstance(value, str) and value.isprintable() else None


def _address(item: Any) -> int:
    """Where an object of the HDF5 file lies, by which two names for it are told."""
    import h5py

    return int(h5py.h5o.get_info(item.id).addr)
