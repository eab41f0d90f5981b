"""onnxruntime-web where it is meant to run: in a browser, without a window."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graphcnn.runtimes.node import OnnxRuntimeWeb, find_package
from tests.browser import chromium

_SITE = "http://localhost/"
"""No server: the browser's requests are answered here."""

_TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm"}

_RUN = """
async ({ feeds, outputs }) => {
  const { env, InferenceSession, Tensor } = await import("/ort.wasm.bundle.min.mjs");
  env.wasm.numThreads = 1;
  env.wasm.wasmPaths = "/";
  const read = async (name) => (await fetch(name)).arrayBuffer();
  const session = await InferenceSession.create(new Uint8Array(await read("/model")));
  const given = {};
  for (const [name, type, sizes, file] of feeds) {
    given[name] = new Tensor(type, new Float32Array(await read("/made/" + file)), sizes);
  }
  const found = await session.run(given, outputs);
  return outputs.map((name) => {
    const { type, dims, data } = found[name];
    return [name, type, dims, [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]];
  });
}
"""


class Chromium(OnnxRuntimeWeb):
    """onnxruntime-web in Chromium; inside of a ``with`` or not, it is closed at the end."""

    name = "onnxruntime-web in Chromium"

    def _ask(self, **request: Any) -> Any:
        made, package = Path(request["made"]), find_package("onnxruntime-web", self.folder)
        assert package

        def answer(route: Any) -> None:
            name = route.request.url.removeprefix(_SITE)
            if not name:
                route.fulfill(body="<title>graphcnn</title>", content_type="text/html")
                return
            folder = made if name.startswith("made/") else package / "dist"
            path = Path(request["path"]) if name == "model" else folder / name.removeprefix("made/")
            route.fulfill(body=path.read_bytes(), content_type=_TYPES.get(path.suffix))

        with ExitStack() as stack:
            page = stack.enter_context(chromium()).new_page()
            page.route("**/*", answer)
            page.goto(_SITE)
            rows = page.evaluate(_RUN, {key: request[key] for key in ("feeds", "outputs")})
        for place, row in enumerate(rows):
            row[3] = _written(made / f"out{place}.bin", bytes(row[3]))
        return rows


def _written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return path.name
