"""The ``train:`` key of a model file: where it is read, and the places of what is wrong in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import graphcnn
from graphcnn import Graph, GraphCNNError
from graphcnn.recipe import EarlyStopping, Recipe
from graphcnn.recipe.optimizers import Adam
from graphcnn.recipe.schedules import CosineDecay

MODEL = "inputs: {image: [8, 8, 1]}\nlayers: [Flatten, Dense: {units: 3}]\n"


def read(tmp_path: Path, text: str) -> Graph:
    path = tmp_path / "model.yaml"
    path.write_text(MODEL + text)
    return graphcnn.load(path)


def test_a_model_without_it(tmp_path: Path) -> None:
    assert read(tmp_path, "").recipe is None


def test_a_model_with_it(tmp_path: Path) -> None:
    text = """
train:
  optimizer: {adam: {learning_rate: {cosine_decay: {initial_learning_rate: 0.1}}}}
  early_stopping: {patience: 3}
  validation_split: 10000
  class_weight: {0: 2, b: 1.5}
"""
    graph = read(tmp_path, text)
    schedule = CosineDecay(initial_learning_rate=0.1)
    assert graph.recipe == Recipe(
        optimizer=Adam(learning_rate=schedule),
        early_stopping=EarlyStopping(patience=3),
        validation_split=10000,
        class_weight={0: 2.0, "b": 1.5},
    )
    assert graph.clone().recipe == graph.recipe


def test_an_empty_one(tmp_path: Path) -> None:
    assert read(tmp_path, "train: {}\n").recipe == Recipe()


def test_the_places_of_what_is_wrong(tmp_path: Path) -> None:
    text = """\
train:
  optimizer:
    adam:
      learning_rat: 1
      beta_1: 2
      learning_rate:
        cosine_decay: {initial_learning_rate: 0.1, decay_step: 3}
  loss: cross
  metrics: [auc, acuracy, {precision: {thresh: 3}}]
  augmentation:
    - RandomFlip: {mode: horizontl}
    - RandomCrop
  epochs: 0
  early_stopping: {patince: 3}
  class_weight: {a: -1, 1: 2, "1": 3}
  epoch: 3
"""
    with pytest.raises(GraphCNNError) as caught:
        read(tmp_path, text)
    found = [
        (error.location.line - 2, error.location.column, error.message.rsplit(": ", 1)[-1])
        for error in caught.value.errors
        if error.location
    ]
    assert found == [
        (4, 7, "unknown key 'learning_rat'"),
        (5, 7, "expected a number < 1.0, found 2"),
        (7, 52, "unknown key 'decay_step'"),
        (8, 3, "unknown loss 'cross'"),
        (9, 18, "unknown metric 'acuracy'"),
        (9, 40, "unknown key 'thresh'"),
        (11, 20, "expected horizontal or horizontal_and_vertical or vertical, found 'horizontl'"),
        (12, 7, "missing padding"),
        (13, 3, "expected an integer >= 1, found 0"),
        (14, 20, "unknown key 'patince'"),
        (15, 18, "expected a number of 0 or more, found -1"),
        (15, 31, "expected each class once, by its name or its index, found '1'"),
        (16, 3, "unknown key 'epoch'"),
    ]
    hints = [error.hint for error in caught.value.errors]
    assert hints[0] == "did you mean learning_rate?"
    assert hints[-1] == "did you mean epochs?"
    assert {error.subject for error in caught.value.errors} == {"train"}


@pytest.mark.parametrize("value", ["", "adam", "[adam]", "3"])
def test_it_is_a_mapping(tmp_path: Path, value: str) -> None:
    with pytest.raises(GraphCNNError, match="train: expected a mapping, found"):
        read(tmp_path, f"train: {value}\n")


def test_what_is_wrong_elsewhere_is_said_too(tmp_path: Path) -> None:
    with pytest.raises(GraphCNNError) as caught:
        read(tmp_path, "train: {epochs: 0}\nbudget: {parms: 3}\noutputs: [none]\n")
    assert len(caught.value.errors) == 3


def test_files_without_it_do_not_pay_for_it(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(MODEL)
    code = (
        "import sys, graphcnn; graphcnn.load(sys.argv[1]); print('graphcnn.recipe' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
