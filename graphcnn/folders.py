"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ExportError
from .files import scratch_beside


def check_folder(target: Path, force: bool) -> None:
    """Refuse a folder that cannot be written to, before time is spent.

    Raises:
        ExportError: It is a file, is not empty and `force` is not given, or would lie nowhere.
    """
    if target.exists() and not target.is_dir():
        raise ExportError(f"{target} is not a directory", hint="-o names a folder")
    if not force and target.is_dir() and any(target.iterdir()):
        raise ExportError(
            f"{target} is not empty", hint="--force replaces files in it (in Python, force=True)"
        )
    if not target.absolute().parent.is_dir():
        raise ExportError(f"{target.parent} is not a directory", hint=f"mkdir -p {target.parent}")


@contextmanager
def new_folder(target: Path, force: bool) -> Iterator[Path]:
    """Yield a folder beside the target, to write into; at the end it takes the target's place.

    Of a target that has files those of the same names are replaced, and others stay.

    Raises:
        ExportError: As of `check_folder`, or the disk is full.
    """
    check_folder(target, force)
    scratch = scratch_beside(target.absolute())
    try:
        scratch.mkdir(mode=0o700)
        yield scratch
        target.mkdir(exist_ok=True)  # With the mode that new folders have.
        mode = target.stat().st_mode
        if any(target.iterdir()):
            for path in sorted(scratch.iterdir()):
                os.replace(path, target / path.name)
            return
        scratch.chmod(mode)
        target.rmdir()
        os.replace(scratch, target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
