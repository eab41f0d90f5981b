"""A folder that appears whole or not at all, and files that come into one when all are complete."""

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
    parent = (_resolved(target) if target.is_symlink() else target).parent
    if not parent.is_dir():
        raise ExportError(f"{parent} is not a directory", hint=f"mkdir -p {parent}")


@contextmanager
def new_folder(target: Path, force: bool) -> Iterator[Path]:
    """Yield a folder to write into, from which the target is made at the end.

    A link stands for the folder that it leads to. A target that was not there appears at once. Into
    one that exists, where the folder to write into lies until then, files are moved one by one:
    those of the same names are replaced, and others stay.

    Raises:
        ExportError: As of `check_folder`, a folder has the name of a file, or the disk is full.
    """
    check_folder(target, force)
    place = _resolved(target)
    exists = place.is_dir()
    scratch = scratch_beside(place / "files" if exists else place)
    try:
        scratch.mkdir(mode=0o700)
        yield scratch
        if exists:
            _move(scratch, place)
            return
        place.mkdir()
        scratch.chmod(place.stat().st_mode)  # What new folders have.
        place.rmdir()
        os.replace(scratch, place)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _resolved(target: Path) -> Path:
    """Without links; a circle of them stays, and cannot be written to."""
    return Path(os.path.realpath(target))


def _move(scratch: Path, folder: Path) -> None:
    """Move files into a folder, all of them or none where a folder is in the way of one."""
    paths = sorted(scratch.iterdir())
    blocked = [path.name for path in paths if (folder / path.name).is_dir()]
    if blocked:
        raise ExportError(
            f"{folder}: {', '.join(blocked)} would be written, and is a folder there",
            hint="name another folder",
        )
    for path in paths:
        os.replace(path, folder / path.name)
