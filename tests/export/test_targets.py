"""What is said of each runtime: each refusal has a probe, and the runtimes bear it out."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import onnx
import pytest

import graphcnn
from graphcnn.errors import ErrorGroup, ExportError, GraphCNNError, SourceLocation
from graphcnn.graph import Graph
from graphcnn.onnx_file.file_forms import FILE_FORMS
from graphcnn.onnx_file.fit import misfits
from graphcnn.onnx_file.forms import FORMS, INSTEAD, UNTRIED
from graphcnn.ops import Conv2D, Input, MaxPooling3D
from graphcnn.runtimes import RUNTIMES, Adapter
from graphcnn.targets import OPERATORS, PORTABLE, PROFILES, Profile, Targets, choose, targets

from .probes import Array, anchored, as_written, feeds, merged, probes

UNTOLD = "images, and no operator of images"
PROBES = dict(probes())
REFUSALS = [(name, what) for name, profile in PROFILES.items() for what in profile.refused]


def _found(model: onnx.ModelProto) -> set[str]:
    """Every operator and form that a model has."""
    anything = dict.fromkeys([*OPERATORS, *FORMS, *FILE_FORMS], "is refused")
    nothing = Profile(name="nothing", version="", refused=anything, opset=99, ir=99)
    return {item.found for item in misfits(model, Targets(("nothing",), (nothing,)))}


FOUND = {name: _found(model) - ({UNTOLD} - {name}) for name, model in PROBES.items()}
"""By probe. They are given to ncnn behind an anchor, which tells the batch."""


def test_probes_are_valid() -> None:
    for name, model in PROBES.items():
        if name == "outputs without sizes":
            continue  # onnx wants them, and the runtimes but one do not.
        onnx.checker.check_model(model, full_check=True)


def test_every_operator_and_form_has_a_probe() -> None:
    probed = set().union(*FOUND.values())
    assert FORMS.keys() | FILE_FORMS.keys() <= probed
    assert probed | {"Cast", "Constant"} >= OPERATORS


def test_every_form_is_refused_somewhere() -> None:
    refused = set().union(*(profile.refused for profile in PROFILES.values()))
    assert FORMS.keys() | FILE_FORMS.keys() <= refused | UNTRIED
    assert not UNTRIED & refused


def test_profiles_refuse_what_is_known() -> None:
    refused = {what for _, what in REFUSALS}
    assert INSTEAD.keys() <= refused
    for profile in PROFILES.values():
        assert set(profile.refused) <= OPERATORS | FORMS.keys() | FILE_FORMS.keys(), profile.name
        assert profile.whole <= OPERATORS - set(profile.refused)


@pytest.mark.parametrize(("target", "what"), REFUSALS)
def test_refusal_is_told_with_its_reason(target: str, what: str) -> None:
    model = next(PROBES[name] for name, found in FOUND.items() if what in found)
    told = {item.found: item.refusals for item in misfits(model, targets(target))}
    assert told[what] == {target: PROFILES[target].refused[what]}
    assert not PROFILES[target].measured or what in {
        item.found for item in misfits(model, targets(PORTABLE))
    }


@pytest.mark.parametrize("name", [name for name in PROFILES if name in RUNTIMES])
def test_runtime_bears_out_its_profile(name: str, tmp_path: Path) -> None:
    """What is taken gives onnxruntime's numbers at 1 and 3 samples, and what is refused does not.

    To be quick, what is taken is run many at a time; in OpenCV of one operator and rank, since
    version 5 runs whole files in its older engine where the newer one lacks something.
    """
    kind = RUNTIMES[name]
    command = kind().missing()
    if command:
        pytest.skip(f"{name} is not installed: {command}")
    version = str(kind().version())
    taken = [probe for probe, model in PROBES.items() if not misfits(model, targets(name))]
    refused = PROBES.keys() - taken
    told = {what for what, why in PROFILES[name].refused.items() if _is_of(why, version)}
    with kind() as runtime:
        wrong = {}
        kind_of = _kind if name == "opencv" else lambda probe: _kind(probe)[2:]
        for _, group in groupby(sorted(taken, key=kind_of), kind_of):
            wrong |= _failures(runtime, tmp_path / "probe.onnx", list(group))
        assert wrong == {}
        stale = {
            what
            for what in told - _NOT_SEEN.get(name, set())
            if not any(
                _failures(runtime, tmp_path / "probe.onnx", [probe])
                for _ in range(_TRIES)
                for probe in sorted(_showing(name, what) & refused)
            )
        }
    assert stale == set()


_NOT_SEEN = {"ncnn": {"open height and width", UNTOLD}}
"""What is kept from going wrong: ncnn's adapter converts a file for each size, and its probes have
an anchor."""

_TRIES = 3
"""Memory that mnn returns as it lies may hold the right numbers, of the run before."""

_PAIR = {"DequantizeLinear", "QuantizeLinear", "Flatten of the batch"}
"""What is beside another in every probe: one operator beside the other, and a fixed batch."""


def _showing(target: str, what: str) -> set[str]:
    """The probes that show a refusal: those that have no other, if there are such."""
    refused = PROFILES[target].refused.keys()
    alone = {probe for probe, found in FOUND.items() if found & refused == {what}}
    return alone or {probe for probe, found in FOUND.items() if what in found}


def test_refusals_have_probes_of_their_own() -> None:
    others = {
        (target, what): set.intersection(
            *(FOUND[probe] & PROFILES[target].refused.keys() for probe in _showing(target, what))
        )
        - {what}
        for target, what in REFUSALS
    }
    assert {what for (_, what), names in others.items() if names} <= _PAIR


def _is_of(reason: str, version: str) -> bool:
    """Whether a reason is one of an installed version, and of every run."""
    if "at times" in reason:
        return False
    of = re.search(r"\((\d[\d.]*)\)", reason)
    return of is None or version.startswith(of[1])


def _kind(probe: str) -> tuple[str, int, int, int]:
    """What probes have in common that can be in one file: operator, rank, opset and batch."""
    model = PROBES[probe]
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    opset = model.opset_import[0].version
    return re.split(r"[ ,]", probe)[0], len(sizes), opset, sizes[0].dim_value


def _failures(runtime: Adapter, path: Path, names: list[str]) -> dict[str, str]:
    """What is wrong with the runtime's results of some probes, by name."""
    models = [PROBES[name] for name in names]
    onnx.save(merged(list(map(anchored, models)) if runtime.name == "ncnn" else models), path)
    *_, batch = _kind(names[0])
    found: dict[str, str] = {}
    for samples in [batch] if batch else (1, 3):
        given = {
            f"{place}/{key}": values
            for place, (name, model) in enumerate(zip(names, models, strict=True))
            for key, values in feeds(name, model, samples).items()
        }
        expected = as_written(path, given)
        try:
            results = runtime.run(path, given)
        except GraphCNNError as error:
            if len(names) == 1:
                return {names[0]: str(error)[:200]}
            return {k: v for name in names for k, v in _failures(runtime, path, [name]).items()}
        for key, right in expected.items():
            name = names[int(key.split("/")[0])]
            text = _difference(name, results[key], right)
            found |= {name: text} if text else {}
    return found


