"""Every way in which a model file can be wrong: the place, the message and the hint."""

# ruff: noqa: E501 (tables: one case a line)

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import pytest

import graphcnn
from graphcnn import GraphCNNError
from graphcnn.errors import SourceLocation
from graphcnn.frontends import expand
from graphcnn.frontends.expand import MAX_ERRORS

from .conftest import Errors, Read

IMAGE = "inputs: {image: [8, 8, 3]}\n"
SCORES = "inputs: {x: [8]}\nlayers: [Dense: {units: 2}]\n"
TWO = "inputs: {a: [8, 8, 3], b: [4, 4, 3]}\n"


class Case(NamedTuple):
    text: str | bytes
    place: str
    message: str
    hint: str = ""


FILES = {
    "not YAML": Case("layers: [a, b\ninputs: {", "2:7", "not YAML", "indent with spaces"),
    "tab": Case("layers:\n\t- Flatten\n", "2:1", "not YAML"),
    "empty": Case("", "1:1", "the file is empty", "it needs inputs: and layers:"),
    "only spaces": Case("\n \n", "1:1", "the file is empty"),
    "only comments": Case("# a model\n# of nothing\n", "1:1", "the file is empty"),
    "null": Case("---\n~\n", "1:1", "the file is empty"),
    "PNG": Case(b"\x89PNG\r\n\x1a\n\0\0", "1:1", "byte 0 is not UTF-8", "Keras's files end in .keras"),
    "control characters": Case(b"\x00\x01\x02", "1:1", "not YAML"),
    "UTF-16": Case("layers: []".encode("utf-16"), "1:1", "not UTF-8"),
    "two documents": Case(f"{IMAGE}layers: [ReLU]\n---\na: 1", "3:1", "found another"),
    "YAML 1.1": Case("%YAML 1.1\n---\na: no\n", "2:1", "only YAML 1.2", "remove the %YAML line"),
    "python tag": Case(
        f"{IMAGE}layers:\n  - !!python/object/apply:os.system ['false']", "3:5", "is not allowed"
    ),
    "python tag on a scalar": Case(f"name: !!python/name:os.system x\n{IMAGE}", "1:7", "tag"),
    "own tag": Case(f"{IMAGE}layers: [Dense: {{units: !wide 3}}]", "2:25", "the tag !wide is not"),
    "a list": Case("- Flatten\n- ReLU", "1:1", "expected a mapping with inputs: and layers:"),
    "a word": Case("hello", "1:1", "found 'hello'"),
    "a list as a key": Case("? [a]\n: 1\n", "1:3", "a key must be a word"),
    "unknown alias": Case("inputs: *x", "1:9", "unknown alias *x"),
    "alias of itself": Case("inputs: &x [*x]", "1:13", "unknown alias *x"),
    "not a number": Case(f"{IMAGE}layers: [ELU: {{alpha: .nan}}]", "2:23", "finite number, found .nan"),
    "infinity": Case(f"{IMAGE}layers: [ELU: {{alpha: 1e999}}]", "2:23", "finite number, found 1e999"),
    "too many digits": Case(f"a: {'9' * 5000}", "1:4", "cannot read '999"),
}  # fmt: skip

