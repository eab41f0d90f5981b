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
        package = self._package(self.packages[0][0])
        return [shutil.which("node") or "node", str(_SCRIPT), str(package)]

    def _version(self, names: Sequence[str]) -> str | None:
        package = self._package(names[0])
        if package is None:
            return None
        found: str = json.loads((package / "package.json").read_text())["version"]
        return found

    def _package(self, name: str) -> Path | None:
        folders = [self.folder] if self.folder else _folders()
        found = (folder.resolve() / name for folder in folders)
        return next((path for path in found if (path / "package.json").is_file()), None)


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