def _difference(name: str, result: Array, right: Array) -> str | None:
    if result.size != right.size:
        return f"{result.shape} for {right.shape}"
    scale = 2e-2 if name in ("float16", "int8, Softmax", "int8, Gemm") else 1e-5
    error = float(abs(result.reshape(right.shape) - right).max())
    return None if error <= scale * max(1.0, abs(right).max()) else f"off by {error:g}"


def _network(op: Any, *sizes: int) -> Graph:
    graph = Graph("probe")
    graph.add(Input(shape=sizes), [], name="x")
    graph.add(op, ["x"], name="bad", location=SourceLocation("model.yaml", 7, 5))
    graph.outputs["bad"] = "bad"
    return graph


def test_compile_refuses_before_anything_is_written(tmp_path: Path) -> None:
    graph = _network(MaxPooling3D(), 4, 4, 4, 2)
    again = graph.add(
        MaxPooling3D(), ["bad"], name="worse", location=SourceLocation("m.yaml", 9, 5)
    )
    graph.outputs = {"worse": again}
    with pytest.raises(ErrorGroup) as caught:
        graphcnn.compile(graph, tmp_path / "m.onnx")
    first, second = caught.value.errors
    assert str(first).startswith("model.yaml:7:5: bad (MaxPooling3D): MaxPool 3D: mnn gives wrong")
    assert (
        first.hint == "--target onnxruntime,onnxruntime-web,openvino,opencv,tract,ncnn,tvm takes it"
    )
    assert second.location == SourceLocation("m.yaml", 9, 5)
    assert not list(tmp_path.iterdir())
    graphcnn.compile(graph, tmp_path / "m.onnx", target="onnxruntime,openvino")


