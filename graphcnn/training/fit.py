"""Training a graph: from a recipe and data to the weights of the best epoch, nothing lost between.

Everything that decides the result is in the run's configuration, and everything that goes on from
epoch to epoch is in its state, so a run that is resumed ends with the weights that it would have
had.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from typing import Any, Literal, Protocol

import numpy as np

from graphcnn.classes import common_classes
from graphcnn.datasets import Dataset, check_single
from graphcnn.engine import keras, tf
from graphcnn.errors import CheckFailed, TrainingError, did_you_mean
from graphcnn.graph import Graph
from graphcnn.recipe import Recipe
from graphcnn.recipe.history import Record, best_epoch, should_stop
from graphcnn.text import print_graph
from graphcnn.weights import WeightStore

from .augment import augmentation
from .build import KerasTwin, build_twin
from .feed import Feed, count_steps, split_feeds
from .interrupts import held_interrupts
from .keras_options import compute_dtype, make_optimizer
from .loop import Trainer
from .objective import choose_objective
from .replicas import (
    StrategyName,
    check_replicas,
    choose_strategy,
    is_chief,
    losing_workers,
)
from .run_directory import RunDirectory, State


class Progress(Protocol):
    """Is told how a training goes, in the process that writes the files."""

    def started(self, history: Sequence[Record], notes: Sequence[str]) -> None:
        """It begins after epochs that were finished before."""

    def epoch(self, number: int, steps: int) -> None:
        """An epoch begins."""

    def steps(self, count: int, loss: float) -> None:
        """Steps are done; `loss` is the mean of the epoch so far."""

    def record(self, record: Record) -> None:
        """An epoch is finished and kept."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a training ended.

    Attributes:
        history: A record an epoch.
        best: The number of the best epoch, from 1; 0 where none was finished.
        weights: The weights of that epoch; None where there is none.
        stopped: Why it ended.
    """

    history: tuple[Record, ...]
    best: int
    weights: WeightStore | None
    stopped: Literal["finished", "early", "interrupted"]


def train(
    graph: Graph,
    dataset: Dataset,
    recipe: Recipe,
    run: RunDirectory,
    progress: Progress,
    *,
    initial: WeightStore | None = None,
    freeze: Sequence[str] = (),
    strategy: StrategyName = "auto",
    resume: bool = False,
    force: bool = False,
) -> TrainResult:
    """Train a graph.

    Args:
        graph: The model: one input, one output.
        dataset: Its data; the training split is used.
        recipe: How to train.
        run: Where the run is kept.
        progress: Is told how it goes.
        initial: Weights to start from, by name; those that it lacks are drawn.
        freeze: Patterns of names of layers that are not trained, such as ``block1/*``.
        strategy: How many devices and machines take part.
        resume: Go on with the run in the directory.
        force: Replace the run in the directory.

    Raises:
        TrainingError: The recipe, the model and the data do not fit each other, or the run cannot
            be gone on with.
        CheckFailed: The loss became NaN or infinite.
        ExportError: The disk is full. What earlier epochs saved is kept.
    """
    check_single(graph)
    scope = choose_strategy(strategy)
    chief = is_chief(scope)
    common_classes(dataset.classes, graph.classes)
    classes = graph.classes or dataset.classes
    feed, held = split_feeds(dataset, recipe, classes, _scores(graph))
    steps = count_steps(recipe, len(feed))
    check_replicas(scope, recipe, len(feed) - (steps - 1) * recipe.batch_size)
    with scope.scope():
        trainer, notes = _trainer(graph, dataset, recipe, initial, freeze, scope, steps)
    _check_monitors(recipe, trainer.objective.names, held is not None)
    config = _config(graph, dataset, classes, recipe, initial, freeze, scope)
    progress = progress if chief else _Silent()
    loop = _Epochs(trainer, recipe, run, progress, feed, held, steps, classes, chief)
    with ExitStack() as stack, losing_workers(scope):
        if chief:
            state = stack.enter_context(run.opened(config, resume=resume, force=force))
        else:
            state = run.followed(config, resume=resume)
        history = loop.restore(state) if state else []
        progress.started(history, notes)
        stopped = loop.go_on(history)
        best = best_epoch(history, recipe.monitor)
        weights = _in_memory(WeightStore.read(run.best)) if best and chief else None
    return TrainResult(tuple(history), best, weights, stopped)


@dataclass(frozen=True, slots=True)
class _Epochs:
    """What every epoch needs."""

    trainer: Trainer
    recipe: Recipe
    run: RunDirectory
    progress: Progress
    feed: Feed
    held: Feed | None
    steps: int
    classes: tuple[str, ...]
    chief: bool

    def go_on(self, history: list[Record]) -> Literal["finished", "early", "interrupted"]:
        """Train from the epoch after the last of the history, and add to it."""
        try:
            with held_interrupts() as check_interrupt:
                while len(history) < self.recipe.epochs:
                    if should_stop(history, self.recipe.early_stopping):
                        return "early"
                    check_interrupt()
                    self._epoch(history, check_interrupt)
        except KeyboardInterrupt:
            return "interrupted"
        return "finished"

    def restore(self, state: State) -> list[Record]:
        """Set everything to what it was after an epoch, and make its files again."""
        self.trainer.restore(state.arrays)
        with self.trainer.averaged():
            weights = _weights(self.trainer, self.classes)
        if self.chief:
            self.run.write_derived(state, weights, self._is_best(state))
        return list(state.history)

    def _is_best(self, state: State) -> bool:
        return best_epoch(state.history, self.recipe.monitor) == len(state.history)

    def _epoch(self, history: list[Record], check_interrupt: Callable[[], None]) -> None:
        number, size = len(history) + 1, self.recipe.batch_size
        self.progress.epoch(number, self.steps)
        start = time.perf_counter()
        batches = self.feed.epoch(self.recipe.seed, number, size, self.steps)
        sizes = np.full(self.steps, size)
        sizes[-1] = min(size, len(self.feed) - (self.steps - 1) * size)

        def advance(count: int, loss: float) -> None:
            self.progress.steps(count, loss)
            check_interrupt()

        found = self.trainer.run_epoch(batches, number, sizes, advance)
        with self.trainer.averaged():
            held = self.held
            judged = self.trainer.validate(held, size, check_interrupt) if held else {}
            record = {
                "epoch": number,
                "steps": self.steps,
                "samples": int(sizes.sum()),
                "seconds": round(time.perf_counter() - start, 3),
                "learning_rate": self.trainer.learning_rate,
                **found,
                **{f"val_{name}": value for name, value in judged.items()},
            }
            weights = _weights(self.trainer, self.classes)
        # Reading a variable that replicas have each their own of asks all of them: all do it.
        state = State(self.trainer.arrays(), (*history, record))
        _check_finite(number, judged, weights)
        if self.chief:
            self.run.save(state, weights, self._is_best(state))
        history.append(record)
        self.progress.record(record)


class _Silent:
    """The progress of a process that writes nothing."""

    def started(self, history: Sequence[Record], notes: Sequence[str]) -> None:
        """Nothing."""

    def epoch(self, number: int, steps: int) -> None:
        """Nothing."""

    def steps(self, count: int, loss: float) -> None:
        """Nothing."""

    def record(self, record: Record) -> None:
        """Nothing."""


def _check_finite(epoch: int, judged: Mapping[str, float], weights: WeightStore) -> None:
    """Refuse to keep an epoch that left the model unusable."""
    wrong = [f"val_{k}" for k, v in judged.items() if k == "loss" and not math.isfinite(v)]
    wrong += [name for name, weight in weights.items() if not np.isfinite(weight.load()).all()]
    if wrong:
        raise CheckFailed(
            f"after epoch {epoch} {wrong[0]} is not finite",
            hint="a lower learning_rate, or clipnorm in the optimizer; earlier epochs are kept",
        )


def _check_monitors(recipe: Recipe, names: Sequence[str], validated: bool) -> None:
    """Refuse to go by what no epoch's record will hold, before one is trained.

    Raises:
        TrainingError: With the names that there will be.
    """
    known = [*names, *[f"val_{name}" for name in names if validated]]
    stopping = recipe.early_stopping
    wanted = {"monitor": recipe.monitor, "early_stopping": stopping.monitor if stopping else None}
    for key, name in wanted.items():
        if name is not None and name not in known:
            hint = "validation_split holds samples back for val_..." if not validated else None
            raise TrainingError(
                f"{key}: there will be no {name} to go by, only {', '.join(known)}",
                hint=hint if name.startswith("val_") else did_you_mean(name, known),
            )


def _in_memory(store: WeightStore) -> WeightStore:
    """The weights, whatever becomes of their file."""
    arrays = {name: weight.load() for name, weight in store.items()}
    return WeightStore.from_arrays(arrays, store.origin, store.classes)


def _scores(graph: Graph) -> int:
    (source,) = graph.outputs.values()
    last = graph.type(source).sizes[-1:]
    return last[0] if last and isinstance(last[0], int) else 1


def _weights(trainer: Trainer, classes: Sequence[str]) -> WeightStore:
    return WeightStore.from_arrays(trainer.twin.arrays(), "trained", classes)


def _config(
    graph: Graph,
    dataset: Dataset,
    classes: Sequence[str],
    recipe: Recipe,
    initial: WeightStore | None,
    freeze: Sequence[str],
    scope: Any,
) -> dict[str, Any]:
    """Everything that decides the result."""
    rows = print_graph(graph, origins=False).splitlines()[1:]
    return {
        "graphcnn": version("graphcnn"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "model": [" ".join(row.split()) for row in rows],
        "classes": list(classes),
        "data": {name: len(split) for name, split in dataset.splits.items()}
        | {"sha256": dataset.fingerprint()},
        "train": recipe.to_plain(),
        "compute": compute_dtype(recipe),
        "initial": initial.origin if initial else f"random, seed {recipe.seed}",
        "freeze": list(freeze),
        "replicas": scope.num_replicas_in_sync,
    }


def _trainer(
    graph: Graph,
    dataset: Dataset,
    recipe: Recipe,
    initial: WeightStore | None,
    freeze: Sequence[str],
    scope: Any,
    steps: int,
) -> tuple[Trainer, list[str]]:
    """The trainer at its first step, and what the user should know of how it was made."""
    assert dataset.train is not None
    objective = choose_objective(graph, recipe, labels=dataset.train.y.dtype.kind != "f")
    dtype = compute_dtype(recipe)
    twin = build_twin(graph, logits=objective.without_activation, dtype=dtype)
    notes = _load_initial(twin, initial, recipe.seed)
    notes += _freeze(twin, freeze)
    optimizer = make_optimizer(recipe.optimizer, steps * recipe.epochs)
    augment = augmentation(recipe, graph, objective)
    return Trainer(twin, objective, optimizer, augment, scope, recipe.seed), notes


def _load_initial(twin: KerasTwin, initial: WeightStore | None, seed: int) -> list[str]:
    """Set the first weights: those that are given, and drawn ones for the rest."""
    specs = twin.graph.weights
    drawn = WeightStore.random(specs, seed)
    if initial is None:
        twin.load(drawn)
        return []
    known = {name: initial[name] for name in specs if name in initial}
    if not known:
        raise TrainingError(
            "--init-from: none of its weights is in the model",
            hint=f"it has {', '.join(list(initial)[:3])}, the model {', '.join(list(specs)[:3])}",
        )
    WeightStore(known, initial.origin).check({name: specs[name] for name in known})
    twin.load(WeightStore({**drawn, **known}, initial.origin))
    fresh = [name for name in specs if name not in known]
    unused = [name for name in initial if name not in specs]
    notes = [f"{len(known)} weights are taken over"]
    notes += [f"drawn anew: {', '.join(fresh)}"] if fresh else []
    return notes + ([f"not in the model: {', '.join(unused)}"] if unused else [])


def _freeze(twin: KerasTwin, patterns: Sequence[str]) -> list[str]:
    """Keep the weights of layers as they are."""
    named = [name for name in twin.layers if twin.graph.node(name).weights]
    frozen: list[str] = []
    for pattern in patterns:
        found = [name for name in named if fnmatchcase(name, pattern)]
        if not found:
            raise TrainingError(
                f"--freeze {pattern}: no layer with weights has such a name",
                hint=did_you_mean(pattern, named),
            )
        frozen += found
    for name in frozen:
        for layer in twin.layers[name]:
            layer.trainable = False
    return [f"frozen: {', '.join(dict.fromkeys(frozen))}"] if frozen else []
