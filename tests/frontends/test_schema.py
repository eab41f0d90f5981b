"""The JSON Schema of model files, and its agreement with what is accepted."""

# ruff: noqa: E501 (tables: one case a line)

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from graphcnn.errors import ErrorGroup, GraphCNNError
from graphcnn.frontends.schema import model_schema
from graphcnn.initializers import INITIALIZERS
from graphcnn.ops import OPS
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.options import build, option_fields
from graphcnn.regularizers import REGULARIZERS

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
SCHEMA = model_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def validator(definition: str) -> Any:
    return VALIDATOR.evolve(schema={"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]})


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA, allow_nan=False)


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    VALIDATOR.validate(YAML(typ="safe", pure=True).load(path.read_text()))


GOOD = {
    "names alone": {"inputs": {"x": [8, 8, 1]}, "layers": ["ReLU", "Flatten"]},
    "null options": {"inputs": {"x": [8]}, "layers": [{"ReLU": None}]},
    "block": {
        "inputs": {"x": ["H", "W", 1]},
        "blocks": {"b": {"parameters": ["f", {"k": 3}], "layers": [{"Conv2D": {"filters": "$f", "kernel_size": "$k"}}]}},
        "layers": [{"b": {"f": 3, "name": "c"}}, "b"],
    },
    "repeat": {"inputs": {"x": [8]}, "layers": [{"repeat": 2, "name": "r", "layers": ["ReLU"]}]},
    "budget": {"inputs": {"x": [8]}, "layers": ["ReLU"], "budget": {"params": "500k", "macs": 3}},
    "activations": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "activation": {"relu": {"max_value": 6}}}}]},
    "constant": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "kernel_initializer": {"constant": [[1.0]]}}}]},
    "regularizers": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "kernel_regularizer": {"l2": 0.1}, "bias_regularizer": "l1"}}]},
    "regularizer of a block": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "kernel_regularizer": {"l1_l2": {"l1": "$a"}}, "bias_regularizer": {"l2": "$b"}}}]},
    "constant of a block": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "kernel_initializer": {"constant": "$k"}}}]},
    "classes": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 2}}], "classes": ["cat", "dog"]},
    "padding": {"inputs": {"x": [8]}, "layers": [{"Conv2D": {"filters": 1, "kernel_size": [1, 2], "padding": [1, [0, 2]]}}]},
}  # fmt: skip

BAD = {
    "no layers": {"inputs": {"x": [8]}},
    "no inputs": {"layers": ["ReLU"]},
    "unknown key": {"inputs": {"x": [8]}, "layers": ["ReLU"], "layer": 1},
    "no sizes": {"inputs": {"x": []}, "layers": ["ReLU"]},
    "size 0": {"inputs": {"x": [0]}, "layers": ["ReLU"]},
    "layers empty": {"inputs": {"x": [8]}, "layers": []},
    "unknown option": {"inputs": {"x": [8]}, "layers": [{"Dense": {"unit": 1}}]},
    "missing option": {"inputs": {"x": [8]}, "layers": [{"Dense": {}}]},
    "null for required": {"inputs": {"x": [8]}, "layers": [{"Dense": None}]},
    "two layers in one": {"inputs": {"x": [8]}, "layers": [{"ReLU": None, "ELU": None}]},
    "units 0": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 0}}]},
    "units huge": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 10**12}}]},
    "padding": {"inputs": {"x": [8]}, "layers": [{"MaxPooling2D": {"padding": "smae"}}]},
    "activation": {"inputs": {"x": [8]}, "layers": [{"Activation": {"activation": "rleu"}}]},
    "two activations": {"inputs": {"x": [8]}, "layers": [{"Activation": {"activation": {"relu": {}, "elu": {}}}}]},
    "repeat -1": {"inputs": {"x": [8]}, "layers": [{"repeat": -1, "layers": ["ReLU"]}]},
    "repeat alone": {"inputs": {"x": [8]}, "layers": [{"repeat": 1}]},
    "budget": {"inputs": {"x": [8]}, "layers": ["ReLU"], "budget": {"parms": 3}},
    "outputs": {"inputs": {"x": [8]}, "layers": ["ReLU"], "outputs": "re_lu"},
    "regularizer": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "kernel_regularizer": "l3"}}]},
    "regularizer below 0": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "kernel_regularizer": {"l2": -1}}}]},
    "classes": {"inputs": {"x": [8]}, "layers": ["ReLU"], "classes": ["cat", "cat"]},
    "a class a number": {"inputs": {"x": [8]}, "layers": ["ReLU"], "classes": [1]},
    "text for a truth": {"inputs": {"x": [8]}, "layers": [{"Dense": {"units": 1, "use_bias": "no"}}]},
}  # fmt: skip


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD)
def test_good(document: Any) -> None:
    VALIDATOR.validate(document)


