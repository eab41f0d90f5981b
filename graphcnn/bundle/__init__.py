"""Models with all that runs them, as folders to hand on."""

from .web import WebBundle, bundle_web

__all__ = ["WebBundle", "bundle_web"]
