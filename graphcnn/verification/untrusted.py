"""Looking at a Keras file before Keras does: what may bring code with it is refused.

Keras's safe mode has refused lambdas in ``.h5`` files only since 3.11, and modules of a file's own
choosing only since 3.9 (CVE-2025-1550, CVE-2025-9905), so what the description names is looked at
first, whatever Keras is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphcnn.errors import GraphCNNError, VerificationError
from graphcnn.keras_file import read_model_config
from graphcnn.options import shorten

_CODE = ("Lambda", "__lambda__")
_PACKAGES = ("keras", "tf_keras", "builtins")
_OWN = "graphcnn>"
"""What graphcnn has registered in Keras, for the models that it trains."""


def check_keras_file(path: Path) -> None:
    """Refuse a file that is missing or damaged, or names code.

    Raises:
        MissingExtra: h5py is not installed.
        VerificationError: It holds a lambda, or names a class that is not Keras's.
        GraphCNNError: It is no Keras model.
    """
    if not path.is_file():
        raise VerificationError(f"{path}: no such file")
    try:
        objects = list(_objects(json.loads(read_model_config(path)[0])))
    except GraphCNNError:
        raise
    except Exception as error:
        raise VerificationError(f"{path}: not a readable Keras file: {error}") from error
    for item in objects:
        name, module = item.get("class_name"), item.get("module") or "keras"
        own = str(item.get("registered_name")).startswith(_OWN)
        if name in _CODE or not (own or str(module).split(".")[0] in _PACKAGES):
            raise VerificationError(
                f"{path} holds {shorten(name)} of {shorten(module)}: no code of a file's own is run"
            )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """What the description asks Keras to make, at any depth."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            if "class_name" in item:
                yield item
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