KEYS = {
    "no inputs": Case("layers: [ReLU]", "1:1", "missing inputs:", "inputs: {image: [28, 28, 1]}"),
    "no layers": Case(IMAGE, "1:1", "missing layers:", "layers: [Flatten"),
    "inputs null": Case("inputs:\nlayers: [ReLU]", "1:1", "inputs: expected a mapping, found nothing"),
    "inputs a list": Case("inputs: [8, 8]\nlayers: [ReLU]", "1:9", "expected a mapping, found a list"),
    "layers empty": Case(f"{IMAGE}layers: []", "2:9", "layers: expected a list"),
    "layers a mapping": Case(f"{IMAGE}layers: {{ReLU: }}", "2:9", "expected a list, found a mapping"),
    "unknown key": Case(f"layer: 3\n{IMAGE}layers: [ReLU]", "1:1", "unknown key 'layer'", "mean layers?"),
    "odd key": Case(f"1: 3\n{IMAGE}layers: [ReLU]", "1:1", "unknown key 1"),
    "same key": Case(f"{IMAGE}layers: [ReLU]\ninputs: 3", "3:1", "'inputs' occurs twice", "line 1"),
    "same option": Case(
        f"{IMAGE}layers:\n  - Dense: {{units: 3, units: 4}}", "3:23", "'units' occurs twice", "line 3"
    ),
    "name a number": Case(f"name: 3\n{IMAGE}layers: [ReLU]", "1:7", "name: expected text, found 3"),
    "name empty": Case(f"name: ''\n{IMAGE}layers: [ReLU]", "1:7", "printable characters, found ''"),
    "name a surrogate": Case(f'name: "\\ud800"\n{IMAGE}layers: [ReLU]', "1:7", "half a character"),
    "classes a word": Case(f"{SCORES}classes: cat", "3:10", "expected a list of class names", "[cat, dog]"),
    "no classes": Case(f"{SCORES}classes: []", "3:10", "expected a list of class names"),
    "a class a number": Case(f"{SCORES}classes: [a, 7]", "3:14", "be printed, found 7", "quote it: '7'"),
    "a class a list": Case(f"{SCORES}classes: [a, [b]]", "3:14", "be printed, found ['b']"),
    "a class empty": Case(f"{SCORES}classes: [a, '']", "3:14", "be printed, found ''"),
    "a class twice": Case(f"{SCORES}classes: [a, b, a]", "3:17", "the class 'a' is named twice"),
    "classes too few": Case(
        f"{SCORES}classes: [a]", "3:10", "1 is the number of class names, and 2 the last size of dense"
    ),
    "classes too many": Case(
        f"{SCORES}classes: [a, b, c]", "3:10", "3 is the number of class names, and 2 the last size of dense"
    ),
    "classes of pixels": Case(
        f"{IMAGE}layers: [ReLU]\nclasses: [a, b]", "3:10", "and 3 the last size of re_lu"
    ),
    "budget a number": Case(f"{IMAGE}layers: [ReLU]\nbudget: 3", "3:9", "expected a mapping, found 3"),
    "budget unknown": Case(
        f"{IMAGE}layers: [ReLU]\nbudget: {{parms: 3}}", "3:10", "unknown key 'parms'", "mean params?"
    ),
    "budget not a number": Case(
        f"{IMAGE}layers: [ReLU]\nbudget: {{params: lots}}", "3:10", "such as 500k", ""
    ),
    "budget negative": Case(f"{IMAGE}layers: [ReLU]\nbudget: {{macs: -1}}", "3:10", "found -1"),
    "budget without end": Case(
        f"{IMAGE}layers: [ReLU]\nbudget: {{macs: '{'9' * 400}'}}", "3:10", "expected a number"
    ),
    "outputs text": Case(f"{IMAGE}layers: [ReLU]\noutputs: re_lu", "3:10", "a list of layer names"),
    "outputs nothing": Case(
        f"{IMAGE}layers: [ReLU: {{name: act}}]\noutputs: [atc]", "3:11", "no layer named 'atc'", "act?"
    ),
    "outputs a mapping": Case(
        f"{IMAGE}layers: [ReLU]\noutputs: [{{a: b}}]", "3:11", "expected a layer's name"
    ),
    "outputs an input": Case(f"{IMAGE}layers: [ReLU]\noutputs: [image]", "3:11", "no layer named"),
    "outputs twice": Case(f"{IMAGE}layers: [ReLU]\noutputs: [re_lu, re_lu]", "3:18", "named twice"),
    "nothing repeated": Case(
        f"{IMAGE}layers: [{{repeat: 0, layers: [ReLU]}}]", "2:9", "no layer between the input"
    ),
}  # fmt: skip

