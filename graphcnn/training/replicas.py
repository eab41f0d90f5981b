"""Devices and machines that train together, through TensorFlow's own strategies.

Each replica takes its share of every batch, and the gradients are added up, so the result is that
of one device with the same batch, up to rounding. One process writes files; the others read them,
so the run's directory is on a disk that all share.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from graphcnn.engine import tf
from graphcnn.errors import TrainingError
from graphcnn.options import field_values
from graphcnn.recipe import Recipe

StrategyName = Literal["auto", "mirrored", "multi-worker"]


def choose_strategy(name: StrategyName) -> Any:
    """A `tf.distribute` strategy; it must be made before anything is computed.

    Args:
        name: ``multi-worker`` goes by ``TF_CONFIG``; ``auto`` does if that is set, and otherwise
            takes all GPUs of this machine, or its CPU.

    Raises:
        TrainingError: ``TF_CONFIG`` is missing or wrong.
    """
    if tf.config.list_physical_devices("GPU"):
        # On a CPU the kernels of convolutional networks give the same bits each time without it.
        tf.config.experimental.enable_op_determinism()
    clustered = bool(os.environ.get("TF_CONFIG"))
    if name == "multi-worker" and not clustered:
        raise TrainingError(
            "--strategy multi-worker goes by the environment variable TF_CONFIG, which is not set",
            hint='for example: TF_CONFIG=\'{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}\'',
        )
    if name == "multi-worker" or (name == "auto" and clustered):
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, KeyError, TypeError, RuntimeError, tf.errors.OpError) as error:
            raise TrainingError(f"the cluster of TF_CONFIG cannot be joined: {error}") from error
    if name == "mirrored" or len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: Any) -> bool:
    """Whether this process is the one that writes files."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def check_replicas(strategy: Any, recipe: Recipe, last_batch: int) -> None:
    """Refuse what several replicas would do otherwise than one.

    Args:
        strategy: What replicas there are.
        recipe: How they train.
        last_batch: The samples in the last batch of an epoch, or more.

    Raises:
        TrainingError: A batch has fewer samples than there are replicas, or gradients are clipped,
            which Keras does before it adds them up.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return
    if min(recipe.batch_size, last_batch) < replicas:
        raise TrainingError(
            f"the last batch has {last_batch} samples, fewer than the {replicas} replicas",
            hint="another batch_size, or steps_per_epoch to leave it out",
        )
    clips = {k for k, v in field_values(recipe.optimizer).items() if "clip" in k and v is not None}
    if clips:
        raise TrainingError(
            f"{', '.join(sorted(clips))}: {replicas} replicas would clip each its own gradients",
            hint="train on one, or without clipping",
        )


@contextmanager
def losing_workers(strategy: Any) -> Iterator[None]:
    """Say what to do when another process is gone, or memory is."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise TrainingError(
            f"out of memory: {_first_line(error)}", hint="a smaller batch_size"
        ) from error
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
        if strategy.cluster_resolver is None:
            raise
        raise TrainingError(
            f"another worker is gone: {_first_line(error)}",
            hint="start all workers again with --resume: they go on from the last finished epoch",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
