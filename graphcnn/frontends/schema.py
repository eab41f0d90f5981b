"""The JSON Schema of model files, generated from the operators' own fields.

Editors use it for completion and checks. It says what each key may hold; what depends on shapes
(a kernel larger than its input) only `load` can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from graphcnn.budget import Budget, Quantity
from graphcnn.initializers import INITIALIZERS, Initializer
from graphcnn.ops import OPS, ActivationFunction
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.options import Options, field_types, option_fields, required_fields
from graphcnn.recipe import CHOICES, EarlyStopping, Loss, Optimizer, Recipe
from graphcnn.recipe.augmentation import Augmentations
from graphcnn.recipe.fields import MOST_ITEMS
from graphcnn.recipe.metrics import Metrics
from graphcnn.recipe.recipe import ClassWeight, Stopping
from graphcnn.recipe.schedules import LearningRate
from graphcnn.regularizers import REGULARIZERS, Regularizer

from .expand import MAX_REPEAT
from .yaml import KEYS

JSON = dict[str, Any]

_PARAMETER = {"type": "string", "pattern": r"^\$[A-Za-z_][A-Za-z0-9_]*$"}
"""A block's parameter may stand for any value."""

_NAME = {"type": "string", "description": "A unique name for the layer's value."}
_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 1}


def model_schema() -> JSON:
    """The schema, as draft 2020-12."""
    properties: JSON = {
        "name": {"type": "string", "description": "What the network is called."},
        "inputs": _inputs(),
        "layers": {"$ref": "#/$defs/layers"},
        "outputs": {**_NAMES, "description": "The layers that are results; the last by default."},
        "blocks": {
            "type": "object",
            "additionalProperties": {"$ref": "#/$defs/block"},
            "description": "Groups of layers, used like a layer.",
        },
        "budget": _options(Budget),
        "classes": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "uniqueItems": True,
            "description": "Names for the classes that the outputs score, in order.",
        },
        "train": _train(),
    }
    assert properties.keys() == set(KEYS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "graphcnn model file",
        "type": "object",
        "properties": properties,
        "required": ["inputs", "layers"],
        "additionalProperties": False,
        "$defs": {
            "layers": {"type": "array", "items": {"$ref": "#/$defs/layer"}, "minItems": 1},
            "layer": _layer(),
            "repeat": _repeat(),
            "block": _block(),
            "activation": _choice({name: cls for name, (cls, _) in FUNCTIONS.items()}),
            "initializer": _choice(INITIALIZERS),
            "regularizer": _choice(REGULARIZERS),
            "early_stopping": _options(EarlyStopping, parameters=False),
            **{what: _choice(known, parameters=False) for what, known in CHOICES.items()},
            **{f"op.{title}": _operator(cls) for title, cls in OPS.items()},
        },
    }


def _inputs() -> JSON:
    size = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": "array", "items": size, "minItems": 1},
        "description": "Sizes of one sample by input, channels last; the batch is implicit.",
    }


def _layer() -> JSON:
    """An operator's name alone, an operator or a block with its options, or a repeat."""
    operators = {title: {"$ref": f"#/$defs/op.{title}"} for title in OPS}
    use = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": operators,
        "additionalProperties": {"type": ["object", "null"], "description": "A block's use."},
        "not": {"required": ["repeat"]},
    }
    return {
        "anyOf": [
            {"type": "string", "enum": sorted(OPS)},
            {"type": "string", "description": "A block's name."},
            use,
            {"$ref": "#/$defs/repeat"},
        ]
    }


def _repeat() -> JSON:
    count = {"type": "integer", "minimum": 0, "maximum": MAX_REPEAT}
    return {
        "type": "object",
        "properties": {
            "repeat": {"anyOf": [count, _PARAMETER]},
            "layers": {"$ref": "#/$defs/layers"},
            "name": {"type": "string", "description": "Puts the layers into NAME_1/, NAME_2/, ..."},
        },
        "required": ["repeat", "layers"],
        "additionalProperties": False,
    }


