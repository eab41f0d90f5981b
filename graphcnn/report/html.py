"""One HTML document of data, a style and scripts, whose policy lets it run these and no others.

Names come from files of others. They reach a page in one block of JSON, in which no ``<`` is left,
and its scripts show them as text only.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

from .format import printable

_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"}

_NOTHING: Mapping[str, str] = {}


def html_document(
    assets: Traversable,
    scripts: Sequence[str],
    data: Mapping[str, Any],
    title: str,
    allowed: Mapping[str, str] = _NOTHING,
) -> str:
    """The page as one HTML document, the same for the same data.

    Args:
        assets: A folder of ``page.html`` with its marks, ``page.css`` and the scripts.
        scripts: The scripts, in the order they run in, as one.
        data: What they show, as JSON.
        title: The page's title, which may be anyone's text.
        allowed: Of the page's policy, what it may load beside itself: sources by directive.
    """
    style = _text(assets, "page.css")
    parts = (_text(assets, name) for name in scripts)
    script = "\n".join(['(() => {\n"use strict";', *parts, "})();"])
    policy = {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        **allowed,
        "script-src": f"'{_hash(script)}' {allowed.get('script-src', '')}".rstrip(),
        "style-src": f"'{_hash(style)}'",
    }
    marks = {
        "POLICY": "; ".join(f"{directive} {sources}" for directive, sources in policy.items()),
        "TITLE": html.escape(printable(title)),
        "STYLE": style,
        "DATA": json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPED),
        "SCRIPT": script,
    }
    return re.sub("%([A-Z]+)%", lambda mark: marks[mark[1]], _text(assets, "page.html"))


def _text(assets: Traversable, name: str) -> str:
    return assets.joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