SIZES = {
    "zero": Case("inputs: {x: [8, 0, 3]}\nlayers: [Flatten]", "1:17", "expected a size from 1", "implicit"),
    "negative": Case("inputs: {x: [-8]}\nlayers: [Flatten]", "1:14", "found -8"),
    "a fraction": Case("inputs: {x: [2.5]}\nlayers: [Flatten]", "1:14", "found 2.5"),
    "true": Case("inputs: {x: [true]}\nlayers: [Flatten]", "1:14", "found true"),
    "null": Case("inputs: {x: [~, 3]}\nlayers: [Flatten]", "1:14", "found nothing"),
    "absurd": Case("inputs: {x: [1000000000000]}\nlayers: [ReLU]", "1:14", "found 1000000000000"),
    "not a list": Case("inputs: {x: 8}\nlayers: [Flatten]", "1:13", "expected a list of sizes, found 8"),
    "no sizes": Case("inputs: {x: []}\nlayers: [Flatten]", "1:13", "expected a list of sizes"),
    "not a name": Case("inputs: {x: ['h w', 3]}\nlayers: [Flatten]", "1:14", "found 'h w'"),
    "the batch": Case("inputs: {x: [N, 3]}\nlayers: [ReLU]", "1:14", "N is the size of the batch"),
    "odd input": Case("inputs: {'a b': [3]}\nlayers: [ReLU]", "1:10", "expected a name of letters"),
    "in all": Case(
        "inputs: {x: [100000, 100000, 100]}\nlayers: [Flatten]", "1:10", "1,000,000,000,000 elements"
    ),
    "units 0": Case(f"{IMAGE}layers: [Dense: {{units: 0}}]", "2:18", "units: expected an integer >= 1"),
    "units negative": Case(f"{IMAGE}layers: [Dense: {{units: -1}}]", "2:18", "found -1"),
    "units 10^12": Case(f"{IMAGE}layers: [Dense: {{units: 1000000000000}}]", "2:18", "<= 2147483647"),
    "units 10^4000": Case(f"{IMAGE}layers: [Dense: {{units: {'9' * 4000}}}]", "2:25", "at most 64 bits"),
    "kernel 0": Case(f"{IMAGE}layers: [Conv2D: {{filters: 1, kernel_size: [3, 0]}}]", "2:48", "[1]: exp"),
    "strides 0": Case(
        f"{IMAGE}layers: [MaxPooling2D: {{strides: 0}}]", "2:25", "strides: expected an integer >= 1"
    ),
    "pads": Case(
        f"{IMAGE}layers: [Conv2D: {{filters: 1, kernel_size: 3, padding: -1}}]", "2:47", "no negative"
    ),
    "padded beyond": Case(
        f"{IMAGE}layers: [ZeroPadding2D: {{padding: 1000000000}}]", "2:10", "more than the 68,719,476,736"
    ),
    "upsampled beyond": Case(
        f"{IMAGE}layers: [UpSampling2D: {{size: 2000000000}}]", "2:10", "more than the 68,719,476,736"
    ),
    "weights beyond": Case(
        "inputs: {x: [2147483647]}\nlayers: [Dense: {units: 2147483647}]", "2:10", "more than the"
    ),
    "cropped away": Case(f"{IMAGE}layers: [Cropping2D: {{cropping: 4}}]", "2:10", "leaves nothing"),
}  # fmt: skip

LAYERS = {
    "unknown layer": Case(f"{IMAGE}layers: [Conv2d]", "2:10", "unknown layer 'Conv2d'", "mean Conv2D?"),
    "a function": Case(f"{IMAGE}layers: [Gelu]", "2:10", "unknown layer 'Gelu'", "Activation: gelu"),
    "unknown option": Case(
        f"{IMAGE}layers:\n  - Conv2D: {{filter: 3, kernel_size: 3}}", "3:14", "unknown key 'filter'",
        "mean filters?",
    ),
    "unknown value": Case(
        f"{IMAGE}layers: [MaxPooling2D: {{padding: smae}}]", "2:25", "padding: expected same or valid",
        "mean same?",
    ),
    "unknown activation": Case(
        f"{IMAGE}layers: [Activation: {{activation: rleu}}]", "2:23", "unknown activation 'rleu'", "relu?"
    ),
    "option of an activation": Case(
        f"{IMAGE}layers: [Activation: {{activation: {{relu: {{max: 6}}}}}}]", "2:43", "unknown key 'max'",
        "known: max_value",
    ),
    "unknown initializer": Case(
        f"{IMAGE}layers: [Dense: {{units: 3, kernel_initializer: he_normel}}]", "2:28",
        "unknown initializer 'he_normel'", "he_normal?",
    ),
    "ragged constant": Case(
        f"{IMAGE}layers: [Dense: {{units: 3, kernel_initializer: {{constant: [[1], [2, 3]]}}}}]", "2:49",
        "lists of equal length",
    ),
    "missing option": Case(f"{IMAGE}layers: [Conv2D: {{filters: 3}}]", "2:10", "missing kernel_size"),
    "missing options": Case(f"{IMAGE}layers: [Conv2D]", "2:10", "missing kernel_size, filters"),
    "wrong type": Case(f"{IMAGE}layers: [Dense: {{units: many}}]", "2:18", "an integer, found 'many'"),
    "text for a truth": Case(
        f"{IMAGE}layers: [Dense: {{units: 3, use_bias: no}}]", "2:28", "expected true or false, found 'no'"
    ),
    "list too long": Case(
        f"{IMAGE}layers: [MaxPooling2D: {{pool_size: [2, 2, 2]}}]", "2:25", "expected 2 sizes or one"
    ),
    "options a list": Case(f"{IMAGE}layers: [ReLU: [1]]", "2:10", "ReLU: expected a mapping, found a list"),
    "a number": Case(f"{IMAGE}layers: [3]", "2:10", "expected a layer, found 3", "- Name: {key"),
    "null": Case(f"{IMAGE}layers: [~]", "2:10", "expected a layer, found nothing"),
    "wrong indent": Case(
        f"{IMAGE}layers:\n  - Dense:\n    units: 3", "3:5", "expected a layer, found several keys", "indented"
    ),
    "name a number": Case(f"{IMAGE}layers: [ReLU: {{name: 5}}]", "2:23", "found 5", "put it in quotes"),
    "name with spaces": Case(f"{IMAGE}layers: [ReLU: {{name: a b}}]", "2:23", "letters, digits and _ . - /"),
    "name too long": Case(f"{IMAGE}layers: [ReLU: {{name: {'x' * 201}}}]", "2:23", "expected a name"),
    "name taken": Case(
        f"{IMAGE}layers:\n  - ReLU: {{name: a}}\n  - ELU: {{name: a}}", "4:5", "the name 'a' is taken",
        "by line 3",
    ),
    "name of an input": Case(f"{IMAGE}layers: [ReLU: {{name: image}}]", "2:10", "is taken", "by an input"),
    "missing name": Case(
        f"{IMAGE}layers:\n  - ReLU: {{name: act}}\n  - ELU: {{inputs: [axt]}}", "4:20",
        "there is no layer or input named 'axt'", "act?",
    ),
    "inputs a number": Case(f"{IMAGE}layers: [ReLU: {{inputs: [3]}}]", "2:26", "a layer's name, found 3"),
    "no inputs": Case(f"{IMAGE}layers: [ReLU: {{inputs: []}}]", "2:10", "takes 1 input, found 0"),
    "which input": Case(f"{TWO}layers: [ReLU, ELU: {{inputs: [b]}}]", "2:10", "say which input", "a, b"),
    "one input to Add": Case(f"{IMAGE}layers: [Add]", "2:10", "takes 2 inputs or more, found 1", "[a, b]"),
    "two inputs to ReLU": Case(f"{TWO}layers: [ReLU: {{inputs: [a, b]}}]", "2:10", "takes 1 input, found 2"),
}  # fmt: skip

