"""The files of onnxruntime-web that a page loads, of a local install."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from graphcnn.errors import RuntimeFailure
from graphcnn.runtimes import Missing
from graphcnn.runtimes.node import OnnxRuntimeWeb, find_package, package_version

_OLDEST = (1, 20)

_FILES = {
    "ort.wasm.min.mjs": "ort.wasm.min.js",
    "ort-wasm-simd-threaded.mjs": "ort-wasm-simd-threaded.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}
"""By the name in the package that in the page's folder: servers give any .js its right type, and
some no .mjs."""


@dataclass(frozen=True, slots=True)
class WebRuntime:
    """An install of onnxruntime-web.

    Attributes:
        version: Its version.
        files: By the name in the page's folder, the file to copy there.
    """

    version: str
    files: dict[str, Path]


def find_web_runtime(folder: Path | None = None) -> WebRuntime:
    """Find what runs on a processor in any browser.

    Args:
        folder: The folder of the package; None for where npm has put it.

    Raises:
        Missing: It is not installed.
        RuntimeFailure: It is another package, is too old, or lacks a file.
    """
    name, install = OnnxRuntimeWeb.name, OnnxRuntimeWeb.install
    package = folder or find_package(name)
    if package is None or not (package / "package.json").is_file():
        where = f" in {folder}" if folder else ""
        hint = f"{install}, here or in a folder above; or --onnxruntime-web node_modules/{name}"
        raise Missing(f"the package {name} of npm is not installed{where}", hint=hint)
    try:
        version = package_version(package)
        numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RuntimeFailure(f"{package / 'package.json'} cannot be read: {error}") from None
    if numbers < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise RuntimeFailure(
            f"{package} has {name} {version:.40}, and a page needs {oldest} or newer",
            hint=f"{install}@latest",
        )
    files = {new: package / "dist" / old for old, new in _FILES.items()}
    lacking = [path.name for path in files.values() if not path.is_file()]
    if lacking:
        raise RuntimeFailure(
            f"{package} ({version:.40}) lacks {', '.join(lacking)} in its folder dist",
            hint=f"{install} writes it anew",
        )
    return WebRuntime(version, files)
