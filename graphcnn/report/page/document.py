"""The page of a network as one HTML document."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from graphcnn.report.html import html_document

_SCRIPTS = (
    "basics.js",
    "arrange.js",
    "draw.js",
    "graph.js",
    "details.js",
    "outline.js",
    "tables.js",
    "charts.js",
    "main.js",
)


def document(data: Mapping[str, Any]) -> str:
    """The page as one HTML document, the same for the same data.

    Args:
        data: What `page_data` returns.
    """
    return html_document(files(__package__), _SCRIPTS, data, data["name"])
