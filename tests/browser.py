"""Chromium without a window, for the pages that the package writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A browser; GRAPHCNN_BROWSER=required makes its absence a failure."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        reason = f"a browser is needed, and none of {', '.join(_NAMES)} is on the PATH"
        if os.environ.get("GRAPHCNN_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root has no sandbox; the pages are those that the tests write.
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *arguments]
        )
        yield launched
        launched.close()
