"""The process that a file is measured in: it does what it is told, a line of JSON at a time.

Nothing but numpy and onnxruntime is imported, so that the memory that is reported is theirs and the
file's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn import child
from graphcnn.errors import RuntimeFailure, did_you_mean
from graphcnn.runtime.session import first_line, load_onnxruntime, open_session
from graphcnn.runtime.settings import Settings
from graphcnn.runtime.signature import ANY, Array, TensorSpec, read_signature

_SEED = 0


class _Loaded:
    """A file in onnxruntime, and what it is fed."""

    def __init__(
        self,
        path: str,
        settings: Mapping[str, Any],
        shapes: Mapping[str, Sequence[int]],
        profile: str | None = None,
    ) -> None:
        load_onnxruntime()
        self.baseline = child.high_water()
        self._path, self._settings = path, Settings(**settings)
        self._shapes, self._feeds = shapes, dict[int, list[dict[str, Array]]]()
        folder = Path(profile) if profile else None
        start = time.perf_counter()
        self.session = open_session(path, settings=self._settings, profile=folder)
        self.seconds = time.perf_counter() - start
        self._signature = read_signature(self.session)

    def run(self, batch: int, seconds: float) -> list[float]:
        """The seconds of each run in a block of this length, of one run at least."""
        parts = self._feeds.get(batch) or self._feed(batch)
        found, start = list[float](), time.perf_counter()
        end, now = start + seconds, start
        while now < end or not found:
            for feeds in parts:
                self.session.run(None, feeds)
            last, now = now, time.perf_counter()
            found.append(now - last)
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The sizes of each input of a sample, in the file's own layout."""
        (parts, *_) = self._feeds.values()
        return {name: values.shape[1:] for name, values in parts[0].items()}

    def _feed(self, batch: int) -> list[dict[str, Array]]:
        """The inputs of a batch, a micro-batch each, the same in every process."""
        rng, specs = np.random.default_rng(_SEED), self._signature.inputs
        _check_names(self._path, self._shapes, [spec.name for spec in specs])
        drawn = {
            spec.name: _random(rng, spec, sizes_of(self._path, spec, batch, self._shapes))
            for spec in specs
        }
        fixed = any(isinstance(size, int) for spec in specs for size in spec.shape[:1])
        step = batch if fixed else self._settings.micro_batch or batch
        self._feeds[batch] = [
            {name: values[start : start + step] for name, values in drawn.items()}
            for start in range(0, batch, step)
        ]
        return self._feeds[batch]


def _check_names(path: str, shapes: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in shapes:
        if name not in names and (name or len(names) > 1):
            hint = did_you_mean(name, names)
            raise RuntimeFailure(f"{path} has no input named {name!r}", hint=hint)


def sizes_of(
    path: str, spec: TensorSpec, batch: int, shapes: Mapping[str, Sequence[int]]
) -> tuple[int, ...]:
    """The sizes of an input.

    Args:
        path: The file, for messages.
        spec: The input.
        batch: The samples.
        shapes: Sizes by the name of an input, or under an empty name, channels last.

    Raises:
        RuntimeFailure: The batch or a size is another in the file, or is not known.
    """
    fixed = spec.shape[0] if spec.shape else ANY
    if isinstance(fixed, int) and fixed != batch:
        raise RuntimeFailure(
            f"{path}: its batch is {fixed}, and {batch} is asked for",
            hint=f"--batch {fixed}; the batch was fixed when the file was compiled",
        )
    given = tuple(shapes.get(spec.name) or shapes.get("", ()))
    if given and spec.order == "channels first":
        given = (given[-1], *given[:-1])
    sizes = (batch, *(given or spec.shape[1:])) if spec.shape else ()
    known = tuple(size for size in sizes if isinstance(size, int))
    if len(known) == len(sizes) and spec.accepts(known):
        return known
    found = f"{list(given)} is given for a sample" if given else "its sizes are not given"
    raise RuntimeFailure(
        f"{path}: the input {spec.name} is {spec}, and {found}",
        hint="--input-shape gives sizes, channels last, such as 224,224,3",
    )


def _random(rng: np.random.Generator, spec: TensorSpec, sizes: tuple[int, ...]) -> Array:
    if spec.dtype.kind == "f":
        return rng.standard_normal(sizes, np.float32).astype(spec.dtype)
    return rng.integers(0, 2 if spec.dtype.kind == "b" else 128, sizes).astype(spec.dtype)


class _Server:
    """Does what the parent asks for."""

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None

    def load(self, **options: Any) -> dict[str, Any]:
        self._loaded = found = _Loaded(**options)
        return {"seconds": found.seconds, "baseline": found.baseline}

    def run(self, batch: int, seconds: float) -> list[float]:
        assert self._loaded
        return self._loaded.run(batch, seconds)

    def profile(self) -> dict[str, Any]:
        """End the profile, and say where it is, what ran, and on inputs of what sizes."""
        assert self._loaded
        session = self._loaded.session
        return {
            "path": session.end_profiling(),
            "provider": session.get_providers()[0],
            "shapes": self._loaded.shapes(),
        }


def serve() -> None:
    """Do what the parent asks for, until it is gone."""
    server = _Server()
    jobs: dict[str, Callable[..., Any]] = {
        "load": server.load,
        "run": server.run,
        "profile": server.profile,
    }
    child.serve(jobs, lambda error: f"onnxruntime cannot run it: {first_line(error)}")
