"""``graphcnn bench``: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from graphcnn.cli.bench import command
from graphcnn.errors import ExportError, ModelFileError, RuntimeFailure
from tests.bench.models import write_network
from tests.bench.processes import gone

QUICK = ("--threads", "1", "--seconds", "0.1")


@pytest.fixture(autouse=True)
def _awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphcnn.bench.timing._ASLEEP", 0.0)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "network.onnx")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def printed(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


def refused(*arguments: object) -> BaseException:
    result = invoke(*arguments)
    assert result.stdout == ""
    assert result.exception is not None
    return result.exception


def test_files(network: Path) -> None:
    text = printed(network, network, "--batch", "8,1", *QUICK)
    head, _, *lines = text.splitlines()
    assert head.split()[:6] == ["file", "batch", "p50", "p90", "p99", "samples/s"]
    assert [line.split()[:2] for line in lines[:4]] == [
        [str(network), batch] for batch in ("1", "1", "8", "8")
    ]
    assert "the first file" in lines[0]
    assert " to " in lines[1]
    assert "threads 1, optimization all, spinning on, micro-batch all at once" in lines[4]


def test_json(network: Path) -> None:
    first, other = json.loads(printed(network, network, "--json", *QUICK))["files"]
    assert (first["file"], first["batch"], first["ratio"]) == (str(network), 1, None)
    assert first["p50_seconds"] <= first["p90_seconds"] <= first["p99_seconds"]
    assert first["samples_per_second"] > 0
    assert first["load_seconds"] > 0
    assert first["peak_bytes"] >= first["baseline_bytes"] > 0
    assert first["settings"]["threads"] == 1
    assert other["ratio"]["low"] <= other["ratio"]["value"] <= other["ratio"]["high"]


def test_settings_of_deploy_json(network: Path) -> None:
    from graphcnn.runtime.deploy import Deployment, write_deployment
    from graphcnn.runtime.settings import Settings

    settings = Settings(threads=2, optimization="basic", micro_batch=4)
    made = Deployment.of(network, settings, processor="p", measured={})
    write_deployment(network.parent, made)
    (found,) = json.loads(printed(network, "--json", *QUICK))["files"]
    assert found["settings"] == {
        "provider": "auto",
        "threads": 1,
        "optimization": "basic",
        "spinning": True,
        "micro_batch": 4,
    }


def test_a_fixed_batch(tmp_path: Path) -> None:
    path = write_network(tmp_path / "fixed.onnx", batch=4)
    (found,) = json.loads(printed(path, "--json", *QUICK))["files"]
    assert found["batch"] == 4
    error = refused(path, "--batch", "1,4", *QUICK)
    assert isinstance(error, RuntimeFailure)
    assert f"{path}: its batch is 4, and 1 is asked for" in str(error)


def test_open_sizes(tmp_path: Path) -> None:
    path = write_network(tmp_path / "open.onnx", height="H")
    error = refused(path, *QUICK)
    assert isinstance(error, RuntimeFailure)
    assert "--input-shape" in str(error)
    assert json.loads(printed(path, "--input-shape", "16,8,3", "--json", *QUICK))["files"]


def test_layers_and_their_picture(network: Path, tmp_path: Path) -> None:
    picture = tmp_path / "roof.png"
    text = printed(network, "--plot", picture, *QUICK)
    assert f"{network}, batch 1\nthis machine, by onnxruntime: " in text
    assert "conv/conv" in text
    assert "under the profiler" in text
    assert "the network reaches" in text
    assert text.endswith(f"saved in {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert isinstance(refused(network, "--plot", picture), ExportError)
    (found,) = json.loads(printed(network, "--plot", picture, "--force", "--json", *QUICK))["files"]
    assert set(found["roof"]) == {"float32", "int8", "bandwidth"}
    assert all(rate > 0 for rate in found["roof"].values())
    assert sum(layer["share"] for layer in found["layers"]) == pytest.approx(1)
    assert sum(layer["macs"] for layer in found["layers"]) == found["macs"] == 64 * 4 * 27 + 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "0"], "expected numbers of samples such as 1,8,64, found '0'"),
        (["--batch", "1,,2"], "expected numbers of samples"),
        (["--seconds", "0"], "'--seconds'"),
        (["--plot", "r.png", "--batch", "1,2"], "--plot draws one file at one batch"),
    ],
)
def test_usage(network: Path, options: list[str], message: str) -> None:
    result = invoke(network, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_another_kind_of_picture(network: Path) -> None:
    assert isinstance(refused(network, "--plot", "roof.gif"), ExportError)


def test_no_such_file(tmp_path: Path) -> None:
    error = refused(tmp_path / "no.onnx")
    assert isinstance(error, ModelFileError)
    assert "no such file" in str(error)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_no_child(network: Path, number: signal.Signals, status: int) -> None:
    arguments = ["bench", str(network), "--seconds", "60", "--threads", "1"]
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from graphcnn.cli.main import main; main()"
    parent = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)
    with parent:
        children = _children(parent.pid)
        parent.send_signal(number)
        assert parent.wait(30) == status
    assert all(map(gone, children))


def _children(pid: int) -> list[int]:
    """The processes that a process has started, once there is one."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    for _ in range(1200):
        if found := listed.read_text().split():
            return list(map(int, found))
        time.sleep(0.025)
    raise AssertionError("no child was started")