SHAPES = {
    "kernel too large": Case(
        f"{IMAGE}layers:\n  - Conv2D: {{filters: 3, kernel_size: 9}}", "3:5",
        "kernel 9x9 is larger than its input 8x8 and padding is valid", "padding: same keeps the 8x8",
    ),
    "pool too large": Case(
        f"{IMAGE}layers: [AveragePooling2D: {{pool_size: [2, 9]}}]", "2:10", "kernel 2x9 is larger"
    ),
    "dilated too large": Case(
        f"{IMAGE}layers: [Conv2D: {{filters: 1, kernel_size: 3, dilation_rate: 4}}]", "2:10", "9x9 (dilated)"
    ),
    "groups": Case(
        f"{IMAGE}layers: [Conv2D: {{filters: 4, kernel_size: 1, groups: 2}}]", "2:10",
        "3 input channels do not divide into 2 groups",
    ),
    "filters by groups": Case(
        f"{IMAGE}layers: [Conv2D: {{filters: 4, kernel_size: 1, groups: 3}}]", "2:10", "4 filters do not divide"
    ),
    "Add": Case(
        f"{TWO}layers: [Add: {{inputs: [a, b]}}]", "2:10", "shapes [8, 8, 3], [4, 4, 3] do not fit together"
    ),
    "Concatenate": Case(
        f"{TWO}layers: [Concatenate: {{inputs: [a, b]}}]", "2:10", "all sizes but the one joined (axis -1)"
    ),
    "Concatenate axis": Case(
        f"{IMAGE}layers: [Concatenate: {{inputs: [image, image], axis: 4}}]", "2:10", "axis 4 does not exist"
    ),
    "Concatenate batch": Case(
        f"{IMAGE}layers: [Concatenate: {{inputs: [image, image], axis: 0}}]", "2:10", "axis 0 is the batch"
    ),
    "Reshape": Case(
        f"{IMAGE}layers: [Reshape: {{target_shape: [7, 7]}}]", "2:10",
        "[8, 8, 3] has 192 elements, which do not fit into [7, 7] of 49",
    ),
    "Reshape open": Case(f"{IMAGE}layers: [Reshape: {{target_shape: [5, -1]}}]", "2:10", "do not fit into"),
    "Reshape 0": Case(f"{IMAGE}layers: [Reshape: {{target_shape: [0, 3]}}]", "2:20", "must not be 0"),
    "rank": Case(
        f"{IMAGE}layers: [Conv1D: {{filters: 1, kernel_size: 1}}]", "2:10", "2 sizes (steps, channels)", "Reshape"
    ),
    "after Flatten": Case(
        f"{IMAGE}layers:\n  - Flatten\n  - MaxPooling2D", "4:5", "height, width, channels), found 1: [192]"
    ),
    "unknown channels": Case(
        "inputs: {x: [8, 8, C]}\nlayers: [Conv2D: {filters: 1, kernel_size: 1}]", "2:10", "found C"
    ),
    "sizes that grow": Case(
        "inputs: {x: [H, 3]}\nlayers:\n  - repeat: 300\n    layers:\n"
        "      - MaxPooling1D: {pool_size: 1, strides: 3, padding: same}", "5:9",
        "an expression of more than 400 characters", "as numbers",
    ),
    "unknown into Dense": Case(
        "inputs: {x: [H, 8, 3]}\nlayers: [Flatten, Dense: {units: 1}]", "2:19", "must be known"
    ),
}  # fmt: skip