def _block() -> JSON:
    parameter = {"anyOf": [{"type": "string"}, {"type": "object"}]}
    return {
        "type": "object",
        "properties": {
            "parameters": {"type": "array", "items": parameter},
            "inputs": _NAMES,
            "layers": {"$ref": "#/$defs/layers"},
            "output": {"type": "string", "description": "The layer that is the block's result."},
        },
        "required": ["layers"],
        "additionalProperties": False,
    }


def _train() -> JSON:
    schema = _options(Recipe, parameters=False)
    schema["properties"]["optimizer"]["default"] = "adam"
    return schema


def _operator(cls: type[Options]) -> JSON:
    schema = _options(cls)
    schema["properties"] |= {
        "name": _NAME,
        "inputs": {
            "anyOf": [{"type": "string"}, _NAMES],
            "description": "The values it takes; the layer above by default.",
        },
        "shares": {"type": "string", "description": "A layer whose weights it has too."},
    }
    if schema.get("required"):
        return schema
    return {**schema, "type": ["object", "null"]}


def _options(cls: type[Options], parameters: bool = True) -> JSON:
    types = field_types(cls)  # type: ignore[arg-type]  # classes are hashable
    required = required_fields(cls)
    schema: JSON = {
        "type": "object",
        "description": (cls.__doc__ or "").split("\n\n")[0].strip(),
        "properties": {
            field.name: _field(types[field.name], field.default, parameters)
            for field in option_fields(cls)
        },
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema


def _field(hint: Any, default: Any, parameters: bool = True) -> JSON:
    """What a field may hold, or a parameter; and what it holds when it is left out."""
    own = _CUSTOM.get(hint)
    if own is None:
        own = msgspec.json.schema(hint, schema_hook=lambda cls: _CUSTOM.get(cls, {}))
    schema: JSON = {"anyOf": [own]}
    if parameters:
        schema["anyOf"].append(_PARAMETER)
    return {**schema, "default": default} if isinstance(default, int | float | str) else schema


def _ref(name: str) -> JSON:
    return {"$ref": f"#/$defs/{name}"}


def _list_of(name: str) -> JSON:
    return {"type": "array", "items": _ref(name), "maxItems": MOST_ITEMS}


_WEIGHTS = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}}

_CUSTOM: dict[Any, JSON] = {
    ActivationFunction: _ref("activation"),
    Augmentations: _list_of("augmentation"),
    ClassWeight: {"anyOf": [{"enum": ["balanced"]}, _WEIGHTS, {"type": "null"}]},
    Initializer: _ref("initializer"),
    LearningRate: {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _ref("schedule")]},
    Loss: _ref("loss"),
    Metrics: _list_of("metric"),
    Optimizer: _ref("optimizer"),
    Quantity: {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]},
    Regularizer: _ref("regularizer"),
    Stopping: {"anyOf": [_ref("early_stopping"), {"type": "null"}]},
}
"""The schemas of hints and types that read or decode themselves; of others anything."""


def _choice(classes: Mapping[str, type[Options]], parameters: bool = True) -> JSON:
    """A name, where no option is required, or a mapping from one name to its options."""
    alone = sorted(name for name, cls in classes.items() if not required_fields(cls))
    by_options = {
        "type": "object",
        "properties": {name: _chosen(cls, parameters) for name, cls in classes.items()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [{"type": "string", "enum": alone}, by_options]} if alone else by_options


def _chosen(cls: type[Options], parameters: bool) -> JSON:
    """The options of a name, or the bare value of the one that the class names for it."""
    options = _options(cls, parameters)
    if cls.short is None:
        return options
    hint = field_types(cls)[cls.short]  # type: ignore[arg-type]  # classes are hashable
    return {"anyOf": [*_field(hint, None, parameters)["anyOf"], options]}
