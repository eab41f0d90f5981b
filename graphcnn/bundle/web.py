"""A folder that any static server makes a page of, which runs a model in the browser."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from graphcnn.errors import ErrorGroup
from graphcnn.folders import check_folder, new_folder
from graphcnn.onnx_file import read_onnx_file
from graphcnn.onnx_file.fit import misfits
from graphcnn.onnx_structure import read_structure
from graphcnn.report.html import html_document
from graphcnn.targets import targets

from .contract import Contract, read_contract
from .web_runtime import WebRuntime, find_web_runtime

_SCRIPTS = (
    "basics.js",
    "pixels.js",
    "model.js",
    "results.js",
    "features.js",
    "image.js",
    "drawing.js",
    "camera.js",
    "main.js",
)

_ALLOWED = {
    "connect-src": "'self'",
    "img-src": "data:",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "worker-src": "'self'",
}
"""What the page loads: its own folder, and the icon that is in it. WebAssembly needs its word."""


@dataclass(frozen=True, slots=True)
class WebBundle:
    """What was written.

    Attributes:
        folder: The folder.
        contract: What the page gives the model, and what it shows.
        runtime: What runs it.
        sizes: The bytes of each file, by its name.
        by_graphcnn: Whether graphcnn wrote the model.
    """

    folder: Path
    contract: Contract
    runtime: WebRuntime
    sizes: dict[str, int]
    by_graphcnn: bool


def bundle_web(
    model: str | Path,
    folder: str | Path,
    runtime: str | Path | None = None,
    scores: str | None = None,
    force: bool = False,
) -> WebBundle:
    """Write a folder with a page that runs a model: the page, the model, and onnxruntime-web.

    Args:
        model: An .onnx file of one image input and an output of scores.
        folder: The folder to write.
        runtime: The folder of the package onnxruntime-web; None for where npm has put it.
        scores: The output of scores; None for the only one that can be.
        force: Whether files in the folder are replaced.

    Raises:
        ExportError: The folder cannot be written to, or is not empty and `force` is not given.
        ErrorGroup: onnxruntime-web does not take nodes of the file.
        ModelFileError: The file cannot be read, or is not of that kind.
        Missing: onnxruntime-web is not installed.
        RuntimeFailure: It is too old, or damaged.
    """
    target = Path(folder)
    check_folder(target, force)
    file = read_onnx_file(model)
    contract = read_contract(file, scores)
    _check_fit(file.path)
    web = find_web_runtime(Path(runtime) if runtime else None)
    parts = {place: f"model.onnx.data{number}" for number, place in enumerate(file.external)}
    copied = {
        "model.onnx": file.path,
        **{name: file.path.parent / place for place, name in parts.items()},
        **web.files,
    }
    data = {
        **asdict(contract),
        "file": file.path.name,
        "bytes": file.bytes,
        "external": [{"path": place, "url": name} for place, name in parts.items()],
        "runtime": web.version,
    }
    page = html_document(
        files(f"{__package__}.page"), _SCRIPTS, data, contract.name, allowed=_ALLOWED
    )
    with new_folder(target, force) as partial:
        for name, path in copied.items():
            shutil.copyfile(path, partial / name)
        (partial / "index.html").write_text(page, encoding="utf-8")
        sizes = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
    return WebBundle(target, contract, web, sizes, file.by_graphcnn)


def _check_fit(path: Path) -> None:
    found = misfits(read_structure(path), targets("onnxruntime-web"))
    if found:
        raise ErrorGroup(item.error for item in found)