GRAPHS = {
    "cycle": Case(
        f"{IMAGE}layers:\n  - ReLU: {{name: a, inputs: [b]}}\n  - ELU: {{name: b, inputs: [a]}}", "3:5",
        "there is a cycle: a <- b <- a",
    ),
    "itself": Case(f"{IMAGE}layers: [Add: {{name: a, inputs: [image, a]}}]", "2:10", "a cycle: a <- a"),
    "dead layer": Case(
        f"{IMAGE}layers:\n  - ReLU: {{name: a}}\n  - ELU: {{name: b}}\noutputs: [a]", "4:5",
        "b (ELU): leads to no output", "name it in outputs:",
    ),
    "dead input": Case(f"{TWO}layers: [ReLU: {{inputs: [a]}}]", "1:24", "b (Input): leads to no output"),
}  # fmt: skip

BLOCK = "blocks:\n  b:\n    parameters: [n, {k: 3}]\n    layers: [Conv2D: {filters: $n, kernel_size: $k}]\n"

BLOCKS = {
    "blocks a list": Case(f"{IMAGE}blocks: [b]\nlayers: [ReLU]", "2:9", "blocks: expected a mapping"),
    "an operator": Case(
        f"{IMAGE}blocks: {{ReLU: {{layers: [ELU]}}}}\nlayers: [ReLU]", "2:10", "the name of an operator"
    ),
    "called repeat": Case(
        f"{IMAGE}blocks: {{repeat: {{layers: [ELU]}}}}\nlayers: [ReLU]", "2:10", "the name of an operator"
    ),
    "odd name": Case(f"{IMAGE}blocks: {{a b: {{layers: [ELU]}}}}\nlayers: [ReLU]", "2:10", "found 'a b'"),
    "nothing in it": Case(f"{IMAGE}blocks: {{b: }}\nlayers: [ReLU]", "2:10", "with a list of layers:"),
    "unknown key": Case(
        f"{IMAGE}blocks: {{b: {{layers: [ELU], parameter: [a]}}}}\nlayers: [b]", "2:29",
        "unknown key 'parameter'", "parameters?",
    ),
    "inputs a number": Case(
        f"{IMAGE}blocks: {{b: {{layers: [ELU], inputs: 3}}}}\nlayers: [ReLU]", "2:29", "a list of names"
    ),
    "odd parameter": Case(
        f"{IMAGE}blocks: {{b: {{layers: [ELU], parameters: [3]}}}}\nlayers: [b]", "2:42", "found 3",
        "one with a default is a mapping",
    ),
    "reserved parameter": Case(
        f"{IMAGE}blocks: {{b: {{layers: [ELU], parameters: [name]}}}}\nlayers: [b]", "2:41",
        "a parameter cannot be called name",
    ),
    "missing": Case(f"{IMAGE}{BLOCK}layers:\n  - b", "7:5", "b: missing n"),
    "unknown": Case(
        f"{IMAGE}{BLOCK}layers:\n  - b: {{n: 3, kk: 5}}", "7:15", "b: unknown parameter 'kk'", "did you mean k?"
    ),
    "wrong value": Case(
        f"{IMAGE}{BLOCK}layers:\n  - b: {{n: many}}", "5:23", "filters: expected an integer, found 'many'"
    ),
    "outside a block": Case(
        f"{IMAGE}layers: [Dense: {{units: $n}}]", "2:25", "unknown parameter '$n'", "belong to the layers"
    ),
    "outside its block": Case(
        f"{IMAGE}{BLOCK}layers:\n  - b: {{n: $k}}", "7:12", "unknown parameter '$k'", "belong"
    ),
    "not of this block": Case(
        f"{IMAGE}{BLOCK.replace('$n', '$m')}layers:\n  - b: {{n: 1}}", "5:32", "'$m'", "known here: $n, $k"
    ),
    "two inputs": Case(
        f"{IMAGE}blocks: {{b: {{inputs: [x, y], layers: [Add: {{inputs: [x, y]}}]}}}}\nlayers: [b]", "3:10",
        "b: takes 2 inputs (x, y), found 1",
    ),
    "output": Case(
        f"{IMAGE}blocks: {{b: {{output: z, layers: [ELU: {{name: y}}]}}}}\nlayers: [b]", "2:22",
        "output: there is no layer 'z'",
    ),
    "names outside": Case(
        f"{IMAGE}blocks: {{b: {{layers: [ELU: {{inputs: [image]}}]}}}}\nlayers: [b]", "2:38",
        "no layer or input named 'image'",
    ),
    "uses itself": Case(
        f"{IMAGE}blocks: {{b: {{layers: [b]}}}}\nlayers: [b]", "2:23", "nest deeper than 48", "use itself?"
    ),
    "use each other": Case(
        f"{IMAGE}blocks: {{b: {{layers: [c]}}, c: {{layers: [b]}}}}\nlayers: [b]", "2:41", "nest deeper than"
    ),
    "cycle of nothing": Case(
        f"{IMAGE}blocks: {{b: {{layers: [repeat: 0, layers: [ELU]]}}}}\nlayers:\n".replace(
            "[repeat: 0, layers: [ELU]]", "[{repeat: 0, layers: [ELU]}]"
        ) + "  - b: {name: p, inputs: [q]}\n  - b: {name: q, inputs: [p]}\n  - ReLU",
        "5:27", "there is a cycle: p <- q <- p",
    ),
    "repeat a word": Case(f"{IMAGE}layers: [{{repeat: x, layers: [ELU]}}]", "2:19", "a count from 0 to 100,000"),
    "repeat negative": Case(f"{IMAGE}layers: [{{repeat: -1, layers: [ELU]}}]", "2:19", "found -1"),
    "repeat true": Case(f"{IMAGE}layers: [{{repeat: true, layers: [ELU]}}]", "2:19", "found true"),
    "repeat without layers": Case(f"{IMAGE}layers: [repeat: 3]", "2:10", "repeat: expected a list of layers:"),
    "repeat unknown key": Case(
        f"{IMAGE}layers: [{{repeat: 1, layers: [ELU], nam: x}}]", "2:37", "unknown key 'nam'", "name?"
    ),
    "repeat parameter": Case(f"{IMAGE}layers: [{{repeat: $n, layers: [ELU]}}]", "2:19", "parameter '$n'"),
    "repeats alike": Case(
        f"{IMAGE}layers:\n  - {{repeat: 1, name: r, layers: [ELU]}}\n  - {{repeat: 1, name: r, layers: [ELU]}}",
        "4:5", "the name 'r_1' is taken", "by line 3",
    ),
}  # fmt: skip


