"""A compilation that fails says why, and leaves the folder as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import graphcnn
from graphcnn import Graph, GraphCNNError, WeightStore
from graphcnn.errors import CheckFailed
from graphcnn.export import writer
from graphcnn.files import replacing
from graphcnn.weight_files import Weight

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


@contextmanager
def refused(folder: Path, match: str, kind: type[BaseException] = GraphCNNError) -> Iterator[Any]:
    """An error, after which the folder holds what it held before, byte for byte."""
    before = {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
    with pytest.raises(kind, match=match) as caught:
        yield caught
    after = {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
    assert after == before


def without(arrays: Arrays, name: str) -> Arrays:
    return {key: array for key, array in arrays.items() if key != name}


def poisoned(array: Array, value: float) -> Array:
    array = array.copy()
    array.flat[array.size // 2] = value
    return array


CHANGES: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "missing": (lambda a: without(a, "scores/bias"), r"weight scores/bias \[10\] is missing"),
    "extra": (lambda a: {**a, "scores/baas": a["scores/bias"]}, "weight scores/baas is not in"),
    "shape": (
        lambda a: {**a, "scores/bias": np.zeros(11, np.float32)},
        r"has shape \[11\], and the model needs \[10\]",
    ),
    "turned": (
        lambda a: {**a, "scores/kernel": a["scores/kernel"].T.copy()}, r"has shape \[10, 576\]"
    ),
    "dtype": (
        lambda a: {**a, "scores/bias": a["scores/bias"].astype(np.float64)},
        "weight scores/bias is float64, and the model needs float32",
    ),
    "half": (lambda a: {**a, "scores/bias": a["scores/bias"].astype(np.float16)}, "is float16"),
    "NaN": (
        lambda a: {**a, "one/conv/kernel": poisoned(a["one/conv/kernel"], np.nan)},
        "weight one/conv/kernel holds nan",
    ),
    "infinity": (
        lambda a: {**a, "scores/bias": poisoned(a["scores/bias"], -np.inf)},
        "weight scores/bias holds -inf",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["memory", "safetensors", "npz"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("external", ["never", "always"])
def test_wrong_weights(
    graph: Graph,
    out: Path,
    arrays: Arrays,
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    change: str,
    external: Any,
) -> None:
    make, message = CHANGES[change]
    weights: Any = WeightStore.from_arrays(make(arrays))
    if kind != "memory":
        weights = tmp_path_factory.mktemp("weights") / f"w.{kind}"
        if kind == "npz":
            np.savez(weights, **make(arrays))  # type: ignore[arg-type]
        else:
            save_file(make(arrays), weights)
    with refused(out.parent, message):
        graphcnn.compile(graph, out, weights=weights, external_data=external)


def test_everything_wrong_with_weights_comes_at_once(
    graph: Graph, out: Path, arrays: Arrays
) -> None:
    wrong = {**without(arrays, "scores/bias"), "scores/biaz": arrays["scores/bias"],
             "one/conv/bias": np.zeros((3, 3), np.float32)}  # fmt: skip
    with refused(out.parent, "weight one/conv/bias has") as caught:
        graphcnn.compile(graph, out, weights=WeightStore.from_arrays(wrong))
    assert [error.message.split()[1] for error in caught.value.errors] == [
        "one/conv/bias", "scores/bias", "scores/biaz",
    ]  # fmt: skip
    assert caught.value.errors[-1].hint == "did you mean scores/bias?"


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
@pytest.mark.parametrize("damage", ["empty", "short", "text", "head"])
def test_damaged_files(
    graph: Graph, out: Path, arrays: Arrays, tmp_path_factory: pytest.TempPathFactory,
    kind: str, damage: str,
) -> None:  # fmt: skip
    file = tmp_path_factory.mktemp("weights") / f"w.{kind}"
    np.savez(file, **arrays) if kind == "npz" else save_file(arrays, file)  # type: ignore[arg-type]
    raw = file.read_bytes()
    damaged = {
        "empty": b"",
        "short": raw[: len(raw) // 2],
        "text": b"hello",
        "head": b"\xff" * 64 + raw[64:],
    }
    file.write_bytes(damaged[damage])
    with refused(out.parent, f"w.{kind}: "):
        graphcnn.compile(graph, out, weights=file)


def test_damage_inside_an_npz(
    graph: Graph, out: Path, arrays: Arrays, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The array is damaged behind its header, which is found when it is read."""
    file = tmp_path_factory.mktemp("weights") / "w.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]
    raw = bytearray(file.read_bytes())
    place = raw.find(arrays["scores/kernel"].tobytes())
    assert place > 0
    raw[place + 20_000] ^= 255
    file.write_bytes(bytes(raw))
    with refused(out.parent, "weight scores/kernel cannot be read: Bad CRC-32"):
        graphcnn.compile(graph, out, weights=file)


