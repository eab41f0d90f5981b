"""The ``blocks:`` of a model file: groups of layers that are defined once and used like a layer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from graphcnn.errors import SourceLocation, did_you_mean
from graphcnn.ops import OPS
from graphcnn.options import shorten

from .document import Value

NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./\-]{0,199}")
"""What inputs, layers and blocks may be called: names are file, tensor and JSON names later."""

RESERVED = ("name", "inputs", "shares")
"""What every layer may say of itself, so that no parameter can be called so."""

_KEYS = ("parameters", "inputs", "layers", "output")

Fail = Callable[[str, SourceLocation, str | None], None]
"""Called with a message, its place and a hint, for everything that is wrong."""


@dataclass(frozen=True, slots=True)
class Block:
    """One definition.

    Attributes:
        name: What it is called.
        parameters: Its parameters with their defaults; None is required.
        inputs: What its layers call its inputs.
        layers: A list of layers.
        output: The name of the layer that is its result; the last one when None.
    """

    name: str
    parameters: dict[str, Value | None]
    inputs: tuple[str, ...]
    layers: Value
    output: Value | None


def read_blocks(blocks: Value | None, fail: Fail) -> dict[str, Block | None]:
    """Every definition by name; None is one that is wrong."""
    if blocks is None:
        return {}
    if not blocks.is_mapping:
        fail(f"blocks: expected a mapping, found {blocks.kind}", blocks.location, None)
        return {}
    found: dict[str, Block | None] = {}
    for name, (key, value) in blocks.data.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            fail(f"blocks: {bad_name(key)}", key.location, None)
        elif name in OPS or name == "repeat":
            fail(f"blocks: {name} is the name of an operator", key.location, None)
        else:
            found[name] = _read_block(name, key, value, fail)
    return found


def bad_name(value: Value) -> str:
    """Says what a name must be."""
    return f"expected a name of letters, digits and _ . - /, found {value.kind}"


def _read_block(name: str, key: Value, value: Value, fail: Fail) -> Block | None:
    layers = value.get("layers") if value.is_mapping else None
    if layers is None or not layers.is_list or not layers.data:
        fail(f"block {name}: expected a mapping with a list of layers:", key.location, None)
        return None
    for word in value.data:
        if word not in _KEYS:
            hint = did_you_mean(str(word), _KEYS)
            fail(f"block {name}: unknown key {shorten(word)}", value.key(word).location, hint)
    inputs = value.get("inputs")
    names = inputs.plain() if inputs else ["input"]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        fail(f"block {name}: inputs: expected a list of names", value.key("inputs").location, None)
        return None
    parameters = _read_parameters(name, value.get("parameters"), fail)
    return Block(name, parameters, tuple(names), layers, value.get("output"))


def _read_parameters(name: str, value: Value | None, fail: Fail) -> dict[str, Value | None]:
    if value is None:
        return {}
    parameters: dict[str, Value | None] = {}
    for item in value.data if value.is_list else [value]:
        if isinstance(item.data, str) and item.data.isidentifier():
            parameters[item.data] = None
        elif item.is_mapping and all(str(word).isidentifier() for word in item.data):
            parameters.update({str(word): default for word, (_, default) in item.data.items()})
        else:
            fail(
                f"block {name}: expected a parameter, found {item.kind}",
                item.location,
                "parameters: [filters, {strides: 1}]; one with a default is a mapping",
            )
    for word in RESERVED:
        if parameters.pop(word, value) is not value:
            fail(f"block {name}: a parameter cannot be called {word}", value.location, None)
    return parameters