def mapping(levels: int) -> str:
    return f"layers: {'[' * levels}{']' * levels}"


def doubling(levels: int, text: str) -> str:
    """Anchors that each hold the one before ten times."""
    rows = [f"a0: &a0 {text}"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(rows)


def passed_on(levels: int) -> str:
    """Blocks that each hand their parameter on eight times."""
    rows = [
        f"  b{i}: {{parameters: [x], layers: [b{i + 1}: {{x: [{', '.join(['$x'] * 8)}]}}]}}"
        for i in range(levels)
    ]
    last = f"  b{levels}: {{parameters: [x], layers: [Reshape: {{target_shape: $x}}]}}"
    return "\n".join([f"{IMAGE}blocks:", *rows, last, "layers: [b0: {x: 1}]"])


def wrapped(levels: int, text: str) -> str:
    """A layer in so many repeats."""
    return "[{repeat: 9, name: r, layers: " * levels + f"[{text}]" + "}]" * levels


BOMBS = {
    "deep lists": Case(mapping(65), "1:72", "nested deeper than 64"),
    "very deep lists": Case(mapping(1_000_000), "1:72", "nested deeper than 64"),
    "deep mappings": Case("a: " + "{a: " * 100_000, "1:256", "nested deeper than 64"),
    "deep block style": Case("".join(" " * i + "-\n" for i in range(2000)), "65:65", "deeper than 64"),
    "deep aliases": Case(
        f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 40}*a{']' * 40}", "2:70", "aliases nest deeper than 64"
    ),
    "alias bomb": Case(doubling(9, "[lol, lol]"), "7:58", "aliases expand to more than 2,000,000"),
    "parameter bomb": Case(passed_on(30), "8:38", "options of all layers hold more than 200,000"),
    "deep parameters": Case(
        f"{IMAGE}blocks:\n  b: {{parameters: [x], layers: [c: {{x: {'[' * 50}$x{']' * 50}}}]}}\n"
        f"  c: {{parameters: [x], layers: [Reshape: {{target_shape: {'[' * 50}$x{']' * 50}}}]}}\n"
        "layers: [b: {x: 1}]",
        "4:42", "parameters nest deeper than 64",
    ),
    "giant repeat": Case(f"{IMAGE}layers: [{{repeat: 100001, layers: [ELU]}}]", "2:19", "0 to 100,000"),
    "repeated repeat": Case(
        f"{IMAGE}layers: [{{repeat: 1000, layers: [{{repeat: 1000, layers: [ELU]}}]}}]", "2:58",
        "the layers expand to more than 20,000",
    ),
    "repeated nothing": Case(
        f"{IMAGE}layers: {wrapped(20, '{repeat: 0, layers: [ELU]}')}", "2:610", "more than 20,000"
    ),
    "blocks of blocks": Case(
        f"{IMAGE}blocks:\n" + "".join(f"  b{i}: {{layers: [b{i + 1}, b{i + 1}]}}\n" for i in range(30))
        + "  b30: {layers: [ELU]}\nlayers: [b0]", "32:18", "more than",
    ),
    "deep repeats": Case(
        f"{IMAGE}blocks:\n" + "".join(f"  b{i}: {{layers: {wrapped(25, f'b{i + 1}')}}}\n" for i in range(20))
        + "  b20: {layers: [ELU]}\nlayers: [b0]", "4:647", "nest deeper than 48",
    ),
    "long names": Case(
        f"{IMAGE}layers: {wrapped(30, 'ELU').replace('name: r', f'name: {chr(120) * 190}')}", "2:1105",
        "names expand to more than 1,000 characters",
    ),
    "large constants": Case(
        f"{IMAGE}layers: [{{repeat: 100000, layers: [Dense: {{units: 1, kernel_initializer: "
        f"{{constant: [{'1, ' * 1000}]}}}}]}}]", "2:43", "hold more than 200,000 values",
    ),
}  # fmt: skip

