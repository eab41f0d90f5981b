"""What a model is given: read from .npy, .npz and image files, and fitted to what it asks for."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from graphcnn.errors import GraphCNNError, RuntimeFailure

from .images import IMAGE_SUFFIXES, read_image
from .signature import ANY, Array, TensorSpec

_LARGEST_ARCHIVE = 2**32
"""More bytes than this are not unpacked into memory; a .npy file of any size is mapped instead."""

_ONLY = ""
"""The key of an array that was given without a name."""


def read_inputs(path: str | Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Read what a model is given.

    Args:
        path: A .npy file, an .npz file with an array for each input by its name, or an image. A
            single array is taken for the only input of a model, whatever its name.
        specs: What the model asks for.

    Returns:
        An array for each input, of its type and shape. Nothing is scaled or transposed; an axis of
        one sample or one channel that is left out is added.

    Raises:
        MissingExtra: The file is an image, and Pillow is not installed.
        RuntimeFailure: The file cannot be read, or does not fit the model.
    """
    path = Path(path)
    _check_file(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_archive(path, specs)
    if suffix == ".npy":
        return fit_inputs(_read_array(path), specs, str(path))
    if suffix not in IMAGE_SUFFIXES:
        raise RuntimeFailure(
            f"{path}: not a kind of file that can be given to a model",
            hint=f"one of {', '.join(['.npy', '.npz', *IMAGE_SUFFIXES])}",
        )
    _check_names([_ONLY], specs, str(path))
    return fit_inputs(read_image(path, specs[0]), specs, str(path))


def fit_inputs(
    inputs: Mapping[str, Any] | Any, specs: Sequence[TensorSpec], source: str = "inputs"
) -> dict[str, Array]:
    """Fit arrays to what a model asks for.

    Args:
        inputs: Arrays by the names of the inputs, or one array for a model of one input.
        specs: What the model asks for.
        source: What messages call the inputs.

    Returns:
        An array for each input, of its type and shape. Nothing is scaled or transposed; an axis of
        one sample or one channel that is left out is added.

    Raises:
        RuntimeFailure: They do not fit.
    """
    named = inputs if isinstance(inputs, Mapping) else {_ONLY: inputs}
    keys = _check_names(named, specs, source)
    subjects = {spec.name: _subject(source, keys[spec.name], named) for spec in specs}
    fitted = {spec.name: fit(named[keys[spec.name]], spec, subjects[spec.name]) for spec in specs}
    _check_batches(fitted, specs, source)
    return fitted


def fit(values: Any, spec: TensorSpec, subject: str) -> Array:
    """Fit one array to one input.

    Args:
        values: An array, or nested lists.
        spec: What the model asks for.
        subject: What messages call the array.

    Raises:
        RuntimeFailure: It holds something other than numbers, numbers that the input's type
            cannot hold, or has a shape that does not fit.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise RuntimeFailure(
            f"expected numbers for {spec}, found an array of {array.dtype}", subject=subject
        )
    if not array.size:
        raise RuntimeFailure(f"an array of shape {list(array.shape)} is empty", subject=subject)
    for shape in _readings(array.shape, spec):
        if spec.accepts(shape):
            return _converted(array.reshape(shape), spec, subject)
    raise _misfit(array.shape, spec, subject)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise RuntimeFailure(f"{path} is a directory", hint="name a file in it")
    if not path.exists():
        raise RuntimeFailure(f"{path}: no such file")
    if path.is_file() and not path.stat().st_size:
        raise RuntimeFailure(f"{path} is empty")


def _read_array(path: Path) -> Array:
    """The array of a .npy file, mapped rather than read."""
    with _reading(path, "np.save writes it; arrays of Python objects are refused"):
        return np.lib.format.open_memmap(path, mode="r")


def _read_archive(path: Path, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    hint = "np.savez writes it; arrays of Python objects are refused"
    with _reading(path, hint), zipfile.ZipFile(path) as archive:
        members = {item.filename.removesuffix(".npy"): item for item in archive.infolist()}
        if len(members) == len(specs) == 1:  # np.savez calls it arr_0 where it is given no name.
            members = dict(zip([_ONLY], members.values(), strict=True))
        keys = set(_check_names(members, specs, str(path)).values())
        size = sum(members[key].file_size for key in keys)
        if size > _LARGEST_ARCHIVE:
            raise RuntimeFailure(
                f"{path} unpacks to {size:,} bytes, more than the {_LARGEST_ARCHIVE:,} accepted",
                hint="a .npy file may be larger: it is not read at once",
            )
        arrays = {key: _read_member(archive.open(members[key])) for key in keys}
    return fit_inputs(arrays, specs, str(path))


def _read_member(stream: IO[bytes]) -> Array:
    with stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


@contextmanager
def _reading(path: Path, hint: str) -> Iterator[None]:
    """Turn whatever a reader makes of a damaged file into an error that names the file."""
    try:
        yield
    except GraphCNNError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise RuntimeFailure(
            f"{path}: not a readable {path.suffix.lower()} file: {reason}", hint=hint
        ) from error


def _check_names(
    found: Collection[str], specs: Sequence[TensorSpec], source: str
) -> dict[str, str]:
    """Which of the arrays found is for which input."""
    wanted = [spec.name for spec in specs]
    if len(wanted) == 1 and set(found) == {_ONLY}:
        return {wanted[0]: _ONLY}
    if set(wanted) == set(found):
        return {name: name for name in wanted}
    if set(found) == {_ONLY}:
        raise RuntimeFailure(
            f"{source}: one array for a model of {len(wanted)} inputs: {_listed(wanted)}",
            hint="an .npz file holds an array for each: np.savez('inputs.npz', **arrays)",
        )
    missing, extra = set(wanted) - set(found), set(found) - set(wanted)
    problems = [f"no array for {_listed(missing)}"] if missing else []
    problems += [f"{_listed(extra)} not among the model's inputs"] if extra else []
    raise RuntimeFailure(
        f"{source}: {', and '.join(problems)}", hint=f"the model's inputs are {_listed(wanted)}"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))


def _subject(source: str, key: str, named: Mapping[str, Any]) -> str:
    return f"{source}[{key!r}]" if len(named) > 1 else source


def _check_batches(arrays: Mapping[str, Array], specs: Sequence[TensorSpec], source: str) -> None:
    """Inputs whose batches have one name have one number of samples."""
    first: dict[str, TensorSpec] = {}
    for spec in specs:
        batch = spec.shape[0] if spec.shape else ANY
        if isinstance(batch, int) or batch == ANY:
            continue
        other = first.setdefault(batch, spec)
        expected, found = len(arrays[other.name]), len(arrays[spec.name])
        if expected != found:
            raise RuntimeFailure(
                f"{source}: {other.name!r} has {expected} samples, and {spec.name!r} has {found}"
            )


def _readings(shape: tuple[int, ...], spec: TensorSpec) -> Iterator[tuple[int, ...]]:
    """The shape as it is, then with a batch of one, a single channel, or both, added."""
    batched = (1, *shape)
    yield from (shape, batched)
    axis = spec.channel_axis
    if spec.shape[axis : axis + 1] == (1,):
        yield (*shape[:axis], 1, *shape[axis:])
        yield (*batched[:axis], 1, *batched[axis:])


def _converted(array: Array, spec: TensorSpec, subject: str) -> Array:
    """The array in the input's own type, if that can hold its numbers."""
    try:
        with np.errstate(over="raise", invalid="raise"):
            converted = array.astype(spec.dtype, order="C", copy=False)
    except FloatingPointError:
        converted = None
    exact = spec.dtype.kind in "biu"
    if converted is None or (exact and not np.array_equal(converted, array)):
        raise RuntimeFailure(
            f"{array.dtype} numbers from {array.min():g} to {array.max():g} "
            f"cannot be held by {spec}",
            subject=subject,
        )
    return converted


def _misfit(shape: tuple[int, ...], spec: TensorSpec, subject: str) -> RuntimeFailure:
    """What was expected, in both layouts, and what would mend it."""
    anyhow = replace(spec, shape=("N", *spec.shape[1:]))
    batches = [reading[0] for reading in _readings(shape, spec) if anyhow.accepts(reading)]
    if batches:
        return RuntimeFailure(
            f"expected {spec}, found {list(shape)}: a batch of {batches[0]}, not {spec.shape[0]}",
            hint="the batch was fixed when the file was compiled",
            subject=subject,
        )
    other = spec.swapped()
    if other is None:
        return RuntimeFailure(f"expected {spec}, found {list(shape)}", subject=subject)
    return RuntimeFailure(
        f"expected {spec} ({spec.order}), found {list(shape)}; "
        f"in {other.order} that is {other.sizes}",
        hint=_transposition(shape, spec, other),
        subject=subject,
    )


def _transposition(shape: tuple[int, ...], spec: TensorSpec, other: TensorSpec) -> str | None:
    """The call that turns an array of the other layout into this one."""
    left_out = len(spec.shape) - len(shape)
    if left_out not in (0, 1) or not other.accepts((1,) * left_out + shape):
        return None
    axes = tuple(other.layout[left_out:].index(axis) for axis in spec.layout[left_out:])
    return f"np.transpose(x, {axes}) puts it in {spec.order}"
