"""``graphcnn bundle web``: what the page is told of a file, and what is refused before writing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner, Result

import graphcnn
from graphcnn.bundle import bundle_web
from graphcnn.bundle import web as web_module
from graphcnn.cli.main import cli
from graphcnn.errors import GraphCNNError

from .files import HOSTILE, file, runtime

MODEL = """
name: tiny
inputs: {image: [28, 28, 1]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, name: conv}
  - MaxPooling2D: {pool_size: 2, name: pool}
  - Flatten: {name: flat}
  - Dense: {units: 3, activation: softmax, name: scores}
classes: [cat, dog, cow]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODE_PATH", "")
    runtime(tmp_path / "node_modules" / "onnxruntime-web")
    return tmp_path


def invoke(line: str) -> Result:
    return CliRunner().invoke(cli, ["bundle", "web", *line.split()])


def page(folder: str = "site") -> str:
    return Path(folder, "index.html").read_text()


def told(folder: str = "site") -> Any:
    found = re.search('id="data">(.*?)</script>', page(folder), re.S)
    assert found
    return json.loads(found[1])


def test_a_model_of_ours() -> None:
    Path("tiny.yaml").write_text(MODEL)
    graphcnn.compile(graphcnn.load("tiny.yaml"), "tiny.onnx", taps=["all"])
    result = invoke("tiny.onnx -o site")
    assert result.exception is None, result.exception
    assert sorted(path.name for path in Path("site").iterdir()) == [
        "index.html",
        "model.onnx",
        "ort-wasm-simd-threaded.js",
        "ort-wasm-simd-threaded.wasm",
        "ort.wasm.min.js",
    ]
    assert Path("site/model.onnx").read_bytes() == Path("tiny.onnx").read_bytes()
    assert Path("site/ort.wasm.min.js").read_text() == "// ort.wasm.min.mjs"
    found = told()
    assert found["image"] == {
        "name": "image",
        "dtype": "float32",
        "layout": "NCHW",
        "height": 28,
        "width": 28,
        "colors": "grey",
    }
    assert found["scores"] == {
        "name": "scores",
        "indices": None,
        "count": 3,
        "kind": "softmax",
        "classes": ["cat", "dog", "cow"],
    }
    assert [item["name"] for item in found["maps"]] == ["conv", "pool"]
    assert found["unshown"] == ["flat"]
    for line in (
        "saved in site: 5 files, ",
        "  input    image: grey images of 28x28, float32, NCHW\n",
        "  output   scores: 3 scores\n",
        "  maps     conv, pool\n",
        "  unshown  flat\n",
        "  serve    python3 -m http.server --bind localhost --directory site\n",
    ):
        assert line in result.output
    assert "did not write it" not in result.output


def test_files_of_others() -> None:
    file(
        Path("m.onnx"),
        shape=(1, 12, 10, 3),
        layout="NHWC",
        dtype="uint8",
        head="top",
        taps=["conv", "last"],
        external=True,
        input_colors={"image": "BGR"},
    )
    result = invoke("m.onnx -o site")
    assert result.exception is None, result.exception
    assert "BGR images of 12x10, uint8, NHWC" in result.output
    assert "it is given raw pixels, 0 to 255" in result.output
    assert "top: the 3 highest scores" in result.output
    found = told()
    assert found["scores"]["indices"] == "top_classes"
    assert found["scores"]["kind"] == "softmax"
    assert found["maps"] == [
        {"name": "conv", "channels": "first"},
        {"name": "last", "channels": "last"},
    ]
    assert found["external"] == [{"path": "m.onnx.data", "url": "model.onnx.data0"}]
    data = Path("site/model.onnx.data0").read_bytes()
    assert data == Path("m.onnx.data").read_bytes()
    assert found["bytes"] == len(data) + Path("site/model.onnx").stat().st_size