TABLES = [FILES, KEYS, SIZES, LAYERS, SHAPES, GRAPHS, BLOCKS]


def parameters(tables: list[dict[str, Case]]) -> list[object]:
    return [pytest.param(case, id=name) for table in tables for name, case in table.items()]


def found(error: GraphCNNError) -> str:
    assert isinstance(error.location, SourceLocation)
    return f"{error.location.line}:{error.location.column}"


@pytest.mark.parametrize("case", parameters(TABLES))
def test_refused(errors: Errors, case: Case) -> None:
    (error,) = errors(case.text)
    assert case.message in str(error).split("\n")[0]
    assert found(error) == case.place
    assert case.hint in (error.hint or "")
    assert error.exit_code == 2
    str(error).encode()
    assert "Value(" not in str(error)


@pytest.mark.parametrize("case", parameters([BOMBS]))
def test_bombs_are_bounded(errors: Errors, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expand, "MAX_LAYERS", 20_000)
    monkeypatch.setattr(expand, "MAX_VALUES", 200_000)
    (first, *_) = errors(case.text)
    assert case.message in first.message
    assert found(first) == case.place


def test_the_largest_bomb_stays_small(errors: Errors) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    (error,) = errors(BOMBS["blocks of blocks"].text)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert "more than 200,000" in error.message
    assert after.ru_maxrss - before.ru_maxrss < 600 * 2**10
    assert after.ru_utime - before.ru_utime < 60


def test_absurd_sizes_take_no_memory(errors: Errors) -> None:
    text = "inputs: {x: [2147483647]}\nlayers: [Dense: {units: 2147483647}, Dense: {units: 2}]"
    tracemalloc.start()
    try:
        (error,) = errors(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "4,611,686,014,132,420,609 elements" in error.message
    assert peak < 2**25  # The file is read into a buffer of 16 MiB.


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("inputs: {x: [1000000000000]}\nlayers: [ReLU]", 2, "found 1000000000000"),
        ("inputs: {x: [2147483647]}\nlayers: [Dense: {units: 2147483647}]", 2, "elements"),
        ("inputs: {x: [40000, 40000, 3]}\nlayers: [ReLU]", 0, "not run: its activations take"),
    ],
)
def test_compile_takes_no_memory_for_absurd_sizes(
    tmp_path: Path, text: str, code: int, message: str
) -> None:
    model = tmp_path / "model.yaml"
    model.write_text(text)
    limited = "import resource as r, runpy; r.setrlimit(r.RLIMIT_DATA, (2**31, 2**31)); "
    limited += "runpy.run_module('graphcnn', run_name='__main__')"
    command = [sys.executable, "-c", limited, "compile", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.iterdir())) == 1 + (code == 0)


