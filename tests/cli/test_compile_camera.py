"""``graphcnn compile --preprocess embed --postprocess topK``, and what inspect tells of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from graphcnn.cli.main import cli

MODEL = """
inputs: {image: [8, 10, 3]}
layers:
  - Rescaling: {scale: 0.0039}
  - Conv2D: {filters: 4, kernel_size: 3, padding: same}
  - GlobalAveragePooling2D
  - Dense: {units: 3, activation: softmax, name: scores}
classes: [cat, dog, cow]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text(MODEL)


def graphcnn(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_contract() -> None:
    done = graphcnn(
        "compile", "model.yaml", "--preprocess", "embed", "--camera-colors", "bgr",
        "--camera-size", "48x64", "--postprocess", "top2", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["targets"] == ["onnxruntime"]
    table = graphcnn("inspect", "model.onnx").stdout
    assert "image: uint8[N, 48, 64, 3] NHWC, BGR, 0 to 255, resized to 8x10" in table
    assert "scores_top2: float32[N, 2] NC, the highest scores" in table
    assert "scores_top2_classes: int64[N, 2] NC, the classes of scores_top2" in table
    assert "3: cat, dog, cow" in table
    found = json.loads(graphcnn("inspect", "model.onnx", "--json").stdout)
    assert found["inputs"][0] == {
        "name": "image",
        "dtype": "uint8",
        "shape": ["N", 48, 64, 3],
        "layout": "NHWC",
        "range": [0, 255],
        "colors": "BGR",
        "resized_to": [8, 10],
    }
    assert [row["classes_of"] for row in found["outputs"]] == [None, "scores_top2"]
    assert graphcnn("verify", "model.yaml", "model.onnx").exit_code == 0
    assert graphcnn("inspect", "model.onnx", "--target", "ncnn").exit_code == 1
    assert graphcnn("inspect", "model.onnx", "--target", "openvino,opencv,tract").exit_code == 0


def test_layout_is_the_camera_s_unless_it_is_given() -> None:
    for options, shape in (
        (["--preprocess", "embed"], ["N", 8, 10, 3]),
        (["--preprocess", "embed", "--input-layout", "nchw"], ["N", 3, 8, 10]),
        ([], ["N", 3, 8, 10]),
        (["--input-layout", "nhwc"], ["N", 8, 10, 3]),
    ):
        assert graphcnn("compile", "model.yaml", "--force", *options).exit_code == 0
        found = json.loads(graphcnn("inspect", "model.onnx", "--json").stdout)
        assert found["inputs"][0]["shape"] == shape


def test_target_is_told() -> None:
    assert "; for portable;" in graphcnn("compile", "model.yaml").stderr
    options = ("--force", "--preprocess", "embed")
    assert "; for onnxruntime;" in graphcnn("compile", "model.yaml", *options).stderr
    done = graphcnn("compile", "model.yaml", *options, "--target", "portable")
    assert "uint8 input: ncnn does not load it" in str(done.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--camera-colors", "bgr"], "are for --preprocess embed"),
        (["--camera-size", "4x4"], "are for --preprocess embed"),
        (["--preprocess", "scale"], "'scale' is not 'embed'"),
        (["--preprocess", "embed", "--camera-size", "480"], "such as 480x640, found '480'"),
        (["--preprocess", "embed", "--camera-size", "0x4"], "such as 480x640, found '0x4'"),
        (["--preprocess", "embed", "--camera-size", "4x4x3"], "such as 480x640"),
        (["--postprocess", "best"], "expected top and a number, found 'best'"),
        (["--postprocess", "top4"], "top4 of scores, which has 3 scores"),
    ],
)
def test_wrong_options(options: list[str], message: str) -> None:
    done = graphcnn("compile", "model.yaml", *options)
    assert done.exit_code != 0
    assert message in done.output + str(done.exception)
    assert not Path("model.onnx").exists()


def test_why_a_shift_stays_is_explained() -> None:
    text = MODEL.replace("0.0039}", "0.0078, offset: [-1.0, -0.9, -0.8]}")
    Path("model.yaml").write_text(text)
    options = ("--preprocess", "embed", "--camera-colors", "bgr", "--explain", "--validate")
    said = graphcnn("compile", "model.yaml", *options).stderr
    assert "rescaling: its shift is added first and stays: zero padding of conv2d" in said
    assert "fold-channel-order: image/rgb: put after rescaling/shift (ScaleShift)" in said
    assert "folded into the weights of conv2d (Conv2D)" in said


NEAREST = """
inputs: {image: [8, 10, 3]}
layers:
  - Rescaling: {scale: 0.00392156862745098}
  - Conv2D: {filters: 3, kernel_size: 1, use_bias: false, name: colors}
  - Flatten
  - Dense: {units: 4, name: scores}
classes: [cat, ship, frog, deer]
"""


def test_a_photo_is_recognised() -> None:
    """The network tells which of four photos is nearest: a score is p.x - |p|^2 / 2."""
    Path("model.yaml").write_text(NEAREST)
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (4, 8, 10, 3), np.uint8)
    rows = photos.reshape(4, -1).astype("f4") / 255
    weights = {
        "colors/kernel": np.eye(3, dtype="f4")[None, None],
        "scores/kernel": rows.T,
        "scores/bias": -(rows**2).sum(1) / 2,
    }
    np.savez("weights.npz", **weights)
    options = ["--preprocess", "embed", "--camera-colors", "bgr", "--postprocess", "top3"]
    done = graphcnn("compile", "model.yaml", "--weights", "weights.npz", *options)
    assert done.exit_code == 0, done.output
    for photo, name in zip(photos, ("cat", "ship", "frog", "deer"), strict=True):
        Image.fromarray(photo).save("photo.png")
        found = json.loads(graphcnn("run", "model.onnx", "photo.png", "--json").stdout)
        assert found["outputs"][0]["top"][0][0]["name"] == name
