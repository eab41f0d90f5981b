"""Tuning a tiny network: what is chosen and written, on made-up timings and on real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import graphcnn
from graphcnn.errors import DataError, ExportError, GraphError
from graphcnn.quantization import Limit, Quality, Reference
from graphcnn.report.tuning import Candidate, TuneReport
from graphcnn.runtime.deploy import read_deployment
from graphcnn.runtime.settings import Settings
from graphcnn.tuning import tune

from .fakes import Fake

MODEL = """
name: tiny
inputs: {image: [8, 8, 2]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: first}
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: second}
  - Flatten: {name: flat}
  - Dense: {units: 3, activation: softmax, name: scores}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its weights, and data whose labels the float32 file tells right."""
    found = tmp_path_factory.mktemp("model")
    (found / "tiny.yaml").write_text(MODEL)
    graph = graphcnn.load(found / "tiny.yaml")
    store = graphcnn.WeightStore.random(graph.weights, 0)
    store.save(found / "tiny.safetensors")
    x = np.random.default_rng(0).standard_normal((80, 8, 8, 2)).astype(np.float32)
    graphcnn.compile(graph, found / "tiny.onnx", weights=store, input_layout="nhwc")
    scores = graphcnn.Session(found / "tiny.onnx").run(x)["scores"]
    y = scores.argmax(1)
    np.savez(found / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    np.save(found / "x.npy", x)
    return found


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """No profiler: no layer is slower in integers."""
    monkeypatch.setattr("graphcnn.tuning.variants.slower_in_integers", lambda *_: [])


def tuned(folder: Path, target: Path, measure: Fake | None = None, **options: object) -> TuneReport:
    arguments: dict[str, object] = {
        "weights": folder / "tiny.safetensors",
        "data": str(folder / "data.npz"),
        "limit": Limit("accuracy", 0.5),
    }
    if measure:
        arguments["measure"] = lambda clock: measure
    graph = graphcnn.load(folder / "tiny.yaml")
    return tune(graph, target, **arguments | options)  # type: ignore[arg-type]


def speeds(**by_precision: float) -> Callable[[Candidate], float]:
    """The seconds of a run by precision; one thread takes 0.9 of that, and no spinning 0.8."""

    def seconds(candidate: Candidate) -> float:
        settings = candidate.settings
        found = by_precision[candidate.variant.precision]
        found *= 0.9 if settings.threads == 1 else 1.0
        return found * (0.8 if not settings.spinning else 1.0)

    return seconds


@pytest.mark.usefixtures("fast")
def test_settings_that_gain_together_are_found(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    report = tuned(folder, target, Fake(speeds(fp32=1e-3, fp16=1e-3, int8=5e-4)))
    chosen = report.chosen.candidate
    assert (chosen.variant.precision, chosen.settings.spinning) == ("int8", False)
    model = onnx.load(target / "tiny.onnx")
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    deployment = read_deployment(target / "tiny.onnx")
    assert deployment
    assert deployment.settings == chosen.settings
    assert deployment.measured["times_float32"] == pytest.approx(2 / 0.9 / 0.8)
    assert graphcnn.Session(target / "tiny.onnx").settings == chosen.settings
    assert {path.name for path in target.iterdir()} == {
        *("tiny.onnx", "deploy.json", "candidates.json", "pareto.png"),
    }
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("fast")
def test_other_settings_are_tried_of_files_that_they_could_make_the_best(
    folder: Path, tmp_path: Path
) -> None:
    measure = Fake(speeds(fp32=1e-3, fp16=1e-4, int8=2e-3))
    tuned(folder, tmp_path / "out", measure)
    tried = {c.variant.precision for group, _, _ in measure.calls for c in group[1:]}
    with_settings = {
        c.variant.precision
        for group, _, _ in measure.calls
        for c in group
        if c.settings != Settings()
    }
    assert tried == {"fp32", "fp16", "int8"}
    assert "fp32" in with_settings
    assert "int8" not in with_settings


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("noise", [(1.0,), (0.9, 1.2), (0.5, 2.0)])
def test_what_is_not_faster_for_certain_is_not_chosen(
    folder: Path, tmp_path: Path, noise: tuple[float, ...]
) -> None:
    measure = Fake(lambda c: 1e-3 if c.variant.precision == "fp32" else 1.01e-3, noise)
    report = tuned(folder, tmp_path / "out", measure)
    assert report.chosen is report.base
    deployment = read_deployment(tmp_path / "out/tiny.onnx")
    assert deployment
    assert deployment.settings == Settings()
    assert "plain float32 with default settings is kept" in report.reason


@pytest.mark.usefixtures("fast")
def test_for_size_the_smallest_file_that_is_not_slower_is_written(
    folder: Path, tmp_path: Path
) -> None:
    measure = Fake(lambda c: 2e-3 if c.variant.precision == "int8" else 1e-3)
    report = tuned(folder, tmp_path / "out", measure, objective="size")
    assert report.chosen.candidate.variant.precision == "fp16"
    assert (tmp_path / "out/tiny.onnx").stat().st_size == report.chosen.candidate.variant.bytes


@pytest.mark.usefixtures("fast")
def test_for_throughput_micro_batches_are_tried(folder: Path, tmp_path: Path) -> None:
    def seconds(candidate: Candidate) -> float:
        return 1e-3 if candidate.settings.micro_batch == 8 else 2e-3

    measure = Fake(seconds)
    report = tuned(folder, tmp_path / "out", measure, objective="throughput")
    assert report.batch == 64
    assert report.chosen.candidate.settings.micro_batch == 8


def by_level(candidate: Candidate) -> float:
    settings = candidate.settings
    found = {"basic": 0.5, "extended": 0.8}.get(settings.optimization, 1.0)
    return 1e-3 * found


@pytest.mark.usefixtures("fast")
def test_quality_is_measured_again_with_settings_that_could_change_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = []

    def measure(
        self: Reference, path: Path, *rest: object, settings: Settings | None = None, **more: object
    ) -> Quality:
        if settings is None:
            return Quality(1.0, 100.0)
        applied.append(settings.optimization)
        return Quality(0.0 if applied == ["basic"] else 1.0, 100.0)

    monkeypatch.setattr(Reference, "measure", measure)
    report = tuned(folder, tmp_path / "out", Fake(by_level))
    assert applied[0] == "basic"
    dropped = [t for t in report.trials if t.dropped == "outside the budget with these settings"]
    assert [t.candidate.settings.optimization for t in dropped] == ["basic"]
    assert report.chosen not in (dropped[0], report.base)


@pytest.mark.parametrize("calls", range(4))
@pytest.mark.usefixtures("fast")
def test_out_of_time_it_decides_by_what_there_is(folder: Path, tmp_path: Path, calls: int) -> None:
    measure = Fake(speeds(fp32=1e-3, fp16=1e-3, int8=5e-4), calls=calls)
    report = tuned(folder, tmp_path / "out", measure)
    assert report.chosen is report.base
    assert "no time was left" in report.reason
    assert read_deployment(tmp_path / "out/tiny.onnx")


def test_without_any_time_the_float32_file_is_written(folder: Path, tmp_path: Path) -> None:
    report = tuned(folder, tmp_path / "out", time_limit=1e-6)
    assert report.chosen is report.base
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"tiny.onnx", "deploy.json", "candidates.json"}


@pytest.mark.usefixtures("fast")
def test_a_file_outside_the_budget_is_not_timed(folder: Path, tmp_path: Path) -> None:
    measure = Fake(speeds(fp32=1e-3, fp16=1e-4, int8=1e-4))
    report = tuned(
        folder, tmp_path / "out", measure, data=str(folder / "x.npy"), limit=Limit("snr", 200)
    )
    timed = {c.variant.precision for group, _, _ in measure.calls for c in group}
    assert timed == {"fp32"}
    reasons = {t.candidate.variant.label: t.dropped for t in report.trials if not t.ratio}
    assert reasons["fp16"] == "outside the budget: at least 200 dB"
    assert reasons.keys() > {"int8 minmax", "int8 percentile", "int8 entropy"}


def test_an_interrupt_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    class Interrupted(Fake):
        def __call__(self, *arguments: object) -> list[object]:  # type: ignore[override]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(folder, tmp_path / "out", Interrupted(speeds()), objective="throughput")
    assert not list(tmp_path.iterdir())


def test_bad_input_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labels"):
        tuned(folder, tmp_path / "out", data=str(folder / "x.npy"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    with pytest.raises(ExportError, match="not empty"):
        tuned(folder, tmp_path / "full")
    graph = graphcnn.load(folder / "tiny.yaml")
    graph.batch = 4
    with pytest.raises(GraphError, match="fixes its batch at 4, and 8"):
        tune(graph, tmp_path / "out", weights=folder / "tiny.safetensors", data="x.npy", batch=8)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_with_real_children(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    report = tuned(folder, target, time_limit=10)
    found = json.loads((target / "candidates.json").read_text())
    assert [item["chosen"] for item in found["candidates"]].count(True) == 1
    assert sum(item["base"] for item in found["candidates"]) == 1
    deployment = read_deployment(target / "tiny.onnx")
    assert deployment
    session = graphcnn.Session(target / "tiny.onnx")
    assert session.tuned
    assert session.settings == report.chosen.candidate.settings == deployment.settings
    (spec,) = session.inputs.values()
    assert session.run(np.zeros((3, *spec.shape[1:]), np.float32))["scores"].shape == (3, 3)
    chosen = report.chosen
    assert chosen is report.base or (chosen.ratio and chosen.ratio.low > 1)
