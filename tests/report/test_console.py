"""Tables on terminals of any width: nothing in them is cut."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console, RenderableType

from graphcnn.comparison import Differing, RuntimeCell, RuntimeReport, Tolerance
from graphcnn.report.console import plain_table
from graphcnn.report.runtimes import runtimes_table
from graphcnn.report.targets import refusals_table, targets_table
from graphcnn.targets import PROFILES


def shown(table: RenderableType, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, markup=False, emoji=False, highlight=False).print(table)
    assert all(len(line) <= width for line in file.getvalue().splitlines())
    return file.getvalue()


def in_runtimes() -> RuntimeReport:
    total = Differing()
    total.add(np.array([[1.0, 2.0]]), np.array([[1.0, 2.25]]))
    output = total.difference("scores", "scores", "", True, Tolerance())
    cells = (
        RuntimeCell("onnxruntime-web", "1.30.0", 1, (output,)),
        RuntimeCell("opencv", "5.0.0.93", 3, (), "crashed (signal 11)", "crashed"),
    )
    return RuntimeReport(("a", "b"), "e", "data", Tolerance(), cells, {})


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_runtimes(width: int) -> None:
    text = shown(runtimes_table(in_runtimes()), width)
    words = re.split(r"[\s,:]+", text)
    for whole in ("onnxruntime-web", "1.30.0", "scores", "0.25", "0.0002", "DIFFERS", "CRASHED"):
        assert whole in words
    assert ("argmax 1/1" in " ".join(text.split())) == (width == 40)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_targets(width: int) -> None:
    words = re.split(r"[\s,:]+", shown(targets_table(list(PROFILES.values())), width))
    assert {*PROFILES, "QDQ", "2026.4.1", "any"} <= set(words)
    assert shown(refusals_table([PROFILES["opencv"]]), width).split()[-1] == "(4.14)"


def test_a_long_name_folds_before_a_table_becomes_lines() -> None:
    table = plain_table(["file", "time"], left=("file",))
    table.add_row("a" * 50, "1234567")
    text = shown(table, 40)
    assert "1234567" in text.split()
    assert text.splitlines()[0].split() == ["file", "time"]
    assert text.count("a") == 50


def test_wide_enough_it_is_as_wide_as_its_texts() -> None:
    table = plain_table(["name", "n"], left=("name",))
    table.add_row("two words", "1")
    assert [len(line.rstrip()) for line in shown(table, 80).splitlines()] == [13, 13, 13]
