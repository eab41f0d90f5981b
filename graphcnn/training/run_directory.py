"""The directory of a run: what it was asked for, how it went, and the weights.

==================== ==========================================================================
``config.json``      the resolved configuration
``log.jsonl``        a line an epoch
``best.safetensors`` the weights of the best epoch so far
``last.safetensors`` the weights of the last epoch
``state.safetensors`` all that training goes on from: weights, the optimizer's variables, history
==================== ==========================================================================

Each file is replaced whole. The state is the truth: it is written first, and the others are made
from it again when a run is resumed. So a run that is killed between any two of them resumes from
the last state, and ends as it would have.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphcnn.errors import TrainingError
from graphcnn.files import replacing
from graphcnn.options import shorten
from graphcnn.recipe.history import CONFIG, LOG, Record
from graphcnn.types import Array
from graphcnn.weights import WeightStore, save_arrays

_HISTORY = "history"

_LONGEST = 200
"""Characters of a setting that are shown: the line of a layer with its arguments is long."""


@dataclass(frozen=True, slots=True)
class State:
    """What training goes on from.

    Attributes:
        arrays: Every variable by name: the graph's weights, and the optimizer's.
        history: The records of the epochs so far.
    """

    arrays: Mapping[str, Array]
    history: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run's directory.

    Attributes:
        path: Where it is.
    """

    path: Path

    @property
    def best(self) -> Path:
        """The weights of the best epoch."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The weights of the last epoch."""
        return self.path / "last.safetensors"

    @property
    def log(self) -> Path:
        """A line an epoch."""
        return self.path / LOG

    @property
    def _config(self) -> Path:
        return self.path / CONFIG

    @property
    def _state(self) -> Path:
        return self.path / "state.safetensors"

    @contextmanager
    def opened(
        self, config: Mapping[str, Any], *, resume: bool, force: bool
    ) -> Iterator[State | None]:
        """Begin a run or go on with one, and keep other processes out of the directory meanwhile.

        Args:
            config: What is asked for now.
            resume: Go on with the run that is there, if one was begun.
            force: Replace the run that is there.

        Yields:
            What to go on from; None where no epoch was finished.

        Raises:
            TrainingError: There is a run and neither is given, it was asked for something else,
                another process is at it, or it cannot be written.
        """
        files = (self._config, self._state, self.log, self.best, self.last)
        if not (resume or force) and (found := [file.name for file in files if file.exists()]):
            raise TrainingError(
                f"{self.path} holds a run already: {', '.join(found)}",
                hint="--resume goes on with it, --force replaces it, --run DIR names another",
            )
        with self._locked():
            for scratch in self.path.glob(".*.partial"):
                shutil.rmtree(scratch, ignore_errors=True)
            if resume and self._config.is_file():
                _check_same(self._config, json.loads(json.dumps(config)))
                yield self._read_state()
                return
            self._start(config, files)
            yield None

    def followed(self, config: Mapping[str, Any], *, resume: bool) -> State | None:
        """What to go on from, for a process that does not write files.

        Raises:
            TrainingError: The run was asked for something else.
        """
        if not resume or not self._config.is_file():
            return None
        _check_same(self._config, json.loads(json.dumps(config)))
        return self._read_state()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The directory, held until this process ends, however it does."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("w")
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingError(
                    f"another process trains in {self.path}", hint="--run DIR names another run"
                ) from None
            except OSError:
                pass  # A shared disk that knows no locks is used without one.
            yield

    def _start(self, config: Mapping[str, Any], files: Sequence[Path]) -> None:
        """Empty the directory of an earlier run."""
        try:
            for file in files:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror}") from error
        _write_text(self._config, json.dumps(config, indent=2) + "\n")

    def save(self, state: State, weights: WeightStore, best: bool) -> None:
        """Keep an epoch.

        Args:
            state: What training goes on from.
            weights: The epoch's weights.
            best: Whether the epoch is the best so far.

        Raises:
            ExportError: The disk is full, or cannot be written.
        """
        save_arrays(self._state, state.arrays, {_HISTORY: json.dumps(state.history)})
        self.write_derived(state, weights, best)

    def write_derived(self, state: State, weights: WeightStore, best: bool) -> None:
        """Write what is made from a state, as `save` does."""
        if best:
            weights.save(self.best)
        weights.save(self.last)
        _write_text(self.log, "".join(f"{json.dumps(record)}\n" for record in state.history))

    def _read_state(self) -> State | None:
        from safetensors import SafetensorError, safe_open

        if not self._state.is_file():
            return None
        try:
            with safe_open(self._state, framework="numpy") as file:
                history = json.loads(file.metadata()[_HISTORY])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{self._state} cannot be read: {error}",
                hint="--force starts again, --init-from takes weights that are left",
            ) from error
        return State(arrays, tuple(history))


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text)


def _check_same(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was asked for something else."""
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
    known = before if isinstance(before, dict) else {}
    for key in {**known, **config}:
        _check_entry(key, known.get(key), config.get(key), path)


def _check_entry(key: str, before: Any, now: Any, path: Path) -> None:
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for inner in before | now:
            _check_entry(f"{key}.{inner}", before.get(inner), now.get(inner), path)
        return
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            _check_entry(f"{key}[{index}]", one, other, path)
        return
    raise TrainingError(
        f"{path}: the run was started with {key} {shorten(before, _LONGEST)}, "
        f"and now it is {shorten(now, _LONGEST)}",
        hint="go on with what it was started with, or start another: --run DIR",
    )
