"""The fastest or smallest way to run a model on this machine, found by measuring."""

from .tune import DEFAULT_LIMIT, PICTURE, tune

__all__ = ["DEFAULT_LIMIT", "PICTURE", "tune"]
