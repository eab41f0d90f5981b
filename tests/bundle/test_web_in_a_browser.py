"""The page in headless Chromium, end to end: against onnxruntime on the same pixels."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import graphcnn
from graphcnn.bundle import bundle_web
from graphcnn.runtimes.node import find_package
from graphcnn.scoring import class_probabilities
from tests.browser import chromium

from .files import HOSTILE, file, nearest

TIMES = "\N{MULTIPLICATION SIGN}"
CAMERA = "--use-fake-device-for-media-stream"

SHIFTS = """
() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shifted += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}
"""

GIVE = """
([kind, bytes, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name));
  const given = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  const event = kind === "paste" ? new ClipboardEvent(kind, given) : new DragEvent(kind, given);
  document.body.dispatchEvent(event);
}
"""
"""Drops or pastes a file."""

PIXELS = """
(canvas) => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return [...copy.getImageData(0, 0, width, height).data];
}
"""

Point = tuple[float, float]
DIGITS: dict[str, list[list[Point]]] = {
    "7": [[(0.25, 0.2), (0.72, 0.2), (0.6, 0.46), (0.5, 0.8)]],
    "3": [
        [(0.3, 0.22), (0.47, 0.16), (0.66, 0.23), (0.66, 0.38), (0.46, 0.47)],
        [(0.46, 0.47), (0.68, 0.55), (0.7, 0.72), (0.5, 0.82), (0.29, 0.75)],
    ],
    "1": [[(0.9, 0.6), (0.9, 0.9)]],
}
"""Strokes by what they should be taken for, as shares of the field's side."""


@pytest.fixture(scope="module")
def package() -> Path:
    found = find_package("onnxruntime-web")
    if found is None:
        pytest.skip("npm install onnxruntime-web, here or where NODE_PATH names its node_modules")
    return found


@pytest.fixture(scope="module")
def browser(package: Path) -> Iterator[Any]:
    with chromium(CAMERA) as launched:
        yield launched


class Quiet(SimpleHTTPRequestHandler):
    """What ``python -m http.server`` runs, without its log; ``/isolated/`` isolates the page."""

    def log_message(self, *_: Any) -> None:
        pass

    def end_headers(self) -> None:
        if "/isolated/" in self.path:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that it is served at."""
    folder = tmp_path_factory.mktemp("served")
    with ThreadingHTTPServer(
        ("localhost", 0), functools.partial(Quiet, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


Opened = Callable[..., Any]


@pytest.fixture
def opened(
    browser: Any, package: Path, served: tuple[Path, str], tmp_path: Path
) -> Iterator[Opened]:
    """Opens the page of a file; no script may fail, and nothing of others may be loaded."""
    folder, address = served
    wrong: list[str] = []
    contexts: list[Any] = []

    def open_page(model: Path, into: str = "", state: str = "ready", **options: Any) -> Any:
        place = f"{into}{tmp_path.name}/{model.stem}"
        if not (folder / place).exists():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            bundle_web(model, folder / place, package)
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on(
            "request",
            lambda asked: asked.url.startswith((address, "data:")) or wrong.append(asked.url),
        )
        page.goto(f"{address}/{place}/")
        page.wait_for_selector(f"html[data-state={state}]", state="attached", timeout=20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def wait(page: Any, condition: str) -> None:
    """Wait for a condition; as a function, for the page's policy lets no text be run."""
    page.wait_for_function(f"() => {condition}")


def says(page: Any, best: str) -> None:
    wait(page, f"document.getElementById('best').innerText === '{best}'")


def picture(path: Path, height: int, width: int, channels: int) -> Path:
    drawn = np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)
    Image.fromarray(drawn.squeeze()).save(path)
    return path


def expected(model: Path, image: Path) -> dict[str, Any]:
    """What onnxruntime gives for an image."""
    return graphcnn.Session(model, provider="cpu").run(image)


def upload(page: Any, image: Path) -> None:
    runs = page.evaluate("document.documentElement.dataset.runs ?? 0")
    page.get_by_role("tab", name="Image").click()
    page.locator("#file").set_input_files(image)
    wait(page, f"document.documentElement.dataset.runs > {runs}")


def shown(page: Any) -> dict[str, float]:
    """All classes with their probabilities."""
    more = page.locator("#more")
    if more.is_visible() and more.get_attribute("aria-expanded") == "false":
        more.click()
    rows = page.locator("#classes li").all()
    return {
        row.locator(".name").inner_text(): float(row.locator("data").get_attribute("value"))
        for row in rows
    }


