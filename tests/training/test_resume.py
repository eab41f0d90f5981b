"""A run that is killed at any moment ends, resumed, as it would have; what differs is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import graphcnn.files
from graphcnn.datasets import Dataset
from graphcnn.errors import TrainingError
from graphcnn.recipe.history import Record, best_epoch
from graphcnn.weights import WeightStore

from .small import PLAIN, Quiet, dataset, graph_of, trained

EXACT = {
    "optimizer": {
        "adam": {
            "learning_rate": {"cosine_decay": {"initial_learning_rate": 0.02}},
            "use_ema": True,
            "ema_momentum": 0.9,
            "weight_decay": 0.001,
        }
    },
    "early_stopping": {"monitor": "val_loss", "patience": 3},
}
"""Moving averages of the weights, beside what `MODEL` has already."""

RANDOM = """
inputs: {image: [8, 8, 1]}
layers:
  - Rescaling: {scale: 0.004166666666666667}
  - RandomFlip
  - GaussianNoise: {stddev: 0.1}
  - Conv2D: {filters: 4, kernel_size: 3, strides: 3}
  - SpatialDropout2D: {rate: 0.2}
  - GaussianDropout: {rate: 0.2}
  - Flatten
  - AlphaDropout: {rate: 0.2}
  - Dense: {units: 10}
train:
  epochs: 2
  augmentation:
    - RandomFlip
    - {RandomRotation: {factor: 0.1}}
    - {RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}
    - {RandomZoom: {height_factor: 0.1}}
    - {RandomContrast: {factor: 0.1}}
    - {RandomBrightness: {factor: 0.1}}
    - {RandomCrop: {padding: 2}}
    - {RandomErasing: {factor: 0.5}}