def test_a_file_that_shrinks_after_it_was_checked(
    graph: Graph, out: Path, arrays: Arrays, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(arrays, file)
    store = WeightStore.read(file)
    os.truncate(file, file.stat().st_size // 2)
    with refused(out.parent, "cannot be read"):
        graphcnn.compile(graph, out, weights=store)


class Trap:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch /tmp/graphcnn-was-here",))


def test_pickles_are_not_opened(
    graph: Graph, out: Path, arrays: Arrays, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("weights") / "w.npz"
    objects = np.array([Trap()] * 10, object)
    np.savez(file, **{**arrays, "scores/bias": objects})  # type: ignore[arg-type]
    with refused(out.parent, "weight scores/bias is object, and the model needs float32"):
        graphcnn.compile(graph, out, weights=file)
    assert not Path("/tmp/graphcnn-was-here").exists()


def test_an_npz_with_another_kind_of_member(
    graph: Graph, out: Path, arrays: Arrays, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("weights") / "w.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("README.txt", "hello")
    with refused(out.parent, "not a readable .npz file"):
        graphcnn.compile(graph, out, weights=file)


@pytest.mark.parametrize(
    ("name", "message"),
    [("no.safetensors", "no such file"), ("w.h5", "no such file"),
     ("w", r"\(no ending\)")],
)  # fmt: skip
def test_weights_that_are_not_there(graph: Graph, out: Path, name: str, message: str) -> None:
    with refused(out.parent, message):
        graphcnn.compile(graph, out, weights=out.parent / name)


def test_a_weight_that_is_not_what_it_said(graph: Graph, out: Path, arrays: Arrays) -> None:
    store = dict(WeightStore.from_arrays(arrays))
    bias = store["scores/bias"]
    for lie, message in [
        (np.zeros(10, np.float64), "is float64, declared as float32"),
        (np.zeros(9, np.float32), r"was read as \[9\], declared as \[10\]"),
        (np.zeros(11, np.float32), r"was read as \[11\], declared as \[10\]"),
    ]:
        store["scores/bias"] = Weight(bias.shape, bias.dtype, lambda lie=lie: lie)  # type: ignore[misc]
        with refused(out.parent, message):
            graphcnn.compile(graph, out, weights=WeightStore(store, "a lie"))


def test_existing_files_need_force(graph: Graph, out: Path) -> None:
    out.write_text("precious")
    with refused(out.parent, "small.onnx exists") as caught:
        graphcnn.compile(graph, out)
    assert caught.value.hint == "--force replaces it (in Python, force=True)"
    graphcnn.compile(graph, out, force=True)
    assert out.stat().st_size > 1000


def test_existing_data_needs_force(graph: Graph, out: Path) -> None:
    data = out.with_name("small.onnx.data")
    data.write_text("precious")
    with refused(out.parent, "small.onnx.data exists"):
        graphcnn.compile(graph, out, external_data="always")
    graphcnn.compile(graph, out)
    assert data.read_text() == "precious"
    graphcnn.compile(graph, out, external_data="always", force=True)
    assert data.stat().st_size > 1000


def test_a_failure_leaves_what_was_there(graph: Graph, out: Path, arrays: Arrays) -> None:
    out.write_text("precious")
    arrays["scores/bias"][0] = np.nan
    with refused(out.parent, "holds nan"):
        graphcnn.compile(graph, out, weights=WeightStore.from_arrays(arrays), force=True)
    assert out.read_text() == "precious"


def test_a_folder_as_output(graph: Graph, out: Path) -> None:
    out.mkdir()
    for force in (False, True):
        with refused(out.parent, "is a directory"):
            graphcnn.compile(graph, out, force=force)


def test_a_folder_that_is_not_there(graph: Graph, out: Path) -> None:
    with refused(out.parent, "is not a directory") as caught:
        graphcnn.compile(graph, out.parent / "no" / "a.onnx")
    assert caught.value.hint == f"mkdir -p {out.parent / 'no'}"


def test_a_folder_that_is_a_file(graph: Graph, out: Path) -> None:
    out.write_text("a file")
    with refused(out.parent, "is not a directory"):
        graphcnn.compile(graph, out / "a.onnx")


@pytest.mark.parametrize("force", [False, True])
def test_devices_and_pipes_are_not_replaced(graph: Graph, out: Path, force: bool) -> None:
    os.mkfifo(out)
    with pytest.raises(GraphCNNError, match="is not a file"):
        graphcnn.compile(graph, out, force=force)
    assert out.is_fifo()
    with pytest.raises(GraphCNNError, match="/dev/null is not a file"):
        graphcnn.compile(graph, "/dev/null", force=force)
    assert Path("/dev/null").is_char_device()


def test_a_folder_that_cannot_be_written(
    graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*args: object, **kwargs: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", deny)
    with refused(out.parent, "small.onnx cannot be written: Permission denied"):
        graphcnn.compile(graph, out)


@pytest.mark.parametrize("external", ["never", "always"])
def test_a_disk_that_fills_up(
    graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch, external: Any
) -> None:
    def fill(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "_write_elements", fill)
    with refused(out.parent, "small.onnx cannot be written: No space left on device"):
        graphcnn.compile(graph, out, external_data=external)


def test_a_real_disk_that_is_full(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing to /dev/full fails as a full disk does."""
    from graphcnn.export import lower
    from graphcnn.passes import AssignLayout, run_passes

    placed, _ = run_passes(graph, [AssignLayout()])
    lowered = lower(placed, WeightStore.random(placed.weights, 0))
    with pytest.raises(OSError, match="No space left on device"):
        writer.write_model(writer.plan_file(lowered, Path("/dev/full"), "never"), Path("/dev/full"))


def test_a_disk_that_is_too_small(graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(100, 0, 100)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with refused(out.parent, "bytes, and 100 are free on its disk"):
        graphcnn.compile(graph, out)


@pytest.mark.parametrize("external", ["never", "always"])
def test_an_interrupt(graph: Graph, out: Path, external: Any) -> None:
    out.write_text("precious")

    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt("stop")

    with refused(out.parent, "^stop$", KeyboardInterrupt):
        graphcnn.compile(graph, out, external_data=external, progress=interrupt, force=True)


def test_a_check_that_does_not_hold(
    graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What onnxruntime finds wrong after all is written leaves nothing either."""

    def fail(*args: object) -> None:
        raise CheckFailed("output scores is wrong")

    monkeypatch.setattr("graphcnn.runtime.smoke._run", fail)
    with refused(out.parent, "output scores is wrong", CheckFailed) as caught:
        graphcnn.compile(graph, out)
    assert caught.value.exit_code == 1


def test_a_rename_that_fails(graph: Graph, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.replace", fail)
    with refused(out.parent, "cannot be written: Invalid cross-device link"):
        graphcnn.compile(graph, out)


def test_files_have_the_usual_mode(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out)
    mask = os.umask(0)
    os.umask(mask)
    assert out.stat().st_mode & 0o777 == 0o666 & ~mask


def test_replacing_moves_what_is_beside_it(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as partial:
        partial.write_text("a")
        partial.with_name("b").write_text("b")
        assert list(tmp_path.iterdir()) == [partial.parent]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_long_names(graph: Graph, out: Path) -> None:
    graphcnn.compile(graph, out.with_name("x" * 250 + ".onnx"))


def test_what_lowering_refuses_has_a_place(tmp_path: Path) -> None:
    model = tmp_path / "open.yaml"
    model.write_text(
        "inputs: {image: [H, W, 3]}\n"
        "layers:\n"
        "  - Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: same}\n"
        "  - GlobalAveragePooling2D\n"
    )
    with pytest.raises(graphcnn.GraphCNNError, match="depends on the size H") as caught:
        graphcnn.compile(graphcnn.load(model), tmp_path / "open.onnx")
    assert str(caught.value).startswith(f"{model}:3:5: conv2d (Conv2D): ")
    assert not (tmp_path / "open.onnx").exists()


def test_a_compile_that_is_terminated_leaves_nothing(tmp_path: Path) -> None:
    model = tmp_path / "large.yaml"
    model.write_text(
        "inputs: {x: [4096]}\nlayers: [{repeat: 8, layers: [Dense: {units: 4096, name: fc}]}]\n"
    )
    command = [sys.executable, "-m", "graphcnn", "compile", str(model)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE)
    while not any(path.suffix == ".partial" for path in tmp_path.iterdir()):
        assert child.poll() is None, child.stderr
        time.sleep(0.001)
    child.terminate()
    child.communicate()
    assert child.returncode == 143
    assert list(tmp_path.iterdir()) == [model]
