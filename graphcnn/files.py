"""Files that appear whole or not at all.

A file is written in a directory beside its target, under its own name, and renamed into place when
it is complete: a failure, a full disk or an interrupt leaves what was there before.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ExportError


def check_target(path: Path, force: bool) -> None:
    """Refuse to replace a file, before time is spent on what would go into it.

    Raises:
        ExportError: It exists, and `force` is not given or it is not a file.
    """
    if not path.exists() or path.is_dir():
        return
    if not path.is_file():
        raise ExportError(f"{path} is not a file", hint="-o - writes to standard output")
    if not force:
        raise ExportError(f"{path} exists", hint="--force replaces it (in Python, force=True)")


def scratch_beside(target: Path) -> Path:
    """A new name beside a target, known before it is made: no interrupt leaves it behind."""
    return target.parent / f".{target.name[:50]}.{secrets.token_hex(8)}.partial"


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path to write to; what is there at the end takes the target's place.

    Files written beside it under other names are moved beside the target too, first.

    Raises:
        ExportError: The directory is missing or cannot be written, or the disk is full.
    """
    folder = target.parent
    if target.is_dir():
        raise ExportError(f"{target} is a directory", hint="name a file in it")
    if not folder.is_dir():
        raise ExportError(f"{folder} is not a directory", hint=f"mkdir -p {folder}")
    if target.exists() and not target.is_file():
        raise ExportError(f"{target} is not a file")
    scratch = scratch_beside(target)
    try:
        scratch.mkdir(mode=0o700)
        yield scratch / target.name
        _publish(scratch, target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _publish(scratch: Path, target: Path) -> None:
    mode = 0o666 & ~_umask()
    beside = sorted(path for path in scratch.iterdir() if path.name != target.name)
    for path in [*beside, scratch / target.name]:
        path.chmod(mode)
        os.replace(path, target.parent / path.name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
