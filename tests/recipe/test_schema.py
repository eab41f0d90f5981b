"""The JSON Schema of the ``train:`` key, and its agreement with what is accepted."""

# ruff: noqa: E501 (tables: one case a line)

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcnn.errors import ErrorGroup, GraphCNNError
from graphcnn.frontends.schema import model_schema
from graphcnn.options import build, option_fields
from graphcnn.recipe import CHOICES, EarlyStopping, Recipe

from .samples import KINDS, VALUES, accepted, needed
from .test_recipe import REFUSED, Refused, recipe_with

SCHEMA = model_schema()
TRAIN = SCHEMA["properties"]["train"]
VALIDATOR = jsonschema.Draft202012Validator({**TRAIN, "$defs": SCHEMA["$defs"]})

BEYOND = (
    "expected one of clip", "beside it", "where there is no warmup", "ascending", "one more than",
    "each class once",
)  # fmt: skip
"""Rules between values, which a schema does not hold."""


def test_every_field_is_there_with_its_default() -> None:
    assert TRAIN["properties"].keys() == {field.name for field in option_fields(Recipe)}
    for field in option_fields(Recipe):
        if isinstance(field.default, int | str):
            assert TRAIN["properties"][field.name]["default"] == field.default
    assert build(Recipe, {"optimizer": TRAIN["properties"]["optimizer"]["default"]}) == Recipe()


@pytest.mark.parametrize(("what", "name"), KINDS, ids=map("-".join, KINDS))
def test_every_choice_is_there_with_its_fields(what: str, name: str) -> None:
    definition = SCHEMA["$defs"][what]
    by_options = definition["anyOf"][1] if "anyOf" in definition else definition
    options = by_options["properties"][name]
    fields = option_fields(CHOICES[what][name])
    assert options["properties"].keys() == {field.name for field in fields}
    assert options["description"]
    for field in fields:
        if isinstance(field.default, int | float | str):
            assert options["properties"][field.name]["default"] == field.default


@pytest.mark.parametrize(("what", "name"), KINDS, ids=map("-".join, KINDS))
def test_what_is_accepted_is_valid(what: str, name: str) -> None:
    cls = CHOICES[what][name]
    for options in [needed(cls), *(o for f in option_fields(cls) for o in accepted(cls, f.name))]:
        VALIDATOR.validate(recipe_with(what, {name: options}))
    if not needed(cls):
        VALIDATOR.validate(recipe_with(what, name))
    else:
        assert not VALIDATOR.is_valid(recipe_with(what, name))


OTHER_IN_JSON = {
    "rate nan", "rate infinite", "class weight nan",  # There are no such numbers.
    "class a number",  # Keys are text.
    "all for validation",  # 1.0 is 1.
}  # fmt: skip

JSON_REFUSED = {
    name: case
    for name, case in REFUSED.items()
    if name not in OTHER_IN_JSON and not any(rule in case.message for rule in BEYOND)
}  # fmt: skip


@pytest.mark.parametrize("case", JSON_REFUSED.values(), ids=JSON_REFUSED)
def test_what_is_refused_is_not_valid(case: Refused) -> None:
    assert not VALIDATOR.is_valid(case.recipe)


def test_a_parameter_has_no_place_here() -> None:
    assert not VALIDATOR.is_valid({"epochs": "$epochs"})


def fields_of(cls: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from([*(field.name for field in option_fields(cls)), "other"])
    return st.dictionaries(names, st.sampled_from(VALUES), max_size=3).map(
        lambda o: {**needed(cls), **o}
    )


def chosen(what: str) -> st.SearchStrategy[Any]:
    known = CHOICES[what]
    name = st.sampled_from([*known, "other"])
    options = st.sampled_from(sorted(known)).flatmap(
        lambda n: fields_of(known[n]).map(lambda o: {n: o})
    )
    return st.one_of(options, name, st.sampled_from(VALUES))


SOME = st.sampled_from(VALUES)
KEYS: dict[str, st.SearchStrategy[Any]] = {
    "optimizer": chosen("optimizer"),
    "loss": chosen("loss"),
    "metrics": st.lists(chosen("metric"), max_size=2) | SOME,
    "augmentation": st.lists(chosen("augmentation"), max_size=2) | SOME,
    "early_stopping": fields_of(EarlyStopping) | SOME,
    "class_weight": st.dictionaries(st.sampled_from(["a", "0", "00"]), SOME, max_size=2) | st.just("balanced"),
    **dict.fromkeys(("epochs", "steps_per_epoch", "validation_split", "seed", "precision", "monitor", "other"), SOME),
}  # fmt: skip
"""One key a recipe: each key of two would hide what the other does."""

RECIPES = st.sampled_from(sorted(KEYS)).flatmap(lambda key: st.fixed_dictionaries({key: KEYS[key]}))


def check_agreement(recipe: dict[str, Any]) -> None:
    refused: list[str] = []
    try:
        build(Recipe, recipe)
    except GraphCNNError as error:
        refused = [one.message for one in ErrorGroup([error]).errors]
    if VALIDATOR.is_valid(recipe):
        assert not [text for text in refused if not any(rule in text for rule in BEYOND)]
    else:
        assert refused


@settings(max_examples=500)
@given(RECIPES)
def test_it_agrees_with_what_is_accepted(recipe: dict[str, Any]) -> None:
    check_agreement(recipe)


@settings(max_examples=200)
@given(chosen("schedule"))
def test_it_agrees_on_schedules(schedule: Any) -> None:
    check_agreement(recipe_with("schedule", schedule))
