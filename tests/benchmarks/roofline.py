"""Each layer of cifar10_cnn and VGG-16 against the roof of this machine, in float32.

    python -m tests.benchmarks.roofline [MODEL ...] [--json]

Prints `graphcnn bench --per-layer` of each: what of the machine's measured matrix product and
memory bandwidth every layer, and the whole network, reaches. Weights are random; times do not
depend on them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from .common import EXAMPLES, parser
from .trained import graphcnn


def main() -> None:
    """Compile what is asked for, and print a table of each."""
    options = parser(__doc__, repeats=1)
    options.add_argument("models", nargs="*", metavar="MODEL", help="names of examples")
    arguments = options.parse_args()
    for name in arguments.models or ("cifar10_cnn", "vgg16"):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"{name}.onnx"
            graphcnn(["compile", str(EXAMPLES / f"{name}.yaml"), "-o", str(path)])
            form = ["--json"] if arguments.json else []
            print(graphcnn(["bench", str(path), "--per-layer", "--seconds", "3", *form]))


if __name__ == "__main__":
    main()