@pytest.mark.parametrize(("head", "kind"), [("sigmoid", "sigmoid"), ("logits", "")])
def test_what_makes_the_scores(head: str, kind: str) -> None:
    made = bundle_web(file(Path("m.onnx"), head=head), "site")
    assert made.contract.scores.kind == kind
    assert not made.by_graphcnn


def test_scores_of_a_node_that_takes_nothing() -> None:
    model = onnx.load(file(Path("m.onnx"), head="logits"))
    (node,) = (node for node in model.graph.node if "logits" in node.output)
    node.op_type = "Cast"
    del node.input[:], node.attribute[:]
    onnx.save(model, "m.onnx")
    assert bundle_web("m.onnx", "site").contract.scores.kind == ""


def test_the_output_of_scores() -> None:
    file(Path("m.onnx"), taps=["flat"])
    assert invoke("m.onnx -o a").exception is None
    assert told("a")["scores"]["name"] == "softmax"
    file(Path("m.onnx"), head="logits", taps=["flat"])
    error = invoke("m.onnx -o b").exception
    assert isinstance(error, GraphCNNError)
    assert "several outputs may be the scores of classes: logits, flat" in str(error)
    assert "name one, as in --scores logits" in str(error)
    assert invoke("m.onnx -o b --scores flat").exception is None
    assert told("b")["scores"]["count"] == 40
    file(Path("m.onnx"), head="logits", taps=["flat"], classes=list("abcdefg"))
    assert invoke("m.onnx -o c").exception is None
    assert told("c")["scores"]["name"] == "logits"


