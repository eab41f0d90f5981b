"""The page in headless Chromium, end to end: every view, with the mouse and with the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import graphcnn
from graphcnn.graph import Graph
from graphcnn.report.page import Training, document
from tests.browser import chromium

from .test_page import HOSTILE, cells, data_of, example, hostile_graph

TIMES = "\N{MULTIPLICATION SIGN}"

BOXES = """
() => {
  const canvas = document.getElementById("canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  for (let i = 0; i < pixels.length; i += 4) {
    seen.add((pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2]);
  }
  return seen.size;
}
"""
"""How many colours the graph's picture has: one where nothing is drawn."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


Opened = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """Opens the page of data; no script may fail, and nothing else may be loaded."""
    wrong: list[str] = []
    pages: list[Any] = []

    def open_page(data: dict[str, Any], part: str = "", **options: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_text(document(data), encoding="utf-8")
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        page = browser.new_page(**options)
        pages.append(page)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on(
            "request",
            lambda request: request.url.startswith("file:") or wrong.append(request.url),
        )
        page.goto(f"{file.as_uri()}#{part}")
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not wrong


def rows(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#tree .row:visible").all_inner_texts()]


def chosen(page: Any) -> str:
    return str(page.locator("#details h2").inner_text())


def test_the_graph_opens_closes_and_tells_of_its_layers_which_needs_a_browser(
    opened: Opened,
) -> None:
    page = opened(data_of(example("googlenet")))
    assert page.title() == "googlenet"
    assert len(rows(page)) == 23
    assert page.evaluate(BOXES) > 5
    page.locator("#tree .row", has_text="inception_4e").dblclick()
    assert len(rows(page)) == 31
    page.locator("#tree .row:visible", has_text="5x5_reduce").click()
    assert chosen(page) == "inception_4e/5x5_reduce"
    text = page.locator("#details").inner_text()
    for part in ("N*14*14*32", "inception_4d/concat", "inception_4e/5x5", "googlenet.yaml:14:9"):
        assert part.replace("*", TIMES) in text
    assert "16,928" in text
    page.get_by_role("button", name="Open all blocks").click()
    assert len(rows(page)) == 86 + 9
    page.get_by_role("button", name="Close all blocks").click()
    assert len(rows(page)) == 23
    page.fill("#find", "5b/3X3")
    page.press("#find", "Enter")
    assert chosen(page) == "inception_5b/3x3_reduce"
    page.fill("#find", "inception_5b/3x3")
    page.press("#find", "Enter")
    assert chosen(page) == "inception_5b/3x3"
    assert page.locator("#tree [aria-selected=true]").count() == 1


def test_the_graph_with_the_mouse_which_needs_a_browser(opened: Opened) -> None:
    page = opened(data_of(example("vgg16")))
    box = page.locator("#canvas").bounding_box()
    middle, top = box["x"] + box["width"] / 2, box["y"] + 50
    page.mouse.click(middle, top)
    assert chosen(page) == "image"
    before = page.locator("#canvas").screenshot()
    page.mouse.move(middle + 200, top + 200)
    page.mouse.down()
    page.mouse.move(middle + 220, top + 280, steps=4)
    page.mouse.up()
    assert chosen(page) == "image"
    page.mouse.click(middle + 20, top + 80)
    assert chosen(page) == "image"
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(100)
    assert page.locator("#canvas").screenshot() != before
    page.mouse.click(box["x"] + 20, box["y"] + 300)
    assert chosen(page) == "Network"


def test_the_graph_with_the_keyboard_which_needs_a_browser(opened: Opened) -> None:
    page = opened(data_of(example("googlenet")))
    page.focus("#canvas")
    for expected in ("image", "subtract_mean", "conv1"):
        page.keyboard.press("ArrowDown")
        assert chosen(page) == expected
    page.keyboard.press("ArrowUp")
    assert page.locator("#said").inner_text() == f"subtract_mean, Rescaling 224{TIMES}224{TIMES}3"
    for key in ("+", "-", "0", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    assert chosen(page) == "Network"
    page.locator("#tree [role=treeitem]").first.focus()
    for _ in range(9):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert len(rows(page)) == 31
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert chosen(page) == "inception_3a/1x1"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert len(rows(page)) == 23
    page.focus("#tab-graph")
    page.keyboard.press("ArrowRight")
    assert page.locator("#layers").is_visible()
    assert page.locator("[role=tab][aria-selected=true]").inner_text() == "Layers"


def test_tables_are_sorted_and_filtered_which_needs_a_browser(opened: Opened) -> None:
    page = opened(data_of(example("vgg16")), "layers")
    names = page.locator("#layers tbody th")
    page.get_by_role("button", name="Parameters").click()
    assert names.all_inner_texts()[:2] == ["fc_1", "fc_2"]
    assert page.locator("th[aria-sort=descending]").inner_text() == "Parameters"
    page.get_by_role("button", name="Parameters").click()
    assert names.all_inner_texts()[-1] == "fc_1"
    page.get_by_role("button", name="Layer", exact=True).click()
    found = names.all_inner_texts()
    assert found[:3] == ["block1/conv_1", "block1/conv_2", "block1/pool"]
    assert len(found) == 26
    page.fill("#layers input", "dense")
    assert sorted(page.locator("#layers tbody tr:visible th").all_inner_texts()) == [
        "fc_1",
        "fc_2",
        "scores",
    ]
    assert "138,357,544" in page.locator("tfoot").inner_text()
    page.locator("#layers tbody tr:visible th button", has_text="fc_2").click()
    assert page.locator("#graph").is_visible()
    assert chosen(page) == "fc_2"


def test_costs_and_the_peak_which_needs_a_browser(opened: Opened) -> None:
    page = opened(data_of(example("vgg16")), "costs")
    assert page.locator(".peak").inner_text() == "peak 24.5 MiB at block1/conv_2"
    assert page.locator(".strips figure").count() == 5
    page.focus(".strips")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    said = page.locator(".strips").get_attribute("aria-valuetext")
    assert said.startswith("block1/conv_2, Parameters36.9 k")
    assert page.locator(".about").inner_text().startswith("block1/conv_2")
    page.keyboard.press("Enter")
    assert chosen(page) == "block1/conv_2"


def test_passes_and_training_which_needs_a_browser(opened: Opened) -> None:
    epochs = [float(n) for n in range(1, 9)]
    history = {
        "epoch": epochs,
        "loss": [1 / n for n in epochs],
        "val_loss": [float("nan"), *[2 / n for n in epochs[1:]]],
        "learning_rate": [0.1] * 8,
    }
    data = data_of(example("cifar10_batchnorm"), training=Training("runs/a", history, 7))
    page = opened(data, "passes")
    assert "null" not in page.locator("#passes").inner_text()
    changed = page.locator("#passes .changed h3").all_inner_texts()
    assert changed == [record["name"] for record in data["passes"] if record["changed"]]
    assert "not folded into image (Input)" in page.locator("#passes .changed").all_inner_texts()[1]
    page.get_by_role("tab", name="Training").click()
    curves = page.locator(".curves figure")
    assert curves.count() == 2
    assert "8 epochs of runs/a; epoch 8 is the best" in page.locator("#training").inner_text()
    assert "validation 0.25" in curves.first.inner_text()
    assert page.locator(".curve").count() == 3


def test_hostile_names_are_only_shown_which_needs_a_browser(opened: Opened) -> None:
    history = {"epoch": [1.0], "loss": [1.0], HOSTILE[1]: [2.0]}
    data = data_of(hostile_graph(), training=Training(HOSTILE[0], history, None))
    page = opened(data)
    assert page.locator("#name").inner_text() == HOSTILE[0]
    assert page.locator("img").count() == 0
    page.locator("#tree .row").nth(2).click()
    assert chosen(page) == f"relu {HOSTILE[1]}"
    for view in ("Layers", "Costs", "Passes", "Training"):
        page.get_by_role("tab", name=view).click()
    assert HOSTILE[1] in page.locator("#training").text_content()
    assert page.locator("script").count() == 2


def test_open_sizes_and_several_inputs_which_needs_a_browser(
    opened: Opened, tmp_path: Path
) -> None:
    (tmp_path / "m.yaml").write_text(
        "name: open\ninputs: {left: [H, W, 3], right: [H, W, 3]}\nlayers:\n"
        "  - Add: {inputs: [left, right], name: both}\n"
        "  - Conv2D: {filters: 4, kernel_size: 3, name: conv}\noutputs: [both, conv]\n"
    )
    page = opened(data_of(graphcnn.load(tmp_path / "m.yaml")))
    assert "open sizes" in page.locator("#totals").inner_text()
    assert f"H{TIMES}W{TIMES}3" in page.locator("#details").inner_text()
    page.locator("#tree .row", has_text="conv").click()
    assert "N*(H - 2)*(W - 2)*4".replace("*", TIMES) in page.locator("#details").inner_text()
    page.get_by_role("tab", name="Costs").click()
    assert "--input-shape" in page.locator("#costs").inner_text()


@pytest.mark.parametrize("dark", [False, True])
def test_seven_hundred_layers_on_any_screen_which_needs_a_browser(
    opened: Opened, dark: bool
) -> None:
    graph: Graph = cells(54)
    size = {"width": 400, "height": 700}
    page = opened(data_of(graph), color_scheme="dark" if dark else "light", viewport=size)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 400
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(17, 20, 24)" if dark else "rgb(244, 245, 247)")
    page.get_by_role("button", name="Open all blocks").click()
    page.get_by_role("button", name="Fit the whole graph").click()
    page.wait_for_timeout(100)
    assert page.evaluate(BOXES) > 5
    for view in ("Layers", "Costs", "Passes"):
        page.get_by_role("tab", name=view).click()
        assert page.evaluate("() => document.documentElement.scrollWidth") == 400


def test_the_graph_with_two_fingers_which_needs_a_browser(opened: Opened) -> None:
    size = {"width": 400, "height": 700}
    page = opened(data_of(example("vgg16")), viewport=size, has_touch=True, device_scale_factor=2)
    assert page.evaluate("() => document.getElementById('canvas').width") == 800
    touch = page.context.new_cdp_session(page)

    def pinch(kind: str, *across: float) -> None:
        points = [{"x": x, "y": 450, "id": n} for n, x in enumerate(across)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(60)

    before = page.locator("#canvas").screenshot()
    pinch("touchStart", 180, 220)
    pinch("touchMove", 120, 300)
    pinch("touchEnd")
    assert page.locator("#canvas").screenshot() != before
    assert not page.locator("#details").is_visible()
    page.get_by_role("button", name="Fit the whole graph").tap()
    page.get_by_role("button", name="Close all blocks").tap()
    box = page.locator("#canvas").bounding_box()
    page.touchscreen.tap(200, box["y"] + 28 + page.locator("#tools").bounding_box()["height"] + 20)
    assert chosen(page) == "image"