def test_independent_errors_come_together_in_the_order_of_lines(errors: Errors) -> None:
    text = """\
inputs:
  a: [8, 8, 3]
  b: [0]
name: 5
layers:
  - Conv2D: {filters: 0, kernel_size: x, groops: 2, inputs: [a]}
  - Conv2d: {filters: 3}
  - MaxPooling2D: {pool_size: 9, inputs: [a], name: big}
  - Flatten: {inputs: [a], name: flat}
  - Dense: {units: 10, inputs: [flatt]}
  - Add: {inputs: [big, b]}
outputs: [nothing, flat]
budget: {macs: x}
"""
    rows = [(found(error), error.message.split(",")[0]) for error in errors(text)]
    assert rows == [
        ("3:7", "expected a size from 1 to 2"),
        ("4:7", "name: expected text"),
        ("6:14", "filters: expected an integer >= 1"),
        ("6:26", "kernel_size: expected an integer or a list"),
        ("6:42", "unknown key 'groops'"),
        ("7:5", "unknown layer 'Conv2d'"),
        ("8:5", "kernel 9x9 is larger than its input 8x8 and padding is valid"),
        ("10:33", "there is no layer or input named 'flatt'"),
        ("12:11", "outputs: there is no layer named 'nothing'"),
        ("13:10", "macs: expected a number such as 500k"),
    ]


def test_one_mistake_is_one_error(errors: Errors) -> None:
    text = f"{IMAGE}layers:\n  - Conv2D: {{filters: 0, kernel_size: 3, name: c}}\n  - ReLU\n"
    text += "  - Add: {inputs: [c, re_lu]}\n  - Dense: {units: 1}\noutputs: [dense]"
    assert len(errors(text)) == 1


USES = f"""{IMAGE}blocks:
  unit:
    parameters: [k]
    layers:
      - repeat: 2
        name: step
        layers:
          - Conv2D: {{filters: 1, kernel_size: $k}}
layers:
  - unit: {{k: 5, name: first}}
  - unit: {{k: 5, name: second}}
"""


def test_an_error_in_a_block_names_the_use(errors: Errors) -> None:
    error, *others = errors(USES)
    assert others == []
    assert found(error) == "9:13"
    assert error.subject == "first/step_2/conv2d (Conv2D)"
    assert "  within   first > step 2 of 2\n" in str(error)
    assert "  inputs   first/step_1/conv2d: float32[N, 4, 4, 1]  (" in str(error)


def test_an_error_in_every_use_of_a_block_is_one_error(errors: Errors) -> None:
    (error,) = errors(USES.replace("Conv2D", "Conv2d"))
    assert found(error) == "9:13"
    assert error.location is not None
    assert error.location.scope == ("first", "step 1 of 2")


def test_the_form_of_a_message(errors: Errors, tmp_path: Path) -> None:
    (error,) = errors(SHAPES["kernel too large"].text)
    file = tmp_path / "model.yaml"
    assert str(error).splitlines() == [
        f"{file}:3:5: conv2d (Conv2D): kernel 9x9 is larger than its input 8x8 and padding is valid",
        f"  inputs   image: float32[N, 8, 8, 3]  ({file}:1)",
        "  hint     padding: same keeps the 8x8, or use a kernel of at most 8x8",
    ]


def test_mistakes_are_counted_up_to_a_limit(errors: Errors) -> None:
    layers = "".join(f"  - Nothing{i}\n" for i in range(3 * MAX_ERRORS))
    assert len(errors(f"{IMAGE}layers:\n{layers}")) == MAX_ERRORS + 1


def test_a_file_that_is_too_large(errors: Errors) -> None:
    (error,) = errors(b"#" * (16 * 2**20 + 1))
    assert "larger than 16,777,216 bytes" in error.message


@pytest.mark.parametrize(
    ("name", "message"), [("no.yaml", "No such file"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(GraphCNNError, match=message):
        graphcnn.load(tmp_path / name)


def test_a_file_name_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.yaml")
    path.write_text(f"{IMAGE}layers: [ReLU]")
    str(graphcnn.load(path)).encode()
    path.write_text("layers: 3")
    with pytest.raises(GraphCNNError) as caught:
        graphcnn.load(path)
    str(caught.value).encode()


def test_scalars(read: Read) -> None:
    text = """
inputs: {x: [4, 4, 2]}
layers:
  - BatchNormalization: {epsilon: 1e-3, name: no, inputs: x}
  - Conv2D: {filters: 0x10, kernel_size: 1, name: on}
  - Dropout: {rate: 1.0e-1, name: &a y, seed: 1}
  - Dropout: {rate: .5, name: &a yes, seed: ~}
  - ReLU: {max_value: 6, name: 2020-01-01}
outputs: [2020-01-01, *a]
"""
    graph = read(text)
    assert [node.name for node in graph] == ["x", "no", "on", "y", "yes", "2020-01-01"]
    assert [vars(graph.node(n).op)["rate"] for n in ("y", "yes")] == [0.1, 0.5]
    assert vars(graph.node("no").op)["epsilon"] == 0.001
    assert vars(graph.node("on").op)["filters"] == 16
    assert list(graph.outputs) == ["2020-01-01", "yes"]
