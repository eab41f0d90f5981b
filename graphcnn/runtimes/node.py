"""onnxruntime for JavaScript, in node: natively, and as the WebAssembly that a browser runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from .adapter import Adapter

_SCRIPT = Path(__file__).with_name("node.mjs")


class _NodeAdapter(Adapter):
    """A package of npm, in the nearest ``node_modules`` folder, one of NODE_PATH or node's own."""

    def missing(self) -> str | None:
        """See `Adapter.missing`."""
        return super().missing() if shutil.which("node") else f"install node; {self.install}"

    def _command(self) -> list[str]:
        package = find_package(self.packages[0][0], self.folder)
        return [shutil.which("node") or "node", str(_SCRIPT), str(package)]

    def _version(self, names: Sequence[str]) -> str | None:
        package = find_package(names[0], self.folder)
        return package_version(package) if package else None


def find_package(name: str, folder: Path | None = None) -> Path | None:
    """Where a package of npm lies.

    Args:
        name: What npm calls it.
        folder: The folder that it lies in; None for the ``node_modules`` of the working directory
            and the folders around it, those of NODE_PATH, and node's own.

    Returns:
        Its folder; None where it is not installed.
    """
    folders = [folder] if folder else _folders()
    found = (folder.resolve() / name for folder in folders)
    return next((path for path in found if (path / "package.json").is_file()), None)


def package_version(package: Path) -> str:
    """The version of a package of npm that lies in this folder."""
    found: str = json.loads((package / "package.json").read_text())["version"]
    return found


def _folders() -> Iterator[Path]:
    here = Path.cwd()
    yield from (folder / "node_modules" for folder in (here, *here.parents))
    yield from map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)))
    node = shutil.which("node")
    if node:
        yield Path(node).resolve().parents[1] / "lib" / "node_modules"


class OnnxRuntimeNode(_NodeAdapter):
    """onnxruntime-node."""

    name = "onnxruntime-node"
    packages = (("onnxruntime-node",),)
    install = "npm install onnxruntime-node"


class OnnxRuntimeWeb(_NodeAdapter):
    """onnxruntime-web, in WebAssembly, on one thread."""

    name = "onnxruntime-web"
    packages = (("onnxruntime-web",),)
    install = "npm install onnxruntime-web"
