"""The compiler: a graph and weights in, a checked .onnx file out."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from . import metadata as keys
from .budget import Budget
from .classes import classes_of
from .embedding import Preprocess, embed, needed
from .errors import ErrorGroup, ExportError, GraphCNNError, GraphError, did_you_mean
from .files import check_target, replacing
from .graph import Graph
from .onnx_structure import read_structure
from .ops import Input
from .passes import Pass, PassRecord, apply_passes, enforce_budget, summarize
from .pipeline import InputLayout, pipeline
from .targets import Targets, choose
from .weights import WeightStore

if TYPE_CHECKING:
    import onnx

    from .export import Lowered
    from .export.writer import ExternalData
    from .quantization import QualityReport, Quantization, QuantizationReport
    from .quantization.precision import Precision
    from .quantization.quantize import Progress as Stages

CHECKED = "checked by onnx"

_LARGEST_BATCH = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CompileReport:
    """What was written.

    Attributes:
        path: The file.
        bytes: Its size, external data included.
        nodes: Its ONNX nodes.
        params: The parameters of the graph.
        weights: Where its weights come from, such as ``random, seed 0``.
        targets: The runtimes that it was written for.
        verified: How it was checked, for people.
        passes: What each pass did.
        seconds: How long it all took.
        quality: How good it is beside the float32 file, if that was measured.
        quantization: What was put into integers, if it was.
    """

    path: Path
    bytes: int
    nodes: int
    params: int
    weights: str
    targets: tuple[str, ...]
    verified: str
    passes: tuple[PassRecord, ...]
    seconds: float
    quality: QualityReport | None = None
    quantization: QuantizationReport | None = None


def compile(
    graph: Graph,
    path: str | Path,
    *,
    weights: WeightStore | str | Path | None = None,
    seed: int = 0,
    batch: int | None = None,
    input_layout: InputLayout | None = None,
    preprocess: Preprocess | None = None,
    postprocess: str | None = None,
    opset: int | None = None,
    external_data: ExternalData = "auto",
    precision: Precision = "fp32",
    quantization: Quantization | None = None,
    target: str | Iterable[str] | None = None,
    taps: Iterable[str] = (),
    verify: bool = True,
    force: bool = False,
    disable: Iterable[str] = (),
    validate: bool = False,
    print_after: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
    stages: Stages = lambda stage, done, total: None,
) -> CompileReport:
    """Compile a graph to an .onnx file, which appears when it is complete and checked.

    Args:
        graph: The network; it stays as it is.
        path: The file to write.
        weights: The weights, or a .safetensors, .npz, .weights.h5 or .keras file; drawn by the
            initializers if None.
        seed: What they are drawn from.
        batch: A fixed number of samples in a batch; the graph's own, or any number, if None.
        input_layout: Whether inputs and outputs with spatial axes are channels first or last:
            ``nchw``, or with `preprocess` ``nhwc``, if None.
        preprocess: What the file's images are to be: uint8 as a camera gives them, in
            `input_layout`; ``embed`` is ``Camera()``, RGB of the model's own size. If None they are
            what the model takes.
        postprocess: ``top5``: in the place of the output that is a vector of scores, ``NAME_top5``
            has the five highest and ``NAME_top5_classes`` the classes that have them.
        opset: The version of ONNX's operators; 17 if None.
        external_data: Whether weights go into ``PATH.data``; ``auto`` is past 2 GiB only.
        precision: ``fp32`` leaves the network as it is; ``fp16`` stores float32 weights as float16
            and computes in float32; ``fp16-body`` computes in float16 between float32 inputs and
            outputs; ``int8`` computes in 8-bit integers what onnxruntime has kernels for.
        quantization: The data that ranges are calibrated on and losses measured on, and the loss
            that is allowed. int8 needs it; with fp16 and fp16-body it says what to measure.
        target: The runtimes that the file is meant for, of `graphcnn.targets`: what one of them
            does not take is written in another form, or refused. ``portable``, all that were
            measured, if None; with a precision, an input or open sizes that not every one takes,
            onnxruntime.
        taps: Names of nodes whose values become outputs too; ``["all"]`` is every node.
        verify: Whether onnxruntime, where it is installed, runs the file once.
        force: Whether an existing file may be replaced.
        disable: Optimising passes to leave out, by name; ``all`` is all of them.
        validate: Whether the graph is run before and after each pass, on random input, and a pass
            that moves a value is refused.
        print_after: The passes to print the graph after.
        progress: Called with the bytes of weights written so far, and in all.
        stages: Called as the quantization goes on, with what is done, how much of it, and in all.

    Returns:
        What was written.

    Raises:
        CheckFailed: The graph's own budget does not hold, a pass moved a value, the file does
            not run as inferred, or it loses more than `quantization` allows.
        GraphCNNError: Of the kind that says what is wrong; no file is left then.
    """
    from .export import (
        check_structure,
        data_path,
        in_half,
        lower,
        plan_file,
        structure,
        write_model,
    )
    from .export.builder import DEFAULT_OPSET
    from .export.writer import ExternalData

    start = time.perf_counter()
    path = Path(path)
    if external_data not in get_args(ExternalData):
        raise ExportError(f"external_data: expected one of {get_args(ExternalData)}")
    needs = [*needed(preprocess, postprocess), *_given_sizes(graph, batch)]
    runtimes = choose(target, precision, needs)
    if precision != "fp32" or quantization is not None:
        from .quantization.precision import check_precision, into_integers, measured

        inputs = [node.name for node in graph.inputs]
        check_precision(precision, quantization, external_data, inputs)
    check_target(path, force)
    if isinstance(weights, str | Path) and Path(weights).resolve() == path.resolve():
        raise ExportError(f"{path} holds the weights", hint="write the model to another file")
    if graph.budget != Budget():
        enforce_budget(graph.budget, summarize(graph))
    network = _prepared(graph, batch)
    contract = embed(network, preprocess, postprocess)
    _tap(network, graph, taps)
    _check_reachable(network)
    if isinstance(weights, str | Path):
        weights = WeightStore.read(weights, graph.weights_by_node)
    store = _weights(network, weights, seed)
    input_layout = input_layout or ("nhwc" if preprocess else "nchw")
    steps = pipeline(input_layout, disable, store)
    records = apply_passes(network, steps, print_after, _observer(network, store, validate))
    store = store.deriving(network.derived)
    metadata = _metadata(network, store, classes_of(graph, store), precision) | contract
    opset = DEFAULT_OPSET if opset is None else opset
    single = partial(lower, network, store, opset, metadata, target=runtimes)
    if precision == "fp16-body":
        network = in_half(network)
    halves = precision == "fp16"
    lowered = lower(network, store, opset, metadata, half_weights=halves, target=runtimes)
    check_structure(lowered)
    _check_fit(structure(lowered), runtimes, network)
    plan = plan_file(lowered, path, external_data)
    if plan.split:
        check_target(data_path(path), force)
    nodes, quality, quantized = len(lowered.model.graph.node), None, None
    with replacing(path) as made:
        _check_space(lowered, path)
        write_model(plan, made, _Counter(lowered.weight_bytes, progress))
        verified = _verify(network, lowered, made) if verify else CHECKED
        verified += ", each pass validated" if validate else ""
        if precision == "int8" and quantization:
            quantized, nodes = into_integers(made, quantization, stages)
            quality = quantized.quality
            _check_fit(read_structure(made), runtimes, network)
        elif quantization:
            quality = measured(made, single, quantization, stages)
        size = sum(file.stat().st_size for file in made.parent.iterdir())
    return CompileReport(
        path=path,
        bytes=size,
        nodes=nodes,
        params=sum(spec.elements for spec in graph.weights.values()),
        weights=store.origin,
        targets=runtimes.names,
        verified=verified,
        passes=tuple(records),
        seconds=time.perf_counter() - start,
        quality=quality,
        quantization=quantized,
    )


@dataclass(slots=True)
class _Counter:
    """Adds up blocks for a progress callback."""

    total: int
    report: Callable[[int, int], None]
    done: int = 0

    def __call__(self, block: int) -> None:
        self.done += block
        self.report(self.done, self.total)


def _prepared(graph: Graph, batch: int | None) -> Graph:
    """A copy with the batch set."""
    graph = graph.clone()
    graph.verify()
    graph.batch = graph.batch if batch is None else batch
    if graph.batch is not None and not 0 < graph.batch <= _LARGEST_BATCH:
        raise GraphError(f"expected a batch from 1 to {_LARGEST_BATCH:,}, found {graph.batch}")
    return graph


def _tap(graph: Graph, model: Graph, taps: Iterable[str]) -> None:
    """Put taps, which are layers of the model, among the outputs of what was made of it."""
    nodes = [node.name for node in model if not isinstance(node.op, Input)]
    known = set(nodes)
    for tap in [taps] if isinstance(taps, str) else taps:
        wanted = nodes if tap == "all" else [tap]
        if not set(wanted) <= known:
            raise GraphError(f"there is no layer named {tap!r}", hint=did_you_mean(tap, nodes))
        for name in wanted:
            graph.outputs.setdefault(name, name)


def _check_reachable(graph: Graph) -> None:
    """Refuse nodes that lead to no output, as model files do: one was forgotten."""
    hint = "name it in graph.outputs, or erase it"
    dangling = graph.dangling()
    if dangling:
        raise ErrorGroup(
            graph.explained(GraphError("leads to no output", hint=hint), node) for node in dangling
        )


def _check_fit(model: onnx.ModelProto, runtimes: Targets, graph: Graph) -> None:
    """Refuse what a runtime that the file is meant for does not take, all of it at once.

    Raises:
        ErrorGroup: With each line or layer, its place and what would do.
    """
    from .onnx_file.fit import misfits

    places = {node.name: node.location for node in graph}
    errors: dict[object, GraphCNNError] = {}
    for misfit in misfits(model, runtimes):
        error = misfit.error
        layer = misfit.layers[0].name if misfit.layers else misfit.node
        error.location = places.get(layer) or error.location
        # A line that stands for many layers is told once.
        errors.setdefault((str(error.location or misfit.node), misfit.found), error)
    if errors:
        raise ErrorGroup(errors.values())


def _given_sizes(graph: Graph, batch: int | None) -> list[str]:
    """The forms that a file has by the sizes of its inputs, and its batch."""
    several = (graph.batch if batch is None else batch) or 1
    forms = {
        "open height and width": any(graph.type(node.name).symbolic for node in graph.inputs),
        "a batch of several samples": several > 1,
    }
    return [name for name, held in forms.items() if held]


def _weights(graph: Graph, weights: WeightStore | None, seed: int) -> WeightStore:
    """A store that holds what the graph asks for, and nothing else."""
    if weights is None:
        return WeightStore.random(graph.weights, seed)
    weights.check(graph.weights)
    return weights


def _observer(graph: Graph, store: WeightStore, validate: bool) -> Callable[[Pass, Graph], None]:
    """What is told of each pass that changed the graph."""
    if not validate:
        return lambda step, graph: None
    from .runtime.validation import Validator

    return Validator(graph, store)


def _metadata(
    graph: Graph, store: WeightStore, classes: tuple[str, ...], precision: Precision
) -> dict[str, str]:
    inputs = {node.name: _axes(graph, node.name) for node in graph.inputs}
    outputs = {name: _axes(graph, source) for name, source in graph.outputs.items()}
    found = {
        keys.VERSION: version("graphcnn"),
        keys.WEIGHTS: store.origin,
        keys.INPUT_LAYOUTS: json.dumps(inputs),
        keys.OUTPUT_LAYOUTS: json.dumps(outputs),
    }
    if precision != "fp32":
        found[keys.PRECISION] = precision
    if classes:
        found[keys.CLASSES] = json.dumps(classes)
    if graph.digest:
        found[keys.MODEL] = f"sha256:{graph.digest}"
    return found


def _axes(graph: Graph, name: str) -> str:
    return graph.node(name).layout.letters(graph.type(name).rank)


def _check_space(lowered: Lowered, path: Path) -> None:
    needed, free = lowered.weight_bytes, shutil.disk_usage(path.parent).free
    if needed > free:
        raise ExportError(
            f"{path} needs {needed:,} bytes, and {free:,} are free on its disk",
        )


def _verify(network: Graph, lowered: Lowered, partial: Path) -> str:
    """Run the file where onnxruntime is installed, and say so."""
    if importlib.util.find_spec("onnxruntime") is None:
        return CHECKED
    from .runtime.smoke import smoke_run

    return f"{CHECKED}, {smoke_run(network, lowered, partial)}"
