"""Keras's files written by hand, without Keras."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
JSON = dict[str, Any]


def layer(kind: str, name: str, *before: str, module: str = "keras.layers", **config: Any) -> JSON:
    """A layer as Keras 3 writes it, called once on one or several others."""
    tensors = [tensor(source) for source in before]
    args: list[Any] = [tensors] if len(tensors) > 1 else tensors
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "registered_name": None,
        "name": name,
        "inbound_nodes": [{"args": args, "kwargs": {}}] if before else [],
    }


def operation(kind: str, *before: str, **config: Any) -> JSON:
    """An operation on tensors, called ``d``."""
    made = layer(kind, "d", *before, module="keras.src.ops.numpy")
    return made | {"config": {"name": "d", **config}}


def tensor(source: str, call: int = 0, index: int = 0) -> JSON:
    history = [source, call, index]
    return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}


def entry(name: str = "x", *sizes: int | None, **config: Any) -> JSON:
    shape = [None, *(sizes or (8, 8, 3))]
    return layer("InputLayer", name, **{"batch_shape": shape, **config})


def network(*layers: JSON, **config: Any) -> JSON:
    """A functional model of these layers, from the first to the last."""
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": list(layers),
            "input_layers": [[layers[0]["name"], 0, 0]],
            "output_layers": [[layers[-1]["name"], 0, 0]],
            **config,
        },
    }


def archive(path: Path, model: Any, arrays: Mapping[str, Sequence[Array]] | None = None) -> Path:
    """A .keras file of a model and the arrays of its layers."""
    content = io.BytesIO()
    with h5py.File(content, "w") as root:
        for number, (name, values) in enumerate((arrays or {}).items()):
            group = root.create_group(f"layers/layer_{number}/vars")
            group.attrs["name"] = name
            for index, value in enumerate(values):
                group[str(index)] = value
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", model if isinstance(model, str) else json.dumps(model))
        file.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        file.writestr("model.weights.h5", content.getvalue())
    return path


def legacy(
    path: Path, model: Any, arrays: Mapping[str, Sequence[Array]] | None = None, version: str = ""
) -> Path:
    """An .h5 file as Keras 2 writes it."""
    with h5py.File(path, "w") as root:
        root.attrs["model_config"] = json.dumps(model)
        root.attrs["keras_version"] = version or "2.11.0"
        top = root.create_group("model_weights")
        top.attrs["layer_names"] = np.array([name.encode() for name in arrays or {}], "S")
        for name, values in (arrays or {}).items():
            group = top.create_group(name)
            names = [f"{name}/{index}:0" for index in range(len(values))]
            group.attrs["weight_names"] = np.array([n.encode() for n in names], "S")
            for key, value in zip(names, values, strict=True):
                group[key] = value
    return path


def run(*arguments: str) -> int:
    """The exit status of the command line."""
    from graphcnn.cli.main import main

    before, sys.argv = sys.argv, ["graphcnn", *arguments]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0
