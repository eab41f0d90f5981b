"""Two processes that train together, on this machine, and one of them killed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from graphcnn.errors import TrainingError
from graphcnn.options import build
from graphcnn.recipe import Recipe

from .processes import Command, cluster, start, until
from .small import MODEL, PLAIN, dataset, trained, write_digits
from .test_resume import held

EPOCHS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("workers")
    (found / "model.yaml").write_text(MODEL)
    (found / "plain.yaml").write_text(PLAIN)
    write_digits(found / "digits.npz", test=10)
    return found


def together(folder: Path, model: str, *options: object) -> list[Command]:
    """A training by two workers."""
    arguments = ("train", model, "--data", "digits.npz", *options)
    # Each waits for the other in a thread of TensorFlow's.
    threads = {"TF_NUM_INTEROP_THREADS": "2"}
    return [start(folder, *arguments, environment={**env, **threads}) for env in cluster(2)]


def finished(workers: list[Command]) -> None:
    assert [worker.wait() for worker in workers] == [0, 0], workers[0].err.read_text()


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_the_loss_curve_is_that_of_one(folder: Path) -> None:
    """The batch is shared out; the last of an epoch, of 14 samples, as well."""
    split = {"validation_split": 30}
    workers = together(folder, "plain.yaml", "--set", "validation_split=30")
    finished(workers)
    one = trained(folder / "one", PLAIN, dataset(300, 10), changes=split)
    two = log(folder / "runs" / "plain")
    for mine, other in zip(one.history, two, strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy", "samples", "learning_rate"):
            assert other[key] == pytest.approx(mine[key], rel=1e-4, abs=1e-6), key
    last = load_file(folder / "runs" / "plain" / "last.safetensors")
    for name, array in load_file(folder / "one" / "last.safetensors").items():
        np.testing.assert_allclose(last[name], array, atol=1e-4, err_msg=name)
    chief, other_worker = (worker.err.read_text() for worker in workers)
    assert chief.count("epoch") == 3
    assert other_worker == ""


def test_one_is_killed_and_both_are_resumed(folder: Path) -> None:
    """With statistics, dropout and augmentation, what they end with is what they would have."""
    options = ("--epochs", EPOCHS, "--run")
    finished(together(folder, "model.yaml", *options, "whole"))
    workers = together(folder, "model.yaml", *options, "run", "--force")
    until((folder / "run" / "log.jsonl").is_file, *workers)
    workers[1].kill(signal.SIGKILL)
    assert workers[0].wait() == 2
    said = workers[0].err.read_text()
    assert "another worker is gone" in said
    assert "start all workers again with --resume" in said
    assert 1 <= len(log(folder / "run")) < EPOCHS
    finished(together(folder, "model.yaml", *options, "run", "--resume"))
    assert held(folder / "run") == held(folder / "whole")
    assert len(log(folder / "run")) == EPOCHS


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("{", "the cluster of TF_CONFIG cannot be joined"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}', "TF_CONFIG cannot be"),
    ],
)
def test_a_cluster_that_is_wrong(folder: Path, config: str, says: str) -> None:
    command = start(
        folder,
        *("train", "plain.yaml", "--data", "digits.npz", "--run", "none", "-o", "n.safetensors"),
        environment={"TF_CONFIG": config},
    )
    assert command.wait() == 2
    assert says in command.err.read_text()
    assert not (folder / "none").exists()


@pytest.mark.parametrize(
    ("changes", "last", "says"),
    [
        ({}, 1, "the last batch has 1 samples, fewer than the 2 replicas"),
        ({"batch_size": 1}, 1, "fewer than the 2 replicas"),
        ({"optimizer": {"sgd": {"clipnorm": 1.0}}}, 32, "clipnorm: 2 replicas would clip"),
    ],
)
def test_what_replicas_would_do_otherwise(changes: dict[str, Any], last: int, says: str) -> None:
    from graphcnn.training.replicas import check_replicas

    recipe = build(Recipe, changes)
    check_replicas(SimpleNamespace(num_replicas_in_sync=1), recipe, last)
    with pytest.raises(TrainingError, match=says):
        check_replicas(SimpleNamespace(num_replicas_in_sync=2), recipe, last)
