"""How quickly the command line answers, against Keras building the same network.

Whole processes are timed: ``graphcnn --help``, ``graphcnn infer-shapes examples/vgg16.yaml``, and
Python building VGG-16 in Keras and printing ``summary()``.
"""

from __future__ import annotations

import json
import subprocess
import sys

from .common import ROOT, graphcnn_command, interleaved, judged, measure, median_of, parser, report

HELP_SECONDS = 0.25
INFER_SECONDS = 0.5
INFER_RATIO = 8.0

INFER = ("infer-shapes", "examples/vgg16.yaml")

KERAS = """
import os
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
"""
KERAS_SUMMARY = KERAS + "keras.applications.VGG16(weights=None).summary()"

WATCHED = ("click", "msgspec", "networkx", "numpy", "onnx", "rich", "ruamel", "sympy")
FORBIDDEN = ("tensorflow", "keras", "onnxruntime", "matplotlib")

MODULES = """
import sys, json, contextlib, io
sys.argv = ["graphcnn", *sys.argv[1:]]
from graphcnn.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(json.dumps(sorted(sys.modules)))
"""


def modules(*arguments: str) -> list[str]:
    """The modules that a command line imports."""
    command = [sys.executable, "-c", MODULES, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout))


def imported(*arguments: str) -> str:
    """The packages that matter among what a command line imports, and the count of all modules.

    Raises:
        AssertionError: One is among those that must not be imported.
    """
    found = modules(*arguments)
    packages = {name.partition(".")[0] for name in found}
    assert packages.isdisjoint(FORBIDDEN), packages.intersection(FORBIDDEN)
    return f"{len(found)} modules: {' '.join(name for name in WATCHED if name in packages)}"


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__, repeats=7).parse_args()
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "graphcnn --help": graphcnn_command("--help"),
        "graphcnn infer-shapes": graphcnn_command(*INFER),
        "import keras": [sys.executable, "-c", KERAS],
        "keras summary()": [sys.executable, "-c", KERAS_SUMMARY],
    }
    jobs = {name: lambda command=command: measure(command) for name, command in commands.items()}
    runs = interleaved(jobs, arguments.repeats)
    seconds = {name: [run.seconds for run in found] for name, found in runs.items()}
    ours, theirs = seconds["graphcnn infer-shapes"], seconds["keras summary()"]
    ratio = median_of([b / a for a, b in zip(ours, theirs, strict=True)])
    limits = {"graphcnn --help": HELP_SECONDS, "graphcnn infer-shapes": INFER_SECONDS}
    rows = [
        {
            "process": name,
            "seconds": median_of(found),
            "least": min(found),
            "most": max(found),
            "cpu s": median_of([run.cpu_seconds for run in runs[name]]),
            "peak MB": max(run.peak_bytes for run in runs[name]) / 1e6,
            "target s": limits.get(name),
            "": judged(median_of(found), limits[name]) if name in limits else None,
        }
        for name, found in seconds.items()
    ]
    facts = {
        "keras_over_infer_shapes": f"{ratio:.1f} (target {INFER_RATIO:.0f} or more: "
        f"{judged(INFER_RATIO, ratio)})",
        "help_imports": imported("--help"),
        "infer_shapes_imports": imported(*INFER),
    }
    report("startup", rows, arguments, **(facts if arguments.json else {}))
    if not arguments.json:
        print("\n" + "\n".join(f"{name}: {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()