def draw(page: Any, strokes: Sequence[Sequence[Point]]) -> None:
    box = page.locator("#field").bounding_box()
    for stroke in strokes:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nearest(tmp_path_factory.mktemp("nearest") / "digits.onnx")


def test_digits_drawn_are_recognised_which_needs_a_browser(opened: Opened, digits: Path) -> None:
    page = opened(digits)
    page.evaluate(SHIFTS)
    assert page.title() == "nearest digit"
    assert page.get_by_role("tab").all_inner_texts() == ["Draw", "Image", "Camera"]
    for digit, strokes in DIGITS.items():
        draw(page, strokes)
        says(page, digit)
        share = "document.querySelector('#classes data').innerText"
        wait(page, f"document.getElementById('said').innerText === '{digit}, ' + {share}")
        assert page.locator("#time").inner_text().endswith(" ms")
        assert page.locator("#note").inner_text() == "Softmax of the model's logits."
        page.get_by_role("button", name="Clear").click()
        assert page.locator("#best").inner_text() == "\N{EN DASH}"
    assert page.evaluate("window.shifted") == 0


def test_a_drawing_is_centred_as_mnist_is_which_needs_a_browser(
    opened: Opened, digits: Path
) -> None:
    page = opened(digits)
    small = [[(x / 3, y / 3) for x, y in stroke] for stroke in DIGITS["7"]]
    fields = []
    for strokes in (DIGITS["7"], small):
        draw(page, strokes)
        says(page, "7")
        page.wait_for_timeout(100)
        pixels = page.locator("#seen").evaluate(PIXELS)
        grey = np.array(pixels, np.float64).reshape(28, 28, 4)[..., 0]
        rows, columns = (np.flatnonzero(grey.max(axis=axis) > 127) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20, 21)
        centre = (np.arange(28) + 0.5) @ grey.sum(axis=1), (np.arange(28) + 0.5) @ grey.sum(axis=0)
        assert np.allclose(np.array(centre) / grey.sum(), 14, atol=0.2)
        fields.append(grey)
        page.get_by_role("button", name="Clear").click()
    assert np.abs(fields[0] - fields[1]).mean() < 5, "a small digit and a large one look alike"


