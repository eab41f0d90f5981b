"""Runs that do not reach their end: Ctrl-C, a loss that is no number, and a full disk."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from graphcnn.errors import CheckFailed, ExportError
from graphcnn.recipe.history import Record

from .small import PLAIN, Quiet, trained
from .test_resume import held

NAMES = ("best", "last", "state")


class Interrupting(Quiet):
    """Presses Ctrl-C in a step of an epoch, or as it is kept."""

    def __init__(self, epoch: int, kept: bool = False) -> None:
        super().__init__()
        self.at, self.kept = epoch, kept

    def steps(self, count: int, loss: float) -> None:
        if self.begun[-1] == self.at and not self.kept:
            signal.raise_signal(signal.SIGINT)

    def record(self, record: Record) -> None:
        if record["epoch"] == self.at:
            signal.raise_signal(signal.SIGINT)
        super().record(record)


class TestCtrlC:
    def test_within_an_epoch(self, tmp_path: Path) -> None:
        trained(tmp_path / "whole", PLAIN)
        result = trained(tmp_path / "run", PLAIN, progress=Interrupting(2))
        assert (result.stopped, result.best, len(result.history)) == ("interrupted", 1, 1)
        assert result.weights is not None
        best = load_file(tmp_path / "run" / "best.safetensors")
        assert result.weights.keys() == best.keys()
        np.testing.assert_array_equal(result.weights["conv/bias"].load(), best["conv/bias"])
        again = trained(tmp_path / "run", PLAIN, resume=True)
        assert (again.stopped, again.best) == ("finished", 2)
        assert held(tmp_path / "run") == held(tmp_path / "whole")

    def test_in_the_first_epoch(self, tmp_path: Path) -> None:
        result = trained(tmp_path / "run", PLAIN, progress=Interrupting(1))
        assert (result.stopped, result.best, result.weights) == ("interrupted", 0, None)
        names = {path.name for path in (tmp_path / "run").iterdir()}
        assert names == {".lock", "config.json"}

    def test_while_an_epoch_is_kept(self, tmp_path: Path) -> None:
        progress = Interrupting(1, kept=True)
        result = trained(tmp_path / "run", PLAIN, progress=progress)
        assert (result.stopped, result.best, len(result.history)) == ("interrupted", 1, 1)
        assert len(progress.records) == 1
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        for name in NAMES:
            assert (tmp_path / "run" / f"{name}.safetensors").is_file()

    def test_twice_is_at_once(self, tmp_path: Path) -> None:
        """The first waits for the end of the step."""
        passed = []

        class Impatient(Quiet):
            def steps(self, count: int, loss: float) -> None:
                signal.raise_signal(signal.SIGINT)
                passed.append(1)
                signal.raise_signal(signal.SIGINT)
                passed.append(2)

        assert trained(tmp_path / "run", PLAIN, progress=Impatient()).stopped == "interrupted"
        assert passed == [1]

    def test_where_it_is_ignored(self, tmp_path: Path) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            result = trained(tmp_path / "run", PLAIN, progress=Interrupting(1))
            assert result.stopped == "finished"
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGINT, before)


class TestNoNumber:
    def test_stops_with_the_epoch_and_the_step(self, tmp_path: Path) -> None:
        """The first step's loss is one of the first weights, which are good."""
        sgd = {"optimizer": {"sgd": {"learning_rate": 1e20}}}
        with pytest.raises(CheckFailed) as caught:
            trained(tmp_path / "run", PLAIN, changes=sgd)
        assert "in epoch 1, step 2" in caught.value.message or "step 3" in caught.value.message
        assert caught.value.message.startswith("the loss is ")
        assert caught.value.exit_code == 1
        assert "learning_rate" in str(caught.value.hint)

    def test_keeps_what_was_saved(self, tmp_path: Path) -> None:
        """The rate jumps after the first epoch."""
        jump = {"piecewise_constant_decay": {"boundaries": [12], "values": [0.01, 1e30]}}
        changes = {"optimizer": {"sgd": {"learning_rate": jump}}}
        with pytest.raises(CheckFailed, match=r"in epoch 2, step [345]\b"):
            trained(tmp_path / "run", PLAIN, changes=changes)
        for name in NAMES:
            arrays = load_file(tmp_path / "run" / f"{name}.safetensors")
            assert all(np.isfinite(array).all() for array in arrays.values())
        assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1

    def test_after_the_last_step(self, tmp_path: Path) -> None:
        """No loss tells of what the last step did to a weight that is punished so."""
        jump = {"piecewise_constant_decay": {"boundaries": [1], "values": [0.01, 1e38]}}
        sgd = {"sgd": {"learning_rate": jump}}
        changes = {"optimizer": sgd, "steps_per_epoch": 1, "epochs": 3}
        text = PLAIN.replace("activation: relu", "kernel_regularizer: {l2: 1e9}")
        with pytest.raises(CheckFailed) as caught:
            trained(tmp_path / "run", text, changes=changes)
        assert caught.value.message == "after epoch 3 conv/kernel is not finite"
        assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
        arrays = load_file(tmp_path / "run" / "state.safetensors")
        assert all(np.isfinite(array).all() for array in arrays.values())


class TestAFullDisk:
    @contextmanager
    def limited(self, most: int) -> Iterator[None]:
        """Let no file grow beyond so many bytes."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def test_leaves_the_earlier_files(self, tmp_path: Path) -> None:
        trained(tmp_path / "run", PLAIN, progress=Interrupting(2))
        before = held(tmp_path / "run")
        most = (tmp_path / "run" / "state.safetensors").stat().st_size - 1
        with self.limited(most), pytest.raises(ExportError) as caught:
            trained(tmp_path / "run", PLAIN, resume=True)
        assert "cannot be written" in caught.value.message
        assert held(tmp_path / "run") == before
