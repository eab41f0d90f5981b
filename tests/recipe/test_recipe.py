"""What a recipe holds, what it refuses, and the way to JSON and back."""

# ruff: noqa: E501 (tables: one case a line)

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from graphcnn.errors import GraphCNNError
from graphcnn.ops import RandomFlip
from graphcnn.options import build, option_fields
from graphcnn.recipe import CHOICES, EarlyStopping, RandomCrop, Recipe
from graphcnn.recipe.losses import MeanSquaredError, SparseCategoricalCrossentropy
from graphcnn.recipe.metrics import Accuracy, SparseTopKCategoricalAccuracy
from graphcnn.recipe.optimizers import SGD, Adam, AdamW
from graphcnn.recipe.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    PolynomialDecay,
)

from .samples import KINDS, accepted, needed


def recipe_with(what: str, chosen: Any) -> dict[str, Any]:
    """A recipe that makes one choice."""
    if what == "schedule":
        return {"optimizer": {"sgd": {"learning_rate": chosen}}}
    key = {"metric": "metrics"}.get(what, what)
    return {key: chosen if what in ("optimizer", "loss") else [chosen]}


def through_json(recipe: Recipe) -> Recipe:
    return build(Recipe, json.loads(json.dumps(recipe.to_plain(), allow_nan=False)))


def test_an_empty_recipe() -> None:
    recipe = build(Recipe, {})
    assert recipe == Recipe()
    assert recipe.optimizer == Adam(learning_rate=0.001)
    assert (recipe.loss, recipe.metrics, recipe.augmentation) == (None, (), ())
    assert (recipe.epochs, recipe.batch_size, recipe.validation_split, recipe.seed) == (
        10,
        32,
        0,
        0,
    )


def test_a_full_recipe() -> None:
    recipe = build(
        Recipe,
        {
            "optimizer": {"sgd": {"learning_rate": {"exponential_decay": {"initial_learning_rate": 1, "decay_steps": 10, "decay_rate": 0.5}}, "momentum": 0.9}},
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy", {"top_k_categorical_accuracy": {"k": 3}}],
            "epochs": 5,
            "batch_size": 64,
            "steps_per_epoch": 100,
            "validation_split": 0.1,
            "seed": 7,
            "augmentation": [{"RandomFlip": {"mode": "horizontal"}}, {"RandomCrop": {"padding": 4}}],
            "early_stopping": {"patience": 3, "monitor": "val_accuracy", "mode": "max"},
            "class_weight": {"shirt": 2, "0": 0.5},
            "precision": "auto",
            "monitor": "val_accuracy",
        },
    )  # fmt: skip
    schedule = ExponentialDecay(initial_learning_rate=1.0, decay_steps=10, decay_rate=0.5)
    assert recipe == Recipe(
        optimizer=SGD(learning_rate=schedule, momentum=0.9),
        loss=SparseCategoricalCrossentropy(),
        metrics=(Accuracy(), SparseTopKCategoricalAccuracy(k=3)),
        epochs=5,
        batch_size=64,
        steps_per_epoch=100,
        validation_split=0.1,
        seed=7,
        augmentation=(RandomFlip(mode="horizontal"), RandomCrop(padding=4)),
        early_stopping=EarlyStopping(patience=3, monitor="val_accuracy", mode="max"),
        class_weight={"shirt": 2.0, 0: 0.5},
        precision="auto",
        monitor="val_accuracy",
    )
    assert through_json(recipe) == recipe


@pytest.mark.parametrize(("what", "name"), KINDS, ids=map("-".join, KINDS))
def test_to_plain_and_back(what: str, name: str) -> None:
    cls = CHOICES[what][name]
    every = [needed(cls), *(o for field in option_fields(cls) for o in accepted(cls, field.name))]
    for options in every:
        recipe = build(Recipe, recipe_with(what, {name: options}))
        assert through_json(recipe) == recipe
    for field in option_fields(cls):
        default = getattr(build(cls, needed(cls)), field.name)
        made = [getattr(build(cls, o), field.name) for o in accepted(cls, field.name)]
        assert any(value != default for value in made), f"no other value was tried on {field.name}"


def test_plain_data_holds_the_defaults() -> None:
    plain = Recipe(loss=MeanSquaredError(), class_weight={3: 1.0}).to_plain()
    assert plain["optimizer"]["adam"]["learning_rate"] == 0.001
    assert plain["loss"] == {"mean_squared_error": {}}
    assert plain["class_weight"] == {"3": 1.0}
    assert plain.keys() == {field.name for field in option_fields(Recipe)}


