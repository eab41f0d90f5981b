"""The steps of the benchmark over keras.applications, each run in a process of its own.

    python -m tests.benchmarks.application_steps STEP ARGUMENT...

A step writes what it found as JSON to the path in its last argument. A network of random weights as
initializers draw them says little: its logits are all alike, and its batch statistics are zeros and
ones, which hide most mistakes in folding. So here kernels are drawn after He and then scaled layer
by layer, on real values, until each layer's result has unit variance (LSUV: Mishkin and Matas,
"All you need is a good init", 2016). Scales are drawn from U(0.5, 1.5), shifts and biases from
N(0, 0.2), and batch statistics are the true ones, moved by N(0, 0.2) standard deviations and times
U(0.5, 1.5): without that the images' differences drown in a mean that grows with depth. Images have
large shapes besides noise, since pure noise looks the same after global pooling. Where a network's
own rounding noise would near the tolerance, its residual branches are damped until it does not.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .latency import seconds, session, turns

IMAGES = 4
MODEL, INPUTS, LOGITS, SAVED = "model.keras", "images.npy", "logits.npy", "saved.json"
TOLERANCE = 1e-4
"""The largest error of a logit, relative to the largest logit."""
SPREAD = 100 * TOLERANCE
"""How far logits differ at least, by class and by image, relative to the largest."""
MOST_DAMPING = 6


def save(name: str, size: str, folder: str, result: str) -> None:
    """Write a network with random weights, images, and Keras's logits of them.

    Args:
        name: A function of keras.applications.
        size: The image's height and width; 0 is the network's own.
        folder: Where the files go.
        result: Takes the number of parameters, the largest tensor's bytes and the spreads.

    Raises:
        SystemExit: The logits hardly differ, so that they would prove nothing.
    """
    import keras
    import numpy as np

    build = partial(getattr(keras.applications, name), weights=None, classifier_activation=None)
    model = build(input_shape=(int(size), int(size), 3)) if int(size) else build()
    if model.input_shape[1] is None:  # MobileNetV3 takes any size, and is published at this one
        model = build(input_shape=(224, 224, 3))
    rng = np.random.default_rng(0)
    images = _images(model.input_shape[1], rng)
    scaling = (keras.layers.Rescaling, keras.layers.Normalization)
    scaled = any(isinstance(layer, scaling) for layer in model.layers)
    images = (127.5 + 64 * images if scaled else images).astype("float32")
    _randomize(model, rng)
    _fit(model, images)
    for _ in range(MOST_DAMPING):
        if _noise(model, images) <= TOLERANCE / 4:
            break
        _dampen(model, rng)
        _fit(model, images)
    path = Path(folder) / MODEL
    model.save(path)
    logits = np.asarray(_loaded(path)(images, training=False))
    most = np.abs(logits).max()
    spreads = {
        "spread_of_classes": float(logits.std(axis=1).min() / most),
        "spread_of_images": float(np.median(logits.std(axis=0)) / most),
    }
    if not min(spreads.values()) > SPREAD:
        sys.exit(f"the logits of {name} hardly differ: {spreads}")
    np.save(Path(folder) / INPUTS, images)
    np.save(Path(folder) / LOGITS, logits)
    largest = max(4 * int(np.prod(weight.shape)) for weight in model.weights)
    _write(result, params=model.count_params(), largest_tensor=largest, **spreads)


def _images(size: int, rng: Any) -> Any:
    """Images of unit variance: random shapes of an eighth of the height, and noise."""
    import numpy as np

    tile = -(-size // 8)
    coarse = rng.standard_normal((IMAGES, 8, 8, 3)).repeat(tile, 1).repeat(tile, 2)
    fine = rng.standard_normal((IMAGES, size, size, 3))
    return np.sqrt(0.8) * coarse[:, :size, :size] + np.sqrt(0.2) * fine


def _layers(model: Any) -> Iterator[Any]:
    """Its layers, those of models inside it too."""
    for layer in model.layers:
        yield from _layers(layer) if hasattr(layer, "layers") else [layer]


def _randomize(model: Any, rng: Any) -> None:
    """Draw every weight by the rule of its name."""
    import numpy as np

    for layer in _layers(model):
        depthwise = "Depthwise" in type(layer).__name__
        for weight in layer.weights:
            shape, name = tuple(weight.shape), weight.name
            if name.startswith("variable"):  # LayerScale's, which has no name
                name = "gamma"
            if name in ("gamma", "moving_variance", "variance"):
                weight.assign(rng.uniform(0.5, 1.5, shape))
            elif "kernel" in name:
                each = depthwise or name == "depthwise_kernel"
                inputs = np.prod(shape[:2] if each else shape[:-1])
                weight.assign(rng.standard_normal(shape) * np.sqrt(2 / inputs))
            elif name in ("beta", "bias", "moving_mean", "mean"):
                weight.assign(rng.normal(0, 0.2, shape))
            elif name != "count":
                raise ValueError(f"{layer.name}: no rule for the weight {name}")
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _fit(model: Any, images: Any) -> None:
    """Fit kernels and batch statistics to what the images make of the layers before."""
    for layer in _layers(model):
        kernel = getattr(layer, "pointwise_kernel", getattr(layer, "kernel", None))
        if kernel is not None:
            layer.call = _scaling(layer, kernel)
        elif hasattr(layer, "moving_mean"):
            layer.call = _centring(layer)
    model(images, training=False)
    for layer in _layers(model):
        vars(layer).pop("call", None)


def _noise(model: Any, images: Any) -> float:
    """How far Keras's own logits move if the images do by twice their rounding, relatively."""
    import numpy as np

    moved = (images * (1 + 2**-22)).astype("float32")
    logits, others = (np.asarray(model(each, training=False)) for each in (images, moved))
    return float(np.abs(logits - others).max() / np.abs(logits).max())