def test_names_of_others_are_text_alone() -> None:
    file(Path("m.onnx"), count=3, classes=list(HOSTILE))
    assert invoke("m.onnx -o site").exception is None
    assert told()["scores"]["classes"] == list(HOSTILE)
    assert page().count("</script>") == 2
    assert "<img" not in page()
    policy = re.search('Policy" content="([^"]*)"', page())
    assert policy
    rules = dict(part.split(" ", 1) for part in policy[1].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == rules["worker-src"] == "'self'"
    assert re.fullmatch("'sha256-[^']*' 'self' 'wasm-unsafe-eval'", rules["script-src"])
    assert re.fullmatch("'sha256-[^']*'", rules["style-src"])
    assert not re.search("https?://(?!www.w3.org/2000/svg|localhost)", page())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "batch": ({"shape": (4, 3, 12, 10)}, "a batch of 4, and a page gives one image at a time"),
    "open": ({"shape": (1, 3, "H", "W")}, "H, W must be known"),
    "channels": ({"shape": (1, 5, 12, 10)}, "images have 1, 3 or 4 channels"),
    "pixels": ({"shape": (1, 3, 9000, 9000)}, "images have 1 to 16,777,216 pixels"),
    "classes": ({"classes": ["a", "b"]}, "has names of 2 classes, and scores 7"),
    "maps": ({"head": "conv"}, "gives no scores of classes: conv float32[N, 40, 10, 8]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, folder: Path) -> None:
    options, message = REFUSED[case]
    file(Path("m.onnx"), **options)
    before = sorted(folder.iterdir())
    error = invoke("m.onnx -o site").exception
    assert isinstance(error, GraphCNNError), error
    assert message in str(error)
    assert str(error).startswith("m.onnx: ")
    assert sorted(folder.iterdir()) == before


def test_all_that_is_wrong_is_said_at_once() -> None:
    file(Path("m.onnx"), shape=(4, 3, 12, 10), head="conv", external=True)
    Path("m.onnx.data").unlink()
    error = invoke("m.onnx -o site").exception
    assert isinstance(error, GraphCNNError)
    assert len(error.errors) == 3
    assert "its weights in m.onnx.data are missing" in str(error)


def test_other_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("m.onnx").write_bytes(b"no model")
    assert "is not an .onnx file" in str(invoke("m.onnx -o site").exception)
    assert "no such file" in str(invoke("none.onnx -o site").exception)
    file(Path("m.onnx"))
    assert "has no output named 'nothing'" in str(
        invoke("m.onnx -o site --scores nothing").exception
    )
    model = onnx.load("m.onnx")
    model.graph.input.append(onnx.helper.make_tensor_value_info("other", 1, [1, 3, 2, 2]))
    onnx.save(model, "two.onnx")
    assert "has 2 inputs (image, other)" in str(invoke("two.onnx -o site").exception)
    model = onnx.load("m.onnx")
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    onnx.save(model, "double.onnx")
    assert "a page gives float32 or uint8" in str(invoke("double.onnx -o site").exception)
    model = onnx.load("m.onnx")
    model.graph.node[0].op_type, model.graph.node[0].domain = "Fancy", "elsewhere"
    onnx.save(model, "unknown.onnx")
    error = str(invoke("unknown.onnx -o site").exception)
    assert "elsewhere.Fancy: onnxruntime-web was not tried with it" in error
    monkeypatch.setattr("graphcnn.bundle.contract._MOST_BYTES", 1000)
    assert "and a page loads 1,000 at most" in str(invoke("m.onnx -o site").exception)
    assert not (folder / "site").exists()


def test_links_out_of_the_folder(folder: Path) -> None:
    Path("inside").mkdir()
    file(Path("inside/m.onnx"), external=True)
    shutil.move("inside/m.onnx.data", "secret")
    Path("inside/m.onnx.data").symlink_to(folder / "secret")
    error = str(invoke("inside/m.onnx -o site").exception)
    assert "its weights in m.onnx.data are a link out of its folder" in error


def test_the_runtime(folder: Path) -> None:
    file(Path("m.onnx"))
    shutil.rmtree("node_modules")
    error = str(invoke("m.onnx -o site").exception)
    assert "the package onnxruntime-web of npm is not installed" in error
    assert "npm install onnxruntime-web" in error
    assert "not installed in elsewhere" in str(
        invoke("m.onnx -o site --onnxruntime-web elsewhere").exception
    )
    runtime(folder / "old", "1.17.3")
    error = str(invoke("m.onnx -o site --onnxruntime-web old").exception)
    assert "has onnxruntime-web 1.17.3, and a page needs 1.20 or newer" in error
    runtime(folder / "odd", [])
    error = str(invoke("m.onnx -o site --onnxruntime-web odd").exception)
    assert "package.json cannot be read" in error
    runtime(folder / "cut", lacking="ort-wasm-simd-threaded.wasm")
    error = str(invoke("m.onnx -o site --onnxruntime-web cut").exception)
    assert "lacks ort-wasm-simd-threaded.wasm in its folder dist" in error
    runtime(folder / "good", "1.20.1")
    assert invoke("m.onnx -o site --onnxruntime-web good").exception is None
    assert told()["runtime"] == "1.20.1"


def test_a_folder_is_filled_whole_or_not_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(Path("m.onnx"))
    Path("site").mkdir()
    Path("site/mine").write_text("mine")
    error = str(invoke("m.onnx -o site").exception)
    assert "site is not empty" in error
    before = sorted(folder.rglob("*"))
    real, copied = shutil.copyfile, []

    def interrupted(*arguments: Any) -> None:
        copied.append(real(*arguments))
        if len(copied) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(web_module.shutil, "copyfile", interrupted)
    assert isinstance(invoke("m.onnx -o site --force").exception, SystemExit | KeyboardInterrupt)
    assert sorted(folder.rglob("*")) == before
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert invoke("m.onnx -o site --force").exception is None
    assert Path("site/mine").read_text() == "mine"
    assert "is not a directory" in str(invoke("m.onnx -o m.onnx").exception)
    assert "mkdir -p no" in str(invoke("m.onnx -o no/site").exception)
    one = page()
    assert invoke("m.onnx -o again").exception is None
    assert page("again") == one