def test_names_that_mean_the_same() -> None:
    assert build(Recipe, {"loss": "mse"}) == build(Recipe, {"loss": "mean_squared_error"})
    assert build(Recipe, {"metrics": ["mae"]}) == build(
        Recipe, {"metrics": ["mean_absolute_error"]}
    )


def test_classes_with_the_same_fields_differ() -> None:
    options = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}
    assert ExponentialDecay(**options) != InverseTimeDecay(**options)  # type: ignore[arg-type]


def test_class_weights() -> None:
    assert Recipe(class_weight="balanced").class_weight == "balanced"
    assert build(Recipe, {"class_weight": {0: 1, "1": 2, "01": 3}}).class_weight == {
        0: 1,
        1: 2,
        "01": 3,
    }


def test_overrides() -> None:
    recipe = Recipe(
        epochs=3,
        seed=5,
        metrics=(Accuracy(),),
        class_weight={1: 2.0},
        early_stopping=EarlyStopping(patience=2),
    )
    changed = recipe.with_overrides(epochs=7, optimizer={"adamw": {"weight_decay": 0.1}})
    assert changed == Recipe(
        epochs=7, seed=5, metrics=(Accuracy(),), class_weight={1: 2.0}, early_stopping=EarlyStopping(patience=2),
        optimizer=AdamW(weight_decay=0.1),
    )  # fmt: skip
    assert recipe.with_overrides() == recipe
    with pytest.raises(GraphCNNError, match=r"epochs: expected an integer >= 1, found 0"):
        recipe.with_overrides(epochs=0)
    with pytest.raises(GraphCNNError, match="unknown key 'epoch'"):
        recipe.with_overrides(epoch=1)


def test_steps_of_a_whole_training() -> None:
    assert CosineDecay(initial_learning_rate=0.1).with_steps(100).decay_steps == 100
    warm = CosineDecay(initial_learning_rate=0.0, warmup_target=0.1, warmup_steps=30)
    assert warm.with_steps(100).decay_steps == 70
    assert warm.with_steps(20).decay_steps == 1
    assert CosineDecay(initial_learning_rate=0.1, decay_steps=5).with_steps(100).decay_steps == 5
    assert PolynomialDecay(initial_learning_rate=0.1).with_steps(100).decay_steps == 100
    fixed = ExponentialDecay(initial_learning_rate=0.1, decay_steps=5, decay_rate=0.5)
    assert fixed.with_steps(100) == fixed


class Refused(NamedTuple):
    recipe: dict[str, Any]
    path: tuple[Any, ...]
    message: str
    hint: str | None = None


def schedule(**options: Any) -> dict[str, Any]:
    return {"optimizer": {"sgd": {"learning_rate": {"cosine_decay": options}}}}


def piecewise(**options: Any) -> dict[str, Any]:
    return {"optimizer": {"sgd": {"learning_rate": {"piecewise_constant_decay": options}}}}


