"""Training a graph: from a recipe and data to the weights of the best epoch, nothing lost between.

Everything that decides the result is in the run's configuration, and everything that goes on from
epoch to epoch is in its state, so a run that is resumed ends with the weights that it would have
had.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from typing import Any, Literal, Protocol

import numpy as np

from graphcnn.datasets import Dataset, Split
from graphcnn.errors import DataError, TrainingError, did_you_mean
from graphcnn.graph import Graph
from graphcnn.options import option_fields
from graphcnn.recipe import Optimizer, Recipe, Schedule
from graphcnn.recipe.history import Record, best_epoch, should_stop
from graphcnn.text import print_graph
from graphcnn.weights import WeightStore

from .augment import augmentation
from .build import KerasTwin, build_twin
from .engine import keras, tf
from .feed import Feed, on_host
from .loop import Trainer
from .objective import choose_objective
from .replicas import StrategyName, choose_strategy, is_chief, losing_workers
from .run_directory import RunDirectory, State


class Progress(Protocol):
    """Is told how a training goes."""

    def started(self, resumed: int, notes: Sequence[str]) -> None:
        """It begins after so many epochs that were finished before."""

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
    scope = choose_strategy(strategy)
    chief = is_chief(scope)
    feed, held = _feeds(dataset, recipe)
    steps = _steps(recipe, len(feed))
    with scope.scope():
        trainer, notes = _trainer(graph, dataset, recipe, initial, freeze, scope, steps)
    config = _config(graph, dataset, recipe, initial, freeze, scope)
    state = _begin(run, config, resume, force, chief)
    history = list(state.history) if state else []
    classes = graph.classes or dataset.classes
    if state:
        trainer.restore(state.arrays)
        last = _weights(trainer, classes)
        if chief:
            run.write_derived(state, last)
    progress.started(len(history), notes)
    loop = _Epochs(trainer, recipe, run, progress, feed, held, steps, classes, chief)
    with losing_workers(scope):
        stopped = loop.go_on(history)
    best = best_epoch(history, recipe.monitor)
    weights = WeightStore.read(run.best) if best and chief else None
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
            while len(history) < self.recipe.epochs:
                if should_stop(history, self.recipe.early_stopping):
                    return "early"
                self._epoch(history)
        except KeyboardInterrupt:
            return "interrupted"
        return "finished"

    def _epoch(self, history: list[Record]) -> None:
        number, size = len(history) + 1, self.recipe.batch_size
        self.progress.epoch(number, self.steps)
        start = time.perf_counter()
        batches = self.feed.epoch(self.recipe.seed, number, size, self.steps)
        sizes = np.full(self.steps, size)
        sizes[-1] = min(size, len(self.feed) - (self.steps - 1) * size)
        found = self.trainer.run_epoch(batches, number, sizes, self.progress.steps)
        with self.trainer.averaged():
            judged = self.trainer.validate(self.held, size) if self.held else {}
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
        if self.chief:
            self._keep(state, weights)
        history.append(record)
        self.progress.record(record)

    def _keep(self, state: State, weights: WeightStore) -> None:
        """Write the epoch; the state comes after the best weights, which it answers for."""
        if best_epoch(state.history, self.recipe.monitor) == len(state.history):
            weights.save(self.run.best)
        self.run.save(state, weights)


def _weights(trainer: Trainer, classes: Sequence[str]) -> WeightStore:
    return WeightStore.from_arrays(trainer.twin.arrays(), "trained", classes)


def _begin(
    run: RunDirectory, config: Mapping[str, Any], resume: bool, force: bool, chief: bool
) -> State | None:
    if resume:
        return run.resume(config, chief)
    if chief:
        run.start(config, force)
    return None


def _config(
    graph: Graph,
    dataset: Dataset,
    recipe: Recipe,
    initial: WeightStore | None,
    freeze: Sequence[str],
    scope: Any,
) -> dict[str, Any]:
    """Everything that decides the result."""
    return {
        "graphcnn": version("graphcnn"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "model": print_graph(graph),
        "classes": list(graph.classes or dataset.classes),
        "data": {name: len(split) for name, split in dataset.splits.items()}
        | {"sha256": dataset.fingerprint()},
        "train": recipe.to_plain(),
        "compute": compute_dtype(recipe),
        "initial": initial.origin if initial else f"random, seed {recipe.seed}",
        "freeze": list(freeze),
        "replicas": scope.num_replicas_in_sync,
    }


def _feeds(dataset: Dataset, recipe: Recipe) -> tuple[Feed, Feed | None]:
    """What is trained on, and what is held back for validation."""
    split = dataset.train
    if split is None:
        raise DataError(f"{dataset.source}: there is no training data, only a test set")
    total, share = len(split), recipe.validation_split
    count = share if isinstance(share, int) else round(total * share)
    if count >= total:
        raise DataError(
            f"validation_split {share} leaves nothing to train on: there are {total:,} samples"
        )
    order = np.random.default_rng((recipe.seed, 0)).permutation(total)
    kept, held = np.sort(order[count:]), np.sort(order[:count])
    x, y = on_host(split.x), on_host(split.y)
    weights = _class_weights(split, recipe, dataset.classes)
    return Feed(x, y, kept, weights), Feed(x, y, held) if count else None


def _class_weights(split: Split, recipe: Recipe, names: Sequence[str]) -> Any:
    """A weight for each label; None where all count alike."""
    wanted = recipe.class_weight
    if wanted is None:
        return None
    if split.y.dtype.kind == "f":
        raise TrainingError("class_weight: the data holds targets, not labels of classes")
    counts = np.bincount(split.y, minlength=len(names))
    if wanted == "balanced":
        present = np.count_nonzero(counts)
        return (len(split) / (present * np.maximum(counts, 1))).astype(np.float32)
    weights = np.ones(len(counts), np.float32)
    for key, weight in wanted.items():
        weights[_class_index(key, names, len(counts))] = weight
    return weights


def _class_index(key: str | int, names: Sequence[str], count: int) -> int:
    by_name = {name: index for index, name in enumerate(names)}
    if str(key) in by_name:
        return by_name[str(key)]
    if isinstance(key, int) and 0 <= key < count:
        return key
    raise TrainingError(
        f"class_weight: there is no class {key!r}",
        hint=did_you_mean(str(key), names) or f"classes are 0 to {count - 1}",
    )


def _steps(recipe: Recipe, samples: int) -> int:
    most = math.ceil(samples / recipe.batch_size)
    if recipe.steps_per_epoch and recipe.steps_per_epoch > most:
        raise TrainingError(
            f"steps_per_epoch {recipe.steps_per_epoch:,} is more than the {most:,} batches of "
            f"{recipe.batch_size} that {samples:,} training samples make",
            hint="more epochs, or a smaller batch_size",
        )
    return recipe.steps_per_epoch or most


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
    twin = build_twin(graph, logits=objective.without_activation, dtype=dtype, seed=recipe.seed)
    notes = _load_initial(twin, initial, recipe.seed)
    notes += _freeze(twin, freeze)
    optimizer = make_optimizer(recipe.optimizer, steps * recipe.epochs)
    augment = augmentation(recipe.augmentation, recipe.seed)
    return Trainer(twin, objective, optimizer, augment, scope, recipe.seed), notes


def compute_dtype(recipe: Recipe) -> str:
    """What the layers compute in, as Keras calls it."""
    return "mixed_bfloat16" if recipe.precision == "auto" and has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether the machine multiplies bfloat16 matrices in hardware."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())


def make_optimizer(optimizer: Optimizer, steps: int) -> Any:
    """Keras's optimizer for a training of this many steps."""
    fields = _fields(optimizer)
    rate = fields["learning_rate"]
    if isinstance(rate, Schedule):
        rate = rate.with_steps(steps)
        schedule = getattr(keras.optimizers.schedules, type(rate).__name__)
        fields["learning_rate"] = schedule(**_fields(rate))
    return getattr(keras.optimizers, type(optimizer).__name__)(**fields)


def _fields(options: Any) -> dict[str, Any]:
    return {f.name: getattr(options, f.name) for f in option_fields(type(options))}


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