def _before(layer: Any) -> Any:
    """The layer whose value a layer of one input takes."""
    return layer.input._keras_history.operation


def _dampen(model: Any, rng: Any) -> None:
    """Halve what residual branches add to their input, where they end in batch normalization.

    Statistics are drawn again, to be fitted to what is left.

    Deep networks of random weights multiply every rounding, by a thousand in ResNet152, and then
    no two engines agree. Trained ones do not, and start so (Goyal et al., "Accurate, Large
    Minibatch SGD", 2017, with scales of 0).
    """
    import keras

    for layer in _layers(model):
        if hasattr(layer, "moving_mean"):
            layer.moving_mean.assign(rng.normal(0, 0.2, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    for add in model.layers:
        if not isinstance(add, keras.layers.Add):
            continue
        ends = [tensor._keras_history.operation for tensor in add.input]
        ends = [_before(end) if "Dropout" in type(end).__name__ else end for end in ends]
        branches = [end for end in ends if isinstance(end, keras.layers.BatchNormalization)]
        if len(branches) == 1 and branches[0].scale:
            branches[0].gamma.assign(branches[0].gamma * 0.5)


def _scaling(layer: Any, kernel: Any) -> Callable[..., Any]:
    """The layer's call, which gives its result unit variance on the way."""
    import keras
    import numpy as np

    call, activation = layer.call, layer.activation

    def scaled(inputs: Any, **options: Any) -> Any:
        layer.activation = keras.activations.linear
        bias = layer.bias if layer.use_bias else 0.0
        value = call(inputs, **options) - bias
        scale = 1 / float(np.std(value))
        kernel.assign(kernel * scale)
        layer.activation = activation
        return activation(value * scale + bias)

    return scaled


def _centring(layer: Any) -> Callable[..., Any]:
    """The layer's call, which moves the random statistics to those of its input on the way."""
    import numpy as np

    call = layer.call

    def centred(inputs: Any, **options: Any) -> Any:
        axes = tuple(range(inputs.ndim - 1))
        mean, variance = np.mean(inputs, axes), np.maximum(np.var(inputs, axes), 1e-2)
        layer.moving_mean.assign(mean + layer.moving_mean * np.sqrt(variance))
        layer.moving_variance.assign(layer.moving_variance * variance)
        return call(inputs, **options)

    return centred


def export(model: str, target: str, result: str) -> None:
    """Write Keras's export of a saved model; the call alone is measured, not the loading."""
    import numpy as np

    found = _loaded(Path(model))
    found(np.zeros((1, *found.input_shape[1:]), "float32"))  # it refuses a model never called
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    start = time.perf_counter()
    found.export(target, format="onnx", verbose=False)
    took = time.perf_counter() - start
    peak = max(_status("VmHWM"), _status("VmRSS"))
    _write(result, seconds=took, peak_bytes=peak, added_bytes=peak - before)


def onnxsim(source: str, target: str, result: str) -> None:
    """Write a file as onnxsim simplifies it."""
    import onnx
    from onnxsim import simplify

    start = time.perf_counter()
    model, same = simplify(source)
    if not same:
        sys.exit("onnxsim says that its result differs")
    onnx.save(model, target)
    _write(result, seconds=time.perf_counter() - start)


def onnxslim(source: str, target: str, result: str) -> None:
    """Write a file as onnxslim simplifies it."""
    from onnxslim import slim

    start = time.perf_counter()
    slim(source, target)
    _write(result, seconds=time.perf_counter() - start)


def check(path: str, folder: str, result: str) -> None:
    """Count what is in a file, and compare its logits with Keras's.

    Args:
        path: The .onnx file.
        folder: Where the images and logits are.
        result: Takes the counts, and ``problem`` where the logits are not right.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    kinds = Counter(node.op_type for node in model.graph.node)
    beside = Path(f"{path}.data")
    size = Path(path).stat().st_size + (beside.stat().st_size if beside.exists() else 0)
    counts = {
        "bytes": size,
        "nodes": kinds.total(),
        "transposes": kinds["Transpose"],
        "batch_norms": kinds["BatchNormalization"],
        "op_types": dict(kinds.most_common()),
    }
    problem, apart = _compared(path, Path(folder))
    _write(result, **counts, problem=problem, apart=apart)


def _compared(path: str, folder: Path) -> tuple[str | None, float | None]:
    """What is wrong with a file, if anything, and how far its logits are from Keras's."""
    import numpy as np

    images, logits = np.load(folder / INPUTS)[:2], np.load(folder / LOGITS)[:2]
    try:
        found = session(Path(path), threads=2)
    except Exception as error:
        reason = _first_line(error).split(" failed:", 1)[-1]
        return f"onnxruntime refuses it: {reason}", None
    inputs = [item.name for item in found.get_inputs()]
    if len(inputs) != 1:
        return f"asks for {len(inputs)} inputs: {', '.join(inputs)}"[:160], None
    try:
        (values,) = found.run(None, _feeds(found, images))
    except Exception as error:
        return f"onnxruntime fails: {_first_line(error)}", None
    if values.shape != logits.shape:
        return f"its result is {values.shape} and not {logits.shape}", None
    apart = float(np.abs(values - logits).max() / np.abs(logits).max())
    return (None if apart <= TOLERANCE else f"wrong by {apart:.1e}"), apart


def _feeds(found: Any, images: Any) -> dict[str, Any]:
    """The images in the layout of a session's one input."""
    import numpy as np

    (item,) = found.get_inputs()
    moved = np.moveaxis(images, -1, 1) if item.shape[1] == 3 else images
    return {item.name: np.ascontiguousarray(moved)}


def latency(repeats: str, folder: str, ours: str, *rest: str) -> None:
    """Time our file and each other file in turns, on one image, in two threads.

    Args:
        repeats: The turns.
        folder: Where the image is.
        ours: Our file.
        rest: The other files, and the path of the result, which takes the seconds and the ratio
            of ours to theirs in each turn, by the path of their file.
    """
    import numpy as np

    *others, result = rest
    image = np.load(Path(folder) / INPUTS)[:1]

    def runner(path: str) -> Callable[[], Any]:
        found = session(Path(path), threads=2)
        feeds = _feeds(found, image)
        return lambda: found.run(None, feeds)

    mine = runner(ours)
    pairs = {path: turns(mine, runner(path), int(repeats)) for path in others}
    alone = [seconds(mine, 1) for _ in range(0 if others else int(repeats))]
    _write(result, pairs=pairs, alone=alone)


def _loaded(path: Path) -> Any:
    import keras

    return keras.saving.load_model(path, compile=False)


def _status(key: str) -> int:
    """A number of bytes that Linux tells of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _write(result: str, **found: Any) -> None:
    Path(result).write_text(json.dumps(found))


STEPS: dict[str, Callable[..., None]] = {
    step.__name__: step for step in (save, export, onnxsim, onnxslim, check, latency)
}


def main() -> None:
    """Run a step; an error is one line, the last on standard error."""
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow")
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    step, *arguments = sys.argv[1:]
    try:
        STEPS[step](*arguments)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {_first_line(error)}")


if __name__ == "__main__":
    main()
