"""What a recipe, weights to start from and frozen layers do to a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from graphcnn.datasets import Dataset
from graphcnn.datasets.dataset import Split
from graphcnn.errors import DataError, ErrorGroup, GraphCNNError, TrainingError
from graphcnn.weights import WeightStore

from .small import MODEL, PLAIN, Array, Quiet, dataset, digits, graph_of, trained

STILL = {"optimizer": {"sgd": {"learning_rate": 1e-44}}, "epochs": 1}
"""Nothing moves, so that figures are those of the first weights."""


def best(folder: Path) -> dict[str, Array]:
    found: dict[str, Array] = load_file(folder / "best.safetensors")
    return found


def same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    assert one.keys() == other.keys()
    return all((one[name] == other[name]).all() for name in one)


def test_seed(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        trained(tmp_path / name, PLAIN, changes={"epochs": 1, "seed": seed})
    one, two, three = (best(tmp_path / name) for name in ("one", "two", "three"))
    assert same(one, two)
    assert not any((one[name] == three[name]).all() for name in one)


class TestData:
    def test_validation(self, tmp_path: Path) -> None:
        """A share and its number are the same samples, none of which is trained on."""
        runs = {
            split: trained(
                tmp_path / str(split), PLAIN, changes={**STILL, "validation_split": split}
            )
            for split in (0.2, 60, 0)
        }
        records = {split: result.history[0] for split, result in runs.items()}
        assert records[60]["val_loss"] == records[0.2]["val_loss"]
        assert (records[60]["samples"], records[0]["samples"]) == (240, 300)
        assert "val_loss" not in records[0]
        whole = (240 * records[60]["loss"] + 60 * records[60]["val_loss"]) / 300
        assert whole == pytest.approx(records[0]["loss"], rel=1e-5)

    def test_nothing_is_augmented_in_validation(self, tmp_path: Path) -> None:
        changes = {**STILL, "validation_split": 60}
        (plain,) = trained(tmp_path / "a", PLAIN, changes=changes).history
        dark = {"augmentation": [{"RandomBrightness": {"factor": [-1.0, -1.0]}}]}
        (more,) = trained(tmp_path / "b", PLAIN, changes={**changes, **dark}).history
        assert more["val_loss"] == plain["val_loss"]
        assert more["loss"] == pytest.approx(np.log(10), rel=1e-5)
        assert plain["loss"] != pytest.approx(np.log(10), rel=1e-3)

    def test_every_epoch_and_every_layer_draws_anew(self, tmp_path: Path) -> None:
        """Of one image often over the order does not matter, and two flips alike would be none."""
        x, y = digits()
        one = Dataset("one", Split(np.repeat(x[:1], 99, 0), np.repeat(y[:1], 99, 0)), None, ())
        flip = {"RandomFlip": {"mode": "horizontal"}}
        losses = []
        for steps in ([], [flip, flip]):
            changes = {**STILL, "epochs": 2, "batch_size": 99, "augmentation": steps}
            history = trained(tmp_path / str(len(steps)), PLAIN, one, changes=changes).history
            losses.append([record["loss"] for record in history])
        (first, again), (flipped, differently) = losses
        assert first == pytest.approx(again)
        assert len({round(loss, 5) for loss in (first, flipped, differently)}) == 3

    def test_steps_of_an_epoch(self, tmp_path: Path) -> None:
        progress = Quiet()
        changes = {"steps_per_epoch": 3, "batch_size": 70}
        result = trained(tmp_path, PLAIN, progress=progress, changes=changes)
        assert [(r["epoch"], r["steps"], r["samples"]) for r in result.history] == [
            (1, 3, 210),
            (2, 3, 210),
        ]
        assert progress.done == 6

    def test_a_batch_that_is_not_full(self, tmp_path: Path) -> None:
        """Each sample counts alike in the loss of an epoch, in whatever batch it is."""
        (whole,) = trained(tmp_path / "a", PLAIN, changes={**STILL, "batch_size": 100}).history
        for size, steps in ((299, 2), (1000, 1), (1, 300)):
            changes = {**STILL, "batch_size": size}
            (record,) = trained(tmp_path / f"{size}", PLAIN, changes=changes).history
            assert (record["steps"], record["samples"]) == (steps, 300)
            assert record["loss"] == pytest.approx(whole["loss"], rel=1e-5)
            assert record["accuracy"] == pytest.approx(whole["accuracy"])

    @pytest.mark.parametrize(
        ("changes", "data", "says"),
        [
            ({"validation_split": 300}, dataset(), "validation_split 300 leaves nothing"),
            ({"validation_split": 0.001}, dataset(), "validation_split 0.001 of 300 samples is"),
            ({"steps_per_epoch": 11}, dataset(), "more than the 10 batches of 32"),
            ({}, Dataset("d.npz", None, dataset().train, ()), "d.npz: there is no training data"),
            ({"monitor": "val_loss"}, dataset(), "monitor: there will be no val_loss"),
            ({"monitor": "acuracy"}, dataset(), "monitor: there will be no acuracy"),
            ({"early_stopping": {}}, dataset(), "early_stopping: there will be no val_loss"),
            ({"class_weight": {10: 2}}, dataset(), "class_weight: there is no class 10"),
            ({"class_weight": {"cat": 2}}, dataset(), "class_weight: there is no class 'cat'"),
        ],
    )
    def test_what_does_not_fit(
        self, tmp_path: Path, changes: Mapping[str, Any], data: Dataset, says: str
    ) -> None:
        with pytest.raises((TrainingError, DataError)) as caught:
            trained(tmp_path / "run", PLAIN, data, changes=changes)
        assert says in caught.value.message
        assert not (tmp_path / "run").exists()

    def test_augmentation_of_what_is_no_image(self, tmp_path: Path) -> None:
        text = "inputs: {x: [64]}\nlayers: [Dense: {units: 10}]\n"
        x, y = digits()
        data = Dataset("flat", Split(x[:50].reshape(50, 64), y[:50]), None, ())
        with pytest.raises(TrainingError, match="images of rank 4, and the input is of rank 2"):
            trained(tmp_path, text, data, changes={"augmentation": ["RandomFlip"]})


class TestClassWeight:
    def test_names_indices_and_words(self, tmp_path: Path) -> None:
        """Of classes that count nothing no sample counts; a name of the model file will do."""
        names = [*"abcdefghij"]
        text = f"{PLAIN}classes: [{', '.join(names)}]\n"
        ones = {**STILL, "batch_size": 300}
        found = {}
        for key, classes, model in (("b", names, PLAIN), ("b", [], text), (1, [], PLAIN)):
            folder = tmp_path / f"{key}{len(classes)}{len(model)}"
            given = {**ones, "class_weight": {key: 0.0}}
            (record,) = trained(folder, model, dataset(classes=classes), changes=given).history
            found[folder.name] = record["loss"]
        assert len(found) == 3
        assert len(set(found.values())) == 1
        x, y = digits()
        others = y[:300] != 1
        data = Dataset("others", Split(x[:300][others], y[:300][others]), None, ())
        (record,) = trained(tmp_path / "o", PLAIN, data, changes=ones).history
        (loss,) = set(found.values())
        assert loss == pytest.approx(record["loss"] * others.mean(), rel=1e-5)

    def test_balanced(self, tmp_path: Path) -> None:
        x, y = digits()
        keep = np.concatenate([np.flatnonzero(y == 0)[:90], np.flatnonzero(y == 1)[:10]])
        data = Dataset("two", Split(x[keep], y[keep]), None, ())
        one = {**STILL, "batch_size": 100, "class_weight": "balanced"}
        two = {**one, "class_weight": {0: 100 / 180, 1: 5.0}}
        (balanced,) = trained(tmp_path / "a", PLAIN, data, changes=one).history
        (written,) = trained(tmp_path / "b", PLAIN, data, changes=two).history
        assert balanced["loss"] == pytest.approx(written["loss"], rel=1e-6)
        assert balanced["accuracy"] == written["accuracy"]

    def test_targets_have_no_classes(self, tmp_path: Path) -> None:
        data = Dataset("t", Split(digits()[0][:20], np.zeros((20, 10), np.float32)), None, ())
        with pytest.raises(TrainingError, match="class_weight: the data holds targets"):
            trained(tmp_path, PLAIN, data, changes={"class_weight": "balanced"})


def test_what_is_best(tmp_path: Path) -> None:
    """The last epoch without a validation split, and else what is monitored."""
    assert trained(tmp_path / "a", PLAIN).best == 2
    changes = {"validation_split": 60, "optimizer": {"sgd": {"learning_rate": 1e-44}}}
    assert trained(tmp_path / "b", PLAIN, changes=changes).best == 1


def test_class_names_go_with_the_weights(tmp_path: Path) -> None:
    names = tuple("abcdefghij")
    result = trained(tmp_path, PLAIN, dataset(classes=names), changes={"epochs": 1})
    assert result.weights is not None
    assert result.weights.classes == names
    for name in ("best", "last"):
        assert WeightStore.read(tmp_path / f"{name}.safetensors").classes == names


class TestInitFrom:
    def test_all(self, tmp_path: Path) -> None:
        initial = WeightStore.random(graph_of(PLAIN).weights, 9)
        progress = Quiet()
        trained(tmp_path / "run", PLAIN, changes=STILL, initial=initial, progress=progress)
        assert progress.notes == ("4 weights are taken over",)
        expected = {name: weight.load() for name, weight in initial.items()}
        assert same(best(tmp_path / "run"), expected)

    def test_a_part(self, tmp_path: Path) -> None:
        drawn = WeightStore.random(graph_of(PLAIN).weights, 9)
        given = {
            "conv/kernel": drawn["conv/kernel"].load(),
            "conv/bias": np.ones(4, np.float32),
            "head/bias": np.ones(7, np.float32),
        }
        progress = Quiet()
        initial = WeightStore.from_arrays(given)
        trained(tmp_path, PLAIN, changes=STILL, initial=initial, progress=progress)
        assert progress.notes == (
            "2 weights are taken over",
            "drawn anew: scores/kernel, scores/bias",
            "not in the model: head/bias",
        )
        found = best(tmp_path)
        assert (found["conv/kernel"] == given["conv/kernel"]).all()
        first = WeightStore.random(graph_of(PLAIN).weights, 0)
        assert (found["scores/kernel"] == first["scores/kernel"].load()).all()

    def test_none(self, tmp_path: Path) -> None:
        initial = WeightStore.from_arrays({"other/kernel": np.zeros(3, np.float32)})
        with pytest.raises(TrainingError) as caught:
            trained(tmp_path / "run", PLAIN, initial=initial)
        assert caught.value.message == "--init-from: none of its weights is in the model"
        assert caught.value.hint == (
            "it has other/kernel, the model conv/kernel, conv/bias, scores/kernel"
        )
        assert not (tmp_path / "run").exists()

    def test_another_shape(self, tmp_path: Path) -> None:
        initial = WeightStore.from_arrays({"conv/bias": np.zeros(3, np.float32)})
        with pytest.raises(ErrorGroup, match=r"weight conv/bias has shape \[3\], and the model"):
            trained(tmp_path, PLAIN, initial=initial)


class TestFreeze:
    def test_by_pattern(self, tmp_path: Path) -> None:
        """Statistics are kept too: a frozen normalization works as it does in inference."""
        progress = Quiet()
        changes = {"epochs": 1}
        trained(tmp_path, changes=changes, freeze=["conv", "n*"], progress=progress)
        assert progress.notes == ("frozen: conv, norm",)
        first, found = WeightStore.random(graph_of(MODEL).weights, 0), best(tmp_path)
        kept = {name for name in found if (found[name] == first[name].load()).all()}
        assert kept == {
            "conv/kernel",
            "norm/gamma",
            "norm/beta",
            "norm/moving_mean",
            "norm/moving_variance",
        }

    @pytest.mark.parametrize(
        ("pattern", "hint"), [("scroes", "did you mean scores?"), ("re_lu", None)]
    )
    def test_no_such_layer(self, tmp_path: Path, pattern: str, hint: str | None) -> None:
        with pytest.raises(TrainingError) as caught:
            trained(tmp_path / "run", freeze=[pattern])
        assert f"--freeze {pattern}: no layer with weights" in caught.value.message
        assert hint is None or caught.value.hint == hint
        assert not (tmp_path / "run").exists()

    def test_everything(self, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="there is nothing to train"):
            trained(tmp_path / "run", freeze=["*"])


class TestPrecision:
    @pytest.mark.parametrize(
        "ends", ["activation: softmax, name: scores}", "name: s}\n  - Softmax"]
    )
    def test_weights_stay_float32(
        self, tmp_path: Path, ends: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("graphcnn.training.keras_options.has_bfloat16", lambda: True)
        text = PLAIN.replace("activation: softmax, name: scores}", ends)
        changes = {"precision": "auto", "epochs": 8, "optimizer": {"adam": {"learning_rate": 0.01}}}
        result = trained(tmp_path / "run", text, dataset(600), changes=changes)
        assert result.history[-1]["accuracy"] > 0.85
        for name in ("best", "last", "state"):
            arrays = load_file(tmp_path / "run" / f"{name}.safetensors")
            assert {a.dtype.name for k, a in arrays.items() if ":" not in k} == {"float32"}
        config = (tmp_path / "run" / "config.json").read_text()
        assert '"compute": "mixed_bfloat16"' in config

    def test_is_float32_where_there_is_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("graphcnn.training.keras_options.has_bfloat16", lambda: False)
        for precision in ("auto", "float32"):
            trained(tmp_path / precision, PLAIN, changes={"precision": precision, "epochs": 1})
        assert same(best(tmp_path / "auto"), best(tmp_path / "float32"))


def test_a_layer_that_needs_xla(tmp_path: Path) -> None:
    """TensorFlow has no gradient of a dilated transposed convolution on a CPU but by XLA."""
    layer = "  - Conv2DTranspose: {filters: 2, kernel_size: 2, dilation_rate: 2, name: up}\n"
    text = PLAIN.replace("  - Flatten", f"{layer}  - Flatten")
    result = trained(tmp_path, text, changes={"validation_split": 20, "epochs": 1})
    assert result.weights is not None
    first = WeightStore.random(graph_of(text).weights, 0)["up/kernel"].load()
    assert (result.weights["up/kernel"].load() != first).any()


def test_a_mirrored_strategy_of_one_device(tmp_path: Path) -> None:
    trained(tmp_path / "one", changes={"epochs": 1})
    trained(tmp_path / "two", changes={"epochs": 1}, strategy="mirrored")
    one, two = best(tmp_path / "one"), best(tmp_path / "two")
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_multi_worker_without_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(GraphCNNError, match="TF_CONFIG, which is not set"):
        trained(tmp_path, PLAIN, strategy="multi-worker")