def test_several_targets_are_their_intersection(tmp_path: Path) -> None:
    with pytest.raises(ErrorGroup, match="mnn"):
        graphcnn.compile(
            _network(MaxPooling3D(), 4, 4, 4, 2), tmp_path / "m", target=["tvm", "mnn"]
        )
    assert targets("onnxruntime,tvm").opset == PROFILES["tvm"].opset < PROFILES["onnxruntime"].opset
    assert targets(PORTABLE).opset == min(p.opset for p in PROFILES.values() if p.measured)


@pytest.mark.parametrize(
    ("target", "operators"),
    [
        ("portable", {"HardSigmoid", "Mul"}),
        ("onnxruntime", {"HardSigmoid", "Mul"}),
        ("opencv,ncnn", {"HardSwish"}),
        ("opencv,onnxruntime", {"HardSigmoid", "Mul"}),
    ],
)
def test_hard_swish_is_whole_where_all_have_it(
    target: str, operators: set[str], tmp_path: Path
) -> None:
    graph = _network(Conv2D(filters=2, kernel_size=1, activation="hard_silu"), 4, 4, 2)
    graphcnn.compile(graph, tmp_path / "m.onnx", target=target)
    nodes = onnx.load(tmp_path / "m.onnx").graph.node
    assert {node.op_type for node in nodes} == {"Conv", *operators}


def test_later_opsets_are_refused(tmp_path: Path) -> None:
    graph = _network(Conv2D(filters=2, kernel_size=1), 4, 4, 2)
    graphcnn.compile(graph, tmp_path / "m.onnx", opset=23)
    model = onnx.load(tmp_path / "m.onnx")
    assert misfits(model, targets(PORTABLE)) == []
    model.opset_import[0].version, model.ir_version = 24, 12
    assert misfits(model, targets("onnxruntime")) == []
    told = [str(item.error) for item in misfits(model, targets("tvm"))]
    assert told[0].startswith("opset 24: tvm takes at most 23")
    assert told[1].startswith("IR version 12: tvm takes at most 11")


@pytest.mark.parametrize(
    ("target", "precision", "reason"),
    [
        ("opencv", "int8", "opencv does not load a Gemm with a bias"),
        ("tract", "int8", "tract gives wrong values for Softmax"),
        ("mnn", "int8", "mnn crashes on QDQ"),
        ("onnxruntime,ncnn", "int8", "ncnn does not load it"),
        ("portable", "int8", "opencv .*; mnn .*; ncnn "),
        ("tensorrt", "int8", "tensorrt takes signed integers"),
        ("tract", "fp16-body", "tract refuses Gemm"),
        ("ncnn", "fp16-body", "ncnn does not load it"),
    ],
)
def test_precision_that_a_target_does_not_take(target: str, precision: str, reason: str) -> None:
    with pytest.raises(ExportError, match=reason):
        choose(target, precision)


def test_default_target_takes_the_precision() -> None:
    assert choose(None, "fp32").names == choose(None, "fp16").names == (PORTABLE,)
    assert choose(None, "int8").names == choose(None, "fp16-body").names == ("onnxruntime",)
    assert choose("openvino,tvm", "int8").names == ("openvino", "tvm")


@pytest.mark.parametrize(("name", "hint"), [("opencw", "did you mean opencv"), ("", "known")])
def test_unknown_target(name: str, hint: str) -> None:
    with pytest.raises(ExportError, match=hint):
        targets(name)


def test_what_inputs_have_is_told_at_their_line(tmp_path: Path) -> None:
    model = tmp_path / "model.yaml"
    model.write_text("inputs:\n  image: [H, W, 3]\nlayers: [GlobalAveragePooling2D]\n")
    with pytest.raises(ErrorGroup) as raised:
        graphcnn.compile(graphcnn.load(model), tmp_path / "m.onnx", target="opencv")
    (error,) = raised.value.errors
    assert error.location == SourceLocation(str(model), 2, 3)
    assert str(error).startswith(f"{model}:2:3: image: open height and width: opencv")
