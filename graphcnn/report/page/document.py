"""One HTML document of a page's data, its style and its scripts.

Names come from files of others. They reach the page in one block of JSON, in which no ``<`` is
left, and the scripts show them as text only. The page's policy lets it run its own scripts, known
by their hashes, and load nothing.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from graphcnn.report.format import printable

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

_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"}


def document(data: Mapping[str, Any]) -> str:
    """The page as one HTML document, the same for the same data.

    Args:
        data: What `page_data` returns.
    """
    style = _asset("page.css")
    script = "\n".join(['(() => {\n"use strict";', *map(_asset, _SCRIPTS), "})();"])
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(printable(data["name"])),
        "STYLE": style,
        "DATA": json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPED),
        "SCRIPT": script,
    }
    return re.sub("%([A-Z]+)%", lambda mark: parts[mark[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