RATE = ("optimizer", "learning_rate")
REFUSED = {
    "unknown key": Refused({"epoch": 3}, ("epoch",), "unknown key 'epoch'", "did you mean epochs?"),
    "unknown optimizer": Refused({"optimizer": "adamm"}, ("optimizer",), "optimizer: unknown optimizer 'adamm'", "did you mean adam?"),
    "two optimizers": Refused({"optimizer": {"adam": {}, "sgd": {}}}, ("optimizer",), "expected a name or a mapping of one name", "adam, or {adam:"),
    "optimizer a number": Refused({"optimizer": 3}, ("optimizer",), "expected a name or a mapping of one name, found 3"),
    "optimizer null": Refused({"optimizer": None}, ("optimizer",), "expected a name or a mapping of one name, found null"),
    "unknown option": Refused({"optimizer": {"adam": {"lerning_rate": 1}}}, ("optimizer", "lerning_rate"), "optimizer: unknown key 'lerning_rate'", "did you mean learning_rate?"),
    "rate 0": Refused({"optimizer": {"adam": {"learning_rate": 0}}}, RATE, "expected a number above 0, or a schedule, found 0"),
    "rate below 0": Refused({"optimizer": {"adam": {"learning_rate": -0.1}}}, RATE, "expected a number above 0, or a schedule, found -0.1"),
    "rate true": Refused({"optimizer": {"adam": {"learning_rate": True}}}, RATE, "expected a number above 0, or a schedule, found true"),
    "rate nan": Refused({"optimizer": {"adam": {"learning_rate": float("nan")}}}, RATE, "expected a number above 0, or a schedule, found nan"),
    "rate infinite": Refused({"optimizer": {"adam": {"learning_rate": float("inf")}}}, RATE, "expected a number above 0, or a schedule, found inf"),
    "rate null": Refused({"optimizer": {"adam": {"learning_rate": None}}}, RATE, "found null", "{cosine_decay: {initial_learning_rate: 0.1}}"),
    "unknown schedule": Refused({"optimizer": {"adam": {"learning_rate": {"cosine": {}}}}}, RATE, "unknown schedule 'cosine'", "did you mean cosine_decay?"),
    "schedule alone": Refused({"optimizer": {"adam": {"learning_rate": "cosine_decay"}}}, RATE, "missing initial_learning_rate"),
    "two clips": Refused({"optimizer": {"adam": {"clipnorm": 1, "clipvalue": 1}}}, ("optimizer", "clipvalue"), "expected one of clipnorm, clipvalue"),
    "accumulation of 1": Refused({"optimizer": {"adam": {"gradient_accumulation_steps": 1}}}, ("optimizer", "gradient_accumulation_steps"), "expected an integer >= 2"),
    "adamw without decay": Refused({"optimizer": {"adamw": {"weight_decay": None}}}, ("optimizer", "weight_decay"), "expected a number, found null"),
    "a pattern": Refused({"optimizer": {"muon": {"exclude_layers": ["(a+)+$"]}}}, ("optimizer", "exclude_layers", 0), "matching regex"),
    "warmup without target": Refused(schedule(initial_learning_rate=0.1, warmup_steps=5), (*RATE, "warmup_steps"), "expected warmup_target beside it"),
    "target without warmup": Refused(schedule(initial_learning_rate=0.1, warmup_target=0.5), (*RATE, "warmup_target"), "expected warmup_steps of 1 or more beside it"),
    "a rate of 0 for ever": Refused(schedule(initial_learning_rate=0), (*RATE, "initial_learning_rate"), "expected a number above 0 where there is no warmup"),
    "boundaries descend": Refused(piecewise(boundaries=[5, 3], values=[1, 2, 3]), (*RATE, "boundaries"), "expected ascending steps, found [5, 3]"),
    "boundaries repeat": Refused(piecewise(boundaries=[3, 3], values=[1, 2, 3]), (*RATE, "boundaries"), "expected ascending steps"),
    "too few values": Refused(piecewise(boundaries=[3], values=[1]), (*RATE, "values"), "values: expected 2, one more than boundaries, found 1"),
    "unknown loss": Refused({"loss": "categorical_crossentropi"}, ("loss",), "unknown loss", "did you mean categorical_crossentropy?"),
    "from_logits": Refused({"loss": {"binary_crossentropy": {"from_logits": True}}}, ("loss", "from_logits"), "unknown key 'from_logits'", "known: label_smoothing"),
    "smoothing 2": Refused({"loss": {"binary_crossentropy": {"label_smoothing": 2}}}, ("loss", "label_smoothing"), "expected a number <= 1.0, found 2"),
    "metrics a name": Refused({"metrics": "auc"}, ("metrics",), "metrics: expected a list, found 'auc'"),
    "unknown metric": Refused({"metrics": ["auc", "acuracy"]}, ("metrics", 1), "unknown metric 'acuracy'", "did you mean accuracy?"),
    "metric's option": Refused({"metrics": ["auc", {"auc": {"curve": "roc"}}]}, ("metrics", 1, "curve"), "expected PR or ROC, found 'roc'"),
    "many metrics": Refused({"metrics": ["auc"] * 65}, ("metrics",), "expected at most 64, found 65"),
    "no augmentation": Refused({"augmentation": ["Dense"]}, ("augmentation", 0), "unknown augmentation 'Dense'"),
    "crop by nothing": Refused({"augmentation": [{"RandomCrop": {"padding": 0}}]}, ("augmentation", 0, "padding"), "expected an integer >= 1"),
    "crop alone": Refused({"augmentation": ["RandomCrop"]}, ("augmentation", 0), "missing padding"),
    "turns": Refused({"augmentation": [{"RandomRotation": {"factor": 20}}]}, ("augmentation", 0, "factor"), "expected a number <= 1.0, found 20"),
    "three factors": Refused({"augmentation": [{"RandomErasing": {"scale": [0.1, 0.2, 0.3]}}]}, ("augmentation", 0, "scale"), "expected a list of length <= 2"),
    "epochs 0": Refused({"epochs": 0}, ("epochs",), "epochs: expected an integer >= 1, found 0"),
    "half an epoch": Refused({"epochs": 1.5}, ("epochs",), "epochs: expected an integer, found 1.5"),
    "seed below 0": Refused({"seed": -1}, ("seed",), "seed: expected an integer >= 0"),
    "seed too large": Refused({"seed": 2**31}, ("seed",), "seed: expected an integer <= 2147483647"),
    "all for validation": Refused({"validation_split": 1.0}, ("validation_split",), "expected a number < 1.0, found 1.0"),
    "half more for validation": Refused({"validation_split": 1.5}, ("validation_split",), "expected a number < 1.0, found 1.5"),
    "less than none": Refused({"validation_split": -1}, ("validation_split",), "expected an integer >= 0"),
    "precision": Refused({"precision": "float16"}, ("precision",), "expected auto or float32, found 'float16'"),
    "early stopping": Refused({"early_stopping": 3}, ("early_stopping",), "expected a mapping, found 3", "for example: {patience: 3}"),
    "patience": Refused({"early_stopping": {"patince": 3}}, ("early_stopping", "patince"), "unknown key 'patince'", "did you mean patience?"),
    "class weight": Refused({"class_weight": "balance"}, ("class_weight",), "expected balanced, or a mapping", "did you mean balanced?"),
    "class weight below 0": Refused({"class_weight": {"shirt": -1}}, ("class_weight", "shirt"), "shirt: expected a number of 0 or more, found -1"),
    "class weight nan": Refused({"class_weight": {"shirt": float("nan")}}, ("class_weight", "shirt"), "expected a number of 0 or more, found nan"),
    "class twice": Refused({"class_weight": {0: 1, "0": 1}}, ("class_weight", "0"), "expected each class once"),
    "class a number": Refused({"class_weight": {0.5: 1}}, ("class_weight", 0.5), "by its name or its index, found 0.5"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(case: Refused) -> None:
    with pytest.raises(GraphCNNError) as caught:
        build(Recipe, case.recipe)
    (error,) = caught.value.errors
    assert error.path == case.path  # type: ignore[attr-defined]
    assert case.message in error.message
    if case.hint:
        assert case.hint in (error.hint or "")


def test_everything_wrong_is_said_at_once() -> None:
    wrong = {
        "optimizer": {"adam": {"beta_1": 2, "epsilon": -1}},
        "metrics": ["auk", {"precision": {"top_k": 0}}],
        "augmentation": [{"RandomZoom": {"height_factor": 3}}],
        "batch_size": 0,
    }
    with pytest.raises(GraphCNNError) as caught:
        build(Recipe, wrong)
    assert [error.path for error in caught.value.errors] == [  # type: ignore[attr-defined]
        ("optimizer", "beta_1"),
        ("optimizer", "epsilon"),
        ("metrics", 0),
        ("metrics", 1, "top_k"),
        ("batch_size",),
        ("augmentation", 0, "height_factor"),
    ]


def test_it_needs_no_tensorflow() -> None:
    code = "import sys, graphcnn.recipe; print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


ODD_FIELDS = """
from graphcnn.errors import GraphCNNError
from graphcnn.options import build, option_fields
from graphcnn.recipe import CHOICES, EarlyStopping, Recipe
from tests.recipe.samples import VALUES, needed

odd = [2**64, 10**400, -2**70, 1e308, float("nan"), float("inf"), "", "\\ud800", b"x", object(), 1j, (1, 2),
       [[1]], [[]], [None], ["x"], {}, {"adam": None}, {"adam": {}}, {1: 2}, {None: None}, {"adam": {1: 2}}, [1] * 1000]
count = 0
for cls in {Recipe, EarlyStopping, *(cls for known in CHOICES.values() for cls in known.values())}:
    for field in option_fields(cls):
        for value in [*VALUES, *odd]:
            try:
                build(cls, {**needed(cls), field.name: value})
            except GraphCNNError as error:
                str(error)
            count += 1
print(count)
"""


def test_odd_fields_in_a_process_of_their_own() -> None:
    """Some unions of types make msgspec crash, which only another process survives."""
    done = subprocess.run([sys.executable, "-c", ODD_FIELDS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 10_000
