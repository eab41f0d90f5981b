"""Each runtime on a small network, and the ways in which one can go wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import graphcnn
from graphcnn.child import Crashed, Hung
from graphcnn.errors import RuntimeFailure
from graphcnn.runtimes import RUNTIMES, Adapter, Missing, find_runtime
from graphcnn.runtimes.child import _reason
from graphcnn.runtimes.ncnn import _cause
from graphcnn.runtimes.node import OnnxRuntimeNode
from tests.bench.processes import gone

from .fakes import Absent, Crashing, Exiting, Hanging, Narrow, Refusing, Wrong

IN_CI = ("onnxruntime", "openvino", "opencv", "tract")
"""What the extra ``test`` installs: without these the tests fail rather than pass them over."""

MODEL = """
name: small
inputs: {image: [9, 9, 2]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: conv}
  - MaxPooling2D: {pool_size: 2, name: pool}
  - DepthwiseConv2D: {kernel_size: 3, padding: same, name: depthwise}
  - Concatenate: {inputs: [pool, depthwise], name: both}
  - Flatten: {name: flat}
  - Dense: {units: 5, activation: softmax, name: scores}
outputs: [both, scores]
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.yaml").write_text(MODEL)
    graphcnn.compile(graphcnn.load(folder / "small.yaml"), folder / "small.onnx")
    return folder / "small.onnx"


def images(batch: int) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(batch).standard_normal((batch, 2, 9, 9), np.float32)
    return {"image": drawn}


def marked(name: str) -> object:
    absent = RUNTIMES[name]().missing() if name not in IN_CI else None
    reason = f"{name} is not installed: {absent}"
    return pytest.param(name, marks=pytest.mark.skipif(bool(absent), reason=reason))


@pytest.mark.parametrize("name", [marked(name) for name in RUNTIMES])
def test_gives_what_onnxruntime_gives(name: str, compiled: Path) -> None:
    session = graphcnn.Session(compiled, provider="cpu")
    with find_runtime(name)() as runtime:
        assert runtime.missing() is None
        assert runtime.version()
        for batch in (1, 3):
            found, expected = runtime.run(compiled, images(batch)), session.run(images(batch))
            assert list(found) == ["both", "scores"]
            for output, values in expected.items():
                assert found[output].dtype == np.float32
                np.testing.assert_allclose(found[output], values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", IN_CI)
def test_refuses_what_is_no_model(name: str, compiled: Path) -> None:
    damaged = compiled.with_name("damaged.onnx")
    data = compiled.read_bytes()
    damaged.write_bytes(data.replace(b"MaxPool", b"NoSuchX"))
    with pytest.raises(RuntimeFailure):
        find_runtime(name)().run(damaged, images(1))


def test_the_process_is_kept_in_a_context(compiled: Path) -> None:
    runtime = Wrong()
    with runtime:
        runtime.run(compiled, images(1))
        child = runtime._child
        assert child
        runtime.run(compiled, images(1))
        assert runtime._child is child
    assert gone(child._process.pid)
    runtime.run(compiled, images(1))
    assert runtime._child is None


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [(Crashing, -11, "killed by signal 11"), (Exiting, 3, "ended with 3: out of ideas")],
)
def test_a_crash(kind: type[Adapter], status: int, said: str, compiled: Path) -> None:
    with kind() as runtime:
        with pytest.raises(Crashed) as caught:
            runtime.run(compiled, images(3))
        assert caught.value.status == status
        assert said in caught.value.message
        assert set(runtime.run(compiled, images(1))) == {"both", "scores"}, "it starts again"


def test_a_hang(compiled: Path) -> None:
    with Hanging() as runtime:
        runtime.run(compiled, images(1))
        child = runtime._child
        assert child
        child._limit = 0.5
        with pytest.raises(Hung, match=r"hanging: no answer for 0.5 s"):
            runtime.run(compiled, images(3))
        assert gone(child._process.pid)


def test_a_refusal_is_one_line(compiled: Path) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        Refusing().run(compiled, images(3))
    assert str(caught.value) == "refusing: cannot run it: no kernel for this"
    assert not isinstance(caught.value, Crashed)


def test_the_cause_of_a_refusal_is_told() -> None:
    error = ValueError("no kernel\n\nCaused by:\n  an axis\n\nStack backtrace:\n 0: <tract>::msg")
    assert _reason(error) == "cannot run it: no kernel Caused by: an axis"
    said = (
        "pnnxparam = m.pnnx.param\n############# pass_level0 onnx \n"
        "shape_inference ...  ort failed: Foo is no operator\n\n"
    )
    done = subprocess.CompletedProcess[str]([], -11, "", said)
    assert _cause(done) == "shape_inference ...  ort failed: Foo is no operator"
    done.stderr = "pnnxparam = m.pnnx.param\n"
    assert _cause(done) == "exit status -11"


def test_shapes_are_its_own(compiled: Path) -> None:
    assert Narrow().run(compiled, images(3))["scores"].shape == (3, 2)


def test_other_inputs(compiled: Path) -> None:
    with pytest.raises(RuntimeFailure, match=r"its inputs are \['image'\], and \['photo'\]"):
        Wrong().run(compiled, {"photo": images(1)["image"]})


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(graphcnn.GraphCNNError, match="no such file"):
        Wrong().run(tmp_path / "none.onnx", images(1))


def test_missing(compiled: Path) -> None:
    assert Absent().missing() == "pip install no-such-package"
    with pytest.raises(Missing) as caught:
        Absent().run(compiled, images(1))
    assert "the runtime absent is not installed" in str(caught.value)
    assert caught.value.hint == "pip install no-such-package"


def test_missing_in_a_folder(tmp_path: Path) -> None:
    runtime = find_runtime("tract")(tmp_path)
    assert runtime.version() is None
    assert runtime.missing() == "pip install 'graphcnn[tract]'"


def test_an_unknown_runtime() -> None:
    with pytest.raises(RuntimeFailure, match="no runtime is named 'openvin'") as caught:
        find_runtime("openvin")
    assert caught.value.hint == "did you mean openvino?"


def test_packages_of_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODE_PATH", "")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert OnnxRuntimeNode().missing() == "install node; npm install onnxruntime-node"
    monkeypatch.setattr(shutil, "which", lambda name: f"/nowhere/bin/{name}")
    assert OnnxRuntimeNode().missing() == "npm install onnxruntime-node"
    package = tmp_path / "node_modules" / "onnxruntime-node"
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": "1.2.3"}))
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert OnnxRuntimeNode().version() == "1.2.3"
    assert OnnxRuntimeNode().missing() is None
    assert OnnxRuntimeNode(tmp_path / "elsewhere").missing() == "npm install onnxruntime-node"