"""
"""Everything that draws at random."""

BINARY = ("best.safetensors", "config.json", "last.safetensors")


def held(run: Path) -> dict[str, Any]:
    """All that a run holds, but for the seconds that epochs took."""
    lines = (run / "log.jsonl").read_text().splitlines()
    with safe_open(run / "state.safetensors", framework="numpy") as file:
        history = json.loads(file.metadata()["history"])
    state = load_file(run / "state.safetensors")
    return {
        "files": sorted(path.name for path in run.iterdir()),
        "log": timeless([json.loads(line) for line in lines]),
        "history": timeless(history),
        "state": {name: array.tobytes() for name, array in state.items()},
        **{name: (run / name).read_bytes() for name in BINARY},
    }


def timeless(history: Any) -> list[Record]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


@contextmanager
def photographed(run: Path, album: Path) -> Iterator[list[Path]]:
    """Copies of a run's directory, each as a file is complete and not yet in its place."""
    true = graphcnn.files.replacing
    found: list[Path] = []

    @contextmanager
    def replacing(target: Path) -> Iterator[Path]:
        with true(target) as partial:
            yield partial
            found.append(album / f"{len(found)}-{target.name}")
            shutil.copytree(run, found[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphcnn.files.replacing", replacing)
        patch.setattr("graphcnn.training.run_directory.replacing", replacing)
        yield found


Whole = tuple[Path, list[Path], list[Record]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A run that nothing happened to, how it looked on its way, and its history."""
    folder = tmp_path_factory.mktemp("whole")
    with photographed(folder / "run", folder) as moments:
        result = trained(folder / "run", changes=EXACT)
    assert result.stopped == "finished"
    assert result.best == best_epoch(result.history, None) == 4
    return folder / "run", moments, list(result.history)


class TestKilled:
    @pytest.mark.parametrize(
        ("before", "times", "finished"),
        [
            ("config.json", 1, 0),
            ("best.safetensors", 2, 2),
            ("state.safetensors", 4, 3),
            ("best.safetensors", 4, 4),
            ("last.safetensors", 4, 4),
            ("log.jsonl", 4, 4),
        ],
    )
    def test_at_any_moment(
        self, whole: Whole, before: str, times: int, finished: int, tmp_path: Path
    ) -> None:
        """The run is left as it was just before a file got its name for the so-many-th time."""
        run, moments, history = whole
        left = [path for path in moments if path.name.endswith(before)][times - 1]
        assert list(left.glob(".*.partial"))
        shutil.copytree(left, tmp_path / "run")
        progress = Quiet()
        result = trained(tmp_path / "run", changes=EXACT, resume=True, progress=progress)
        assert timeless(progress.before) == timeless(history[:finished])
        assert timeless(progress.records) == timeless(history[finished:])
        assert timeless(result.history) == timeless(history)
        assert held(tmp_path / "run") == held(run)

    def test_what_draws_at_random(self, tmp_path: Path) -> None:
        trained(tmp_path / "one", RANDOM)
        with pytest.raises(ZeroDivisionError):
            trained(tmp_path / "two", RANDOM, progress=Failing())
        result = trained(tmp_path / "two", RANDOM, resume=True)
        assert len(result.history) == 2
        assert held(tmp_path / "two") == held(tmp_path / "one")

    def test_a_run_that_had_ended(self, whole: Whole, tmp_path: Path) -> None:
        run, _, _ = whole
        shutil.copytree(run, tmp_path / "run")
        result = trained(tmp_path / "run", changes=EXACT, resume=True)
        assert (result.stopped, result.best) == ("finished", 4)
        assert held(tmp_path / "run") == held(run)

    def test_a_run_that_had_stopped_early(self, tmp_path: Path) -> None:
        changes = {
            "epochs": 5,
            "validation_split": 30,
            "early_stopping": {"min_delta": 100, "patience": 1},
        }
        first = trained(tmp_path / "run", PLAIN, changes=changes)
        assert (first.stopped, len(first.history)) == ("early", 2)
        progress = Quiet()
        again = trained(tmp_path / "run", PLAIN, changes=changes, resume=True, progress=progress)
        assert (again.stopped, progress.begun) == ("early", [])


class Failing(Quiet):
    """Fails once an epoch is kept."""

    def epoch(self, number: int, steps: int) -> None:
        if number == 2:
            raise ZeroDivisionError


def test_the_weights_of_the_averages_are_what_is_kept(whole: Whole) -> None:
    run, _, _ = whole
    last, state = load_file(run / "last.safetensors"), load_file(run / "state.safetensors")
    assert (last["scores/kernel"] != state["scores/kernel"]).any()
    assert (last["norm/moving_mean"] == state["norm/moving_mean"]).all()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which one epoch is finished."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    trained(folder, PLAIN, changes={"epochs": 1})
    return folder


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "text", "says"),
        [
            ({"epochs": 3}, PLAIN, "train.epochs 1, and now it is 3"),
            ({"optimizer": "sgd"}, PLAIN, "train.optimizer.adam"),
            (
                {"optimizer": {"adam": {"beta_1": 0.5}}},
                PLAIN,
                "train.optimizer.adam.beta_1 0.9, and now it is 0.5",
            ),
            ({"augmentation": ["RandomFlip"]}, PLAIN, "train.augmentation"),
            (
                {},
                PLAIN.replace("units: 10", "units: 10, kernel_initializer: zeros"),
                "kernel_initializer",
            ),
            ({}, PLAIN.replace("relu", "elu"), "activation=ELU"),
            ({}, f"{PLAIN}classes: [{', '.join('abcdefghij')}]\n", "classes"),
        ],
    )
    def test_another_configuration(
        self, begun: Path, changes: Mapping[str, Any], text: str, says: str
    ) -> None:
        before = held(begun)
        with pytest.raises(TrainingError) as caught:
            trained(begun, text, changes={"epochs": 1, **changes}, resume=True)
        assert str(caught.value).startswith(f"{begun / 'config.json'}: the run was started with ")
        assert says in caught.value.message
        assert caught.value.hint
        assert held(begun) == before

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            (lambda: dataset(299), "data.training 300, and now it is 299"),
            (lambda: dataset(300, 10), "data."),
            (lambda: other_pixel(), "data.sha256 "),
        ],
    )
    def test_other_data(self, begun: Path, data: Callable[[], Dataset], says: str) -> None:
        with pytest.raises(TrainingError) as caught:
            trained(begun, PLAIN, data(), changes={"epochs": 1}, resume=True)
        assert f"the run was started with {says}" in caught.value.message

    def test_other_first_weights(self, begun: Path) -> None:
        initial = WeightStore.random(graph_of(PLAIN).weights, 3)
        with pytest.raises(TrainingError, match=r"started with initial 'random, seed 0', and now"):
            trained(begun, PLAIN, changes={"epochs": 1}, resume=True, initial=initial)

    def test_other_frozen_layers(self, begun: Path) -> None:
        with pytest.raises(TrainingError, match=r"started with freeze \[\], and now it is \['conv"):
            trained(begun, PLAIN, changes={"epochs": 1}, resume=True, freeze=["conv*"])

    def test_a_new_run_where_one_is(self, begun: Path) -> None:
        before = held(begun)
        with pytest.raises(TrainingError) as caught:
            trained(begun, PLAIN, changes={"epochs": 1})
        assert caught.value.message.startswith(f"{begun} holds a run already")
        assert "--resume" in str(caught.value.hint)
        assert held(begun) == before

    def test_force(self, begun: Path, tmp_path: Path) -> None:
        shutil.copytree(begun, tmp_path / "run")
        result = trained(tmp_path / "run", PLAIN, changes={"seed": 1}, force=True)
        assert len(result.history) == 2
        assert json.loads((tmp_path / "run" / "config.json").read_text())["train"]["seed"] == 1
        assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("state.safetensors", b"\x08\0\0\0\0\0\0\0{}      "),
            ("state.safetensors", b"not one"),
            ("config.json", b"\xff"),
            ("config.json", b"[]"),
        ],
    )
    def test_damaged_files(self, begun: Path, tmp_path: Path, name: str, content: bytes) -> None:
        shutil.copytree(begun, tmp_path / "run")
        (tmp_path / "run" / name).write_bytes(content)
        with pytest.raises(TrainingError, match=name):
            trained(tmp_path / "run", PLAIN, changes={"epochs": 1}, resume=True)

    def test_a_file_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "run").touch()
        with pytest.raises(TrainingError, match="cannot be written"):
            trained(tmp_path / "run", PLAIN)

    def test_a_run_that_goes_on(self, begun: Path) -> None:
        import fcntl

        with (begun / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(TrainingError, match="another process trains in"):
                trained(begun, PLAIN, changes={"epochs": 1}, resume=True)


def other_pixel() -> Dataset:
    found = dataset()
    assert found.train
    x = found.train.x.copy()
    x[7, 3, 3, 0] ^= 1
    return replace(found, train=replace(found.train, x=x))


def test_resume_without_a_run_begins_one(tmp_path: Path) -> None:
    result = trained(tmp_path / "run", PLAIN, changes={"epochs": 1}, resume=True)
    assert len(result.history) == 1


def test_comments_and_names_of_the_file_do_not_matter(begun: Path, tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path / "run")
    text = "# A comment.\n" + PLAIN.replace("name: plain\n", "\nname: other\n")
    assert trained(tmp_path / "run", text, changes={"epochs": 1}, resume=True).best == 1