def test_drawing_with_keys_which_needs_a_browser(opened: Opened, digits: Path) -> None:
    page = opened(digits)
    page.focus("#field")
    page.keyboard.press("ArrowUp")
    assert page.locator("#clear").is_disabled()
    for key, times in (("ArrowUp", 7), ("ArrowLeft", 6), (" ", 1), ("ArrowRight", 12)):
        for _ in range(times):
            page.keyboard.press(key)
    for key in (*["ArrowDown"] * 5, *["ArrowLeft", "ArrowDown", "ArrowDown"] * 5, " "):
        page.keyboard.press(key)
    page.keyboard.press("ArrowRight")
    says(page, "7")
    assert page.locator("#pen").inner_text() == "Pen up"
    page.focus("#draw-tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("#image-panel").is_visible()
    page.keyboard.press("ArrowLeft")
    says(page, "7")


KINDS: dict[str, dict[str, Any]] = {
    "float": {},
    "uint8": {"dtype": "uint8"},
    "last": {"shape": ("N", 12, 10, 3), "layout": "NHWC"},
    "uint8-last-bgr": {
        "shape": (1, 12, 10, 3),
        "layout": "NHWC",
        "dtype": "uint8",
        "input_colors": {"image": "BGR"},
    },
    "bgr": {"input_colors": {"image": "BGR"}},
    "grey": {"shape": (1, 1, 12, 10)},
    "alpha": {"shape": (1, 4, 12, 10)},
    "logits": {"head": "logits"},
    "int8": {"quantized": True, "count": 3},
    "external": {"external": True},
    "two": {"head": "sigmoid", "count": 1, "classes": ["no", "yes"]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_of_onnxruntime_which_needs_a_browser(
    opened: Opened, tmp_path: Path, kind: str
) -> None:
    options = KINDS[kind]
    model = file(tmp_path / f"{kind}.onnx", **options)
    page = opened(model)
    channels = 1 if kind == "grey" else 3
    # Of these Pillow 12 and later resizes rows first too, as the page and earlier ones always do.
    for height, width in ((12, 10), (9, 31), (40, 31)):
        image = picture(tmp_path / "noise.png", height, width, channels)
        upload(page, image)
        values = expected(model, image)
        shares = class_probabilities(next(iter(values.values())))[0]
        names = options.get("classes") or [f"class {i}" for i in range(len(shares))]
        found = shown(page)
        # A value between two integers of 8 bits can become either.
        near = 5e-3 if kind == "int8" else 1e-6
        assert found == pytest.approx(dict(zip(names, shares, strict=True)), abs=near)
        assert list(found.values()) == sorted(found.values(), reverse=True)
    note = "Softmax of the model's logits." if kind == "logits" else ""
    assert page.locator("#note").inner_text() == note


def test_colours_are_not_grey_by_chance_which_needs_a_browser(
    opened: Opened, tmp_path: Path
) -> None:
    model = file(tmp_path / "grey.onnx", shape=(1, 1, 12, 10))
    page = opened(model)
    image = picture(tmp_path / "colours.png", 12, 10, 3)
    upload(page, image)
    (values,) = expected(model, image).values()
    found = [shown(page)[f"class {i}"] for i in range(7)]
    assert found == pytest.approx(values[0], abs=1e-6)
    page.get_by_label("Swap black and white").check()
    wait(page, "document.documentElement.dataset.runs > 1")
    assert [shown(page)[f"class {i}"] for i in range(7)] != pytest.approx(values[0], abs=1e-3)


def test_top_classes_and_independent_ones_which_needs_a_browser(
    opened: Opened, tmp_path: Path
) -> None:
    image = picture(tmp_path / "noise.png", 12, 10, 3)
    names = [f"name {i}" for i in range(7)]
    model = file(tmp_path / "top.onnx", head="top", classes=names)
    page = opened(model)
    upload(page, image)
    values = expected(model, image)
    best = [names[i] for i in values["top_classes"][0]]
    assert shown(page) == pytest.approx(dict(zip(best, values["top"][0], strict=True)), abs=1e-6)
    assert "tells 7 classes apart" in page.locator("#about").inner_text()
    model = file(tmp_path / "each.onnx", head="sigmoid")
    page = opened(model)
    upload(page, image)
    (shares,) = expected(model, image).values()
    each = {f"class {i}": share for i, share in enumerate(shares[0])}
    assert shown(page) == pytest.approx(each, abs=1e-6)
    assert page.locator("#note").inner_text() == "Each class has a probability of its own."


EMBEDDED = """
inputs: {image: [12, 10, 3]}
layers:
  - Rescaling: {scale: 0.00392156862745098, offset: -0.5}
  - Conv2D: {filters: 8, kernel_size: 3, activation: relu}
  - GlobalAveragePooling2D
  - Dense: {units: 5, activation: softmax, name: scores}
classes: [cat, ship, frog, deer, horse]
"""


def test_a_camera_s_file_which_needs_a_browser(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(EMBEDDED)
    model = tmp_path / "camera.onnx"
    camera = graphcnn.Camera(colors="bgr", size=(24, 30))
    graph = graphcnn.load(tmp_path / "camera.yaml")
    graphcnn.compile(graph, model, preprocess=camera, postprocess="top3", taps=["conv2d"])
    page = opened(model)
    image = picture(tmp_path / "noise.png", 24, 30, 3)
    upload(page, image)
    values = expected(model, image)
    names = [graph.classes[i] for i in values["scores_top3_classes"][0]]
    best = dict(zip(names, values["scores_top3"][0], strict=True))
    assert shown(page) == pytest.approx(best, abs=1e-6)


def test_feature_maps_which_needs_a_browser(opened: Opened, tmp_path: Path) -> None:
    model = file(tmp_path / "maps.onnx", taps=["conv", "last", "flat"])
    page = opened(model)
    image = picture(tmp_path / "noise.png", 12, 10, 3)
    upload(page, image)
    panels = page.locator("#layers details")
    assert panels.locator("bdi").all_inner_texts() == ["conv", "last"]
    maps = expected(model, image)["conv"][0]
    for panel in panels.all():
        size = panel.locator("summary span").inner_text()
        assert size == f"10{TIMES}8, 40 channels"
        tiles = panel.locator("canvas")
        assert tiles.count() == 24
        said = tiles.nth(5).get_attribute("aria-label")
        assert said == f"channel 5: {maps[5].min():.3g} to {maps[5].max():.3g}"
        pixels = tiles.nth(5).evaluate(PIXELS)
        light = np.array(pixels).reshape(10, 8, 4)[..., :3].sum(axis=2)
        assert light.argmax() == maps[5].argmax()
        assert light.argmin() == maps[5].argmin()
        panel.get_by_role("button", name="Show 16 more").click()
        assert tiles.count() == 40
        assert not panel.get_by_role("button").is_visible()
    panels.first.locator("summary").click()
    upload(page, picture(tmp_path / "other.png", 13, 10, 3))
    panels.first.locator("summary").click()
    values = expected(model, tmp_path / "other.png")["conv"][0][5]
    text = f"channel 5: {values.min():.3g} to {values.max():.3g}"
    wait(
        page,
        f"document.querySelectorAll('#layers canvas')[5].getAttribute('aria-label') === '{text}'",
    )


def test_dropping_and_pasting_which_needs_a_browser(opened: Opened, digits: Path) -> None:
    page = opened(digits)
    image = picture(digits.with_name("noise.png"), 28, 28, 1)
    (values, _) = expected(digits, image).values()
    best = str(values[0].argmax())
    for kind in ("drop", "paste"):
        page.get_by_role("tab", name="Draw").click()
        page.evaluate(GIVE, [kind, list(image.read_bytes()), "<b>noise</b>.png"])
        says(page, best)
        assert page.locator("#image-panel").is_visible()
        assert page.locator("#photo-name").inner_text() == f"<b>noise</b>.png 28{TIMES}28"
    page.evaluate(GIVE, ["drop", [1, 2, 3], "text.png"])
    page.wait_for_selector("#problem:visible")
    assert page.locator("#problem").inner_text() == (
        "text.png is not an image that this browser reads."
    )
    page.evaluate(GIVE, ["drop", list(image.read_bytes()), "noise.png"])
    page.wait_for_selector("#problem", state="hidden")


def test_the_camera_which_needs_a_browser(opened: Opened, tmp_path: Path) -> None:
    model = file(tmp_path / "wide.onnx", shape=(1, 3, 12, 30), taps=["conv"])
    page = opened(model, permissions=["camera"])
    page.get_by_role("tab", name="Camera").click()
    page.get_by_role("button", name="Start the camera").click()
    wait(page, "document.documentElement.dataset.runs > 5")
    assert page.locator("#times").inner_text().startswith("median ")
    page.get_by_role("button", name="Stop the camera").click()
    page.wait_for_timeout(300)
    runs = page.evaluate("document.documentElement.dataset.runs")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.dataset.runs") == runs
    page.get_by_role("button", name="Start the camera").click()
    wait(page, f"document.documentElement.dataset.runs > {runs}")
    page.get_by_role("tab", name="Image").click()
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_a_camera_refused_which_needs_a_browser(opened: Opened, tmp_path: Path) -> None:
    page = opened(file(tmp_path / "m.onnx"))
    page.get_by_role("tab", name="Camera").click()
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_selector("#problem:visible")
    assert "not allowed to use the camera" in page.locator("#problem").inner_text()
    assert page.get_by_role("button", name="Start the camera").is_enabled()


def test_hostile_names_are_only_shown_which_needs_a_browser(opened: Opened, tmp_path: Path) -> None:
    model = file(tmp_path / "hostile.onnx", count=3, classes=list(HOSTILE))
    page = opened(model)
    upload(page, picture(tmp_path / "noise.png", 12, 10, 3))
    assert set(shown(page)) == set(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2


@pytest.mark.parametrize(("scheme", "colour"), [("light", "244, 245, 247"), ("dark", "17, 20, 24")])
def test_narrow_screens_which_needs_a_browser(
    opened: Opened, digits: Path, scheme: str, colour: str
) -> None:
    page = opened(digits, color_scheme=scheme, viewport={"width": 320, "height": 700})
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == f"rgb({colour})"
    draw(page, DIGITS["7"])
    says(page, "7")
    for tab in ("Draw", "Image", "Camera"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_an_isolated_page_which_needs_a_browser(opened: Opened, tmp_path: Path) -> None:
    model = file(tmp_path / "threads.onnx")
    page = opened(model, into="isolated/")
    assert page.evaluate("globalThis.crossOriginIsolated")
    image = picture(tmp_path / "noise.png", 12, 10, 3)
    upload(page, image)
    (shares,) = expected(model, image).values()
    assert list(shown(page).values()) == pytest.approx(sorted(shares[0], reverse=True), abs=1e-6)


def test_what_cannot_be_loaded_is_said_which_needs_a_browser(
    browser: Any, package: Path, served: tuple[Path, str], tmp_path: Path
) -> None:
    folder, address = served
    bundle_web(file(tmp_path / "m.onnx"), folder / "broken", package)
    page = browser.new_page()
    page.goto((folder / "broken" / "index.html").as_uri())
    page.get_by_role("tab", name="Camera").click()
    assert "python3 -m http.server" in page.locator("#problem").inner_text()
    (folder / "broken" / "model.onnx").unlink()
    page.goto(f"{address}/broken/")
    page.wait_for_selector("html[data-state=failed]", state="attached")
    assert page.locator("#problem").inner_text() == (
        "The model cannot be loaded: model.onnx: the server answers 404"
    )
    page.close()
