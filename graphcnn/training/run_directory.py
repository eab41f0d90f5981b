"""The directory of a run: what it was asked for, how it went, and the weights.

==================== ==========================================================================
``config.json``      the resolved configuration
``log.jsonl``        a line an epoch
``best.safetensors`` the weights of the best epoch so far
``last.safetensors`` the weights of the last epoch
``state.safetensors`` all that training goes on from: weights, the optimizer's variables, history
==================== ==========================================================================

Each file is replaced whole. The state is the truth: it is written after the best weights and before
the log and the last weights, which are made from it again when a run is resumed. So a run that is
killed between any two of them resumes from the last state, and ends as it would have.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphcnn.errors import TrainingError
from graphcnn.files import replacing
from graphcnn.options import shorten
from graphcnn.recipe.history import Record
from graphcnn.weights import WeightStore

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_HISTORY = "history"


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
        return self.path / "log.jsonl"

    @property
    def _config(self) -> Path:
        return self.path / "config.json"

    @property
    def _state(self) -> Path:
        return self.path / "state.safetensors"

    def start(self, config: Mapping[str, Any], force: bool) -> None:
        """Make the directory, empty of any earlier run.

        Raises:
            TrainingError: There is a run, and `force` is not given.
            ExportError: It cannot be written.
        """
        if self._config.exists() and not force:
            raise TrainingError(
                f"{self.path} holds a run already",
                hint="--resume goes on with it, --force replaces it, --run NAME names another",
            )
        if self.path.exists() and not self.path.is_dir():
            raise TrainingError(f"{self.path} is not a directory")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for file in (self._config, self._state, self.log, self.best, self.last):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror}") from error
        _write_text(self._config, json.dumps(config, indent=2) + "\n")

    def resume(self, config: Mapping[str, Any], chief: bool = True) -> State | None:
        """What to go on from: None where no epoch was finished.

        Args:
            config: What is asked for now.
            chief: Whether this process is the one that writes files.

        Raises:
            TrainingError: There is no run, or it was asked for something else.
        """
        if not self._config.is_file():
            raise TrainingError(
                f"{self.path} holds no run to go on with", hint="without --resume a new one starts"
            )
        if chief:
            self._sweep()
        _check_same(self._config, json.loads(json.dumps(config)))
        return self._read_state() if self._state.is_file() else None

    def save(self, state: State, last: WeightStore) -> None:
        """Keep an epoch; its weights are saved as the best before, if they are.

        Raises:
            ExportError: The disk is full, or cannot be written.
        """
        from safetensors.numpy import save_file

        with replacing(self._state) as partial:
            save_file(dict(state.arrays), partial, {_HISTORY: json.dumps(state.history)})
        self.write_derived(state, last)

    def write_derived(self, state: State, last: WeightStore) -> None:
        """Write what is made from a state: the log and the last weights."""
        _write_text(self.log, "".join(f"{json.dumps(record)}\n" for record in state.history))
        last.save(self.last)

    def _read_state(self) -> State:
        from safetensors import SafetensorError, safe_open

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

    def _sweep(self) -> None:
        """Remove what a killed process left half written."""
        for scratch in self.path.glob(".*.partial"):
            with suppress(OSError):
                shutil.rmtree(scratch)


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
    for key in sorted(known.keys() | config.keys()):
        _check_entry(key, known.get(key), config.get(key), path)


def _check_entry(key: str, before: Any, now: Any, path: Path) -> None:
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for inner in sorted(before.keys() | now.keys()):
            _check_entry(f"{key}.{inner}", before.get(inner), now.get(inner), path)
        return
    raise TrainingError(
        f"{path}: the run was started with {key} {shorten(before)}, and now it is {shorten(now)}",
        hint="go on with what it was started with, or start another: --run NAME",
    )
