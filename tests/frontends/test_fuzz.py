"""Damaged model files: whatever is in them, what is raised is an error for the user."""

# ruff: noqa: E501 (a program in a string)

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphcnn
from graphcnn import GraphCNNError
from graphcnn.passes import summarize
from graphcnn.report.summary import summary_json, summary_markdown

EXAMPLES = [
    path.read_text() for path in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
]
TOKENS = [
    "[", "]", "{", "}", ":", "-", ",", "'", '"', "&a", "*a", "!", "$", "$filters", "#", "\n", "  ", "\t",
    "0", "-1", "1e3", "~", "null", "true", "N", "H", "999999999999", "1.5", "same", "valid", "name",
    "inputs", "layers", "outputs", "repeat", "blocks", "parameters", "output", "Flatten", "Dense",
    "Conv2D", "Add", "Reshape", "relu", "[H, W, 3]", "[1, 2]", "{constant: [[1]]}", "<<", "? ", "|",
    "\u00e9", "\ud7ff", "\x7f", "%YAML 1.2\n", "---\n", "...\n",
]  # fmt: skip


def mutated(text: str, rng: random.Random) -> str:
    """The text with a few words or lines lost, doubled, swapped or replaced."""
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(6)
        lines = text.split("\n")
        place, stop = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        stop = min(stop, place + rng.randint(1, 12))
        line, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        if kind == 0:
            text = text[:place] + text[stop:]
        elif kind == 1:
            text = text[:place] + rng.choice(TOKENS) + text[stop:]
        elif kind == 2:
            text = text[:place] + rng.choice(TOKENS) + text[place:]
        elif kind == 3:
            text = "\n".join([*lines[:line], *lines[line + 1 :]])
        elif kind == 4:
            lines[line], lines[other] = lines[other], lines[line]
            text = "\n".join(lines)
        else:
            words = text.split(" ")
            index = rng.randrange(len(words))
            words[index] = rng.choice([*TOKENS, rng.choice(words)])
            text = " ".join(words)
    return text


def attempt(path: Path) -> bool:
    """Whether a file is accepted; what is refused has a message that can be printed."""
    refusal: GraphCNNError | None = None
    try:
        graph = graphcnn.load(path)
    except GraphCNNError as error:
        refusal = error
    if refusal:
        assert all(one.message for one in refusal.errors)
        assert len(str(refusal).encode()) < 1_000_000
        return False
    graph.verify()
    str(graph).encode()
    summary = summarize(graph)
    summary_json(summary)
    summary_markdown(summary).encode()
    return True


def fuzz(seconds: float, folder: Path) -> None:
    """Mutate examples for a while; for people: ``python -m tests.frontends.test_fuzz 300``."""
    import time

    end, counts = time.monotonic() + seconds, [0, 0]
    while time.monotonic() < end:
        seed = random.randrange(2**48)
        rng = random.Random(seed)
        text = mutated(rng.choice(EXAMPLES), rng)
        (folder / "model.yaml").write_bytes(text.encode(errors="surrogatepass"))
        try:
            counts[attempt(folder / "model.yaml")] += 1
        except BaseException:
            print(f"seed {seed}:\n{text}")
            raise
    print(f"refused {counts[0]}, accepted {counts[1]}")


@settings(max_examples=300)
@given(seed=st.integers(0, 2**48))
def test_mutated_examples(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(mutated(rng.choice(EXAMPLES), rng))
    attempt(path)


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode(errors="replace")))
def test_bytes(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(raw)
    attempt(path)


ODD_FIELDS = """
import itertools
from graphcnn.errors import GraphCNNError
from graphcnn.initializers import INITIALIZERS
from graphcnn.ops import OPS
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.options import build, option_fields

atoms = [None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 2**70, -2**63, -2**70, 10**400, 0.0, -0.5, 1e308,
         float("nan"), float("inf"), "", "same", "x" * 100, "\\ud800", b"x", object(), 1j]
nests = [[], [1], [1, 2], [1, 2, 3], [[1, 2], [3, 4]], [[1, 2, 3]], [[[1]]], [1, [2, 3]], [[1], 2], [None],
         ["1"], [1.5], [[]], [[[]]], [2**70, 1], [[2**70, 1], 1], [True, False], (1, 2), {1, 2}, [1] * 1000]
maps = [{}, {"relu": {}}, {"relu": None}, {"relu": {"max_value": "x"}}, {1: 2}, {"constant": [[1]]}, {"a": 1, "b": 2},
        {"constant": {"value": [1, [2]]}}, {"prelu": {"shared_axes": [1, "x"]}}, {None: None}]
count = 0
classes = [*OPS.values(), *INITIALIZERS.values(), *(kind for kind, _ in FUNCTIONS.values())]
for cls in classes:
    for field in option_fields(cls):
        for value in [*atoms, *nests, *maps]:
            needed = {f.name: 1 for f in option_fields(cls) if f.default is f.default_factory}
            try:
                build(cls, {**needed, field.name: value})
            except GraphCNNError as error:
                str(error)
            count += 1
print(count)
"""


def test_odd_fields_in_a_process_of_their_own() -> None:
    """The checks are in C (msgspec): what goes wrong there is a crash, which only another process survives."""
    done = subprocess.run([sys.executable, "-c", ODD_FIELDS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 10_000


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        fuzz(float(sys.argv[1]), Path(name))