@pytest.mark.parametrize("document", BAD.values(), ids=BAD)
def test_bad(document: Any) -> None:
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("title", OPS)
def test_every_operator_and_field_is_there(title: str) -> None:
    definition = SCHEMA["$defs"][f"op.{title}"]
    fields = {field.name for field in option_fields(OPS[title])}
    assert definition["properties"].keys() == fields | {"name", "inputs", "shares"}
    assert definition["description"]
    assert title in SCHEMA["$defs"]["layer"]["anyOf"][0]["enum"]
    assert title in SCHEMA["$defs"]["layer"]["anyOf"][2]["properties"]


def test_every_function_and_initializer_is_there() -> None:
    kinds = {"activation": FUNCTIONS, "initializer": INITIALIZERS, "regularizer": REGULARIZERS}
    for definition, names in kinds.items():
        by_name, by_options = SCHEMA["$defs"][definition]["anyOf"]
        assert set(by_name["enum"]) == set(names)
        assert set(by_options["properties"]) == set(names)


def test_the_command_prints_it() -> None:
    command = [sys.executable, "-m", "graphcnn", "schema"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(json.dumps(SCHEMA))
    assert done.stderr == ""


NUMBERS = st.one_of(
    st.integers(-3, 9),
    st.sampled_from([2**31 - 1, 2**31, 2**63, 10**12, -(2**40)]),
    st.sampled_from([0.5, -0.5, 2.5, 1e-3]),  # To JSON Schema 2.0 is an integer, and 2 to YAML.
)
WORDS = sorted(
    {"valid", "same", "causal", "fan_in", "nearest", "bilinear", "horizontal", "other", ""}
    | set(FUNCTIONS) | set(INITIALIZERS) | set(REGULARIZERS)
)  # fmt: skip
SCALARS = st.one_of(NUMBERS, st.booleans(), st.none(), st.sampled_from(WORDS))
LISTS = st.lists(st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=3)
NESTED = st.dictionaries(
    st.sampled_from(WORDS),
    st.one_of(
        SCALARS,
        LISTS,
        st.dictionaries(st.sampled_from(["max_value", "negative_slope", "value", "axis", "l1", "l2"]), SCALARS, max_size=2),
    ),
    max_size=2,
)  # fmt: skip
VALUES = st.one_of(SCALARS, LISTS, NESTED)


@st.composite
def layers(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    title = draw(st.sampled_from(sorted(OPS)))
    fields = [field.name for field in option_fields(OPS[title])]
    names = draw(st.lists(st.sampled_from([*fields, "other"]), unique=True, max_size=4))
    return title, {name: draw(VALUES) for name in names}


def refusals(title: str, options: dict[str, Any]) -> list[str]:
    """What `build` says of the options, without what no schema can tell: values that clash."""
    try:
        build(OPS[title], options)
    except GraphCNNError as error:
        kinds = ("expected", "unknown", "missing")
        return [e.message for e in ErrorGroup([error]).errors if any(k in e.message for k in kinds)]
    return []


@settings(max_examples=800)
@given(layers())
def test_it_agrees_with_what_is_accepted(layer: tuple[str, dict[str, Any]]) -> None:
    title, options = layer
    schema_accepts = validator(f"op.{title}").is_valid(options)
    refused = refusals(title, options)
    if schema_accepts:
        assert not [text for text in refused if not _beyond_types(text)]
    else:
        assert refused


def _beyond_types(message: str) -> bool:
    """Whether a refusal is of a rule between values, which a schema does not hold."""
    rules = (
        "sizes or one for all", "numbers, one an axis", "each of 1 to", "less than the strides",
        "no negative number", "lists of equal length", "expected numbers", "finite",
    )  # fmt: skip
    return any(rule in message for rule in rules)
