"""Blocks, parameters and repeats of a model file, expanded into plain layers with unique names.

A block's layers are written once, with ``$name`` for its parameters, and used like a layer. In a
use named ``inception_3a`` the layer ``5x5`` becomes ``inception_3a/5x5``. The layers of a named
repeat go into ``NAME_1/``, ``NAME_2/``; those of an unnamed one stay where they are, numbered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from graphcnn.errors import GraphCNNError, ModelFileError, OptionError, SourceLocation, did_you_mean
from graphcnn.graph import snake_case
from graphcnn.ops import OPS, Op
from graphcnn.options import build

from .document import Value

MAX_LAYERS = 200_000
MAX_REPEAT = 100_000
MAX_BLOCK_DEPTH = 24

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./\-]{0,199}")
"""What a layer may be called: names are file, tensor and JSON names later."""

_RESERVED = ("name", "inputs")
_BLOCK_KEYS = ("parameters", "inputs", "layers", "output")
_REPEAT_KEYS = ("repeat", "layers", "name")


@dataclass(frozen=True, slots=True)
class Layer:
    """One plain layer.

    Attributes:
        name: Its unique name.
        op: Its operator; None where its options were wrong.
        inputs: The names of its inputs, unique names of layers or inputs of the model.
        location: Where it was written.
    """

    name: str
    op: Op | None
    inputs: tuple[str, ...]
    location: SourceLocation


@dataclass(frozen=True, slots=True)
class _Block:
    name: str
    parameters: dict[str, Value | None]
    inputs: tuple[str, ...]
    layers: Value
    output: Value | None


@dataclass(slots=True)
class _Scope:
    """The names that a list of layers can see.

    Attributes:
        prefix: What stands before the names of its layers.
        suffix: What stands after the names that they are given: the counts of unnamed repeats.
        within: The blocks and repeats around it, outermost first.
        parameters: What ``$name`` stands for.
        names: By local name, a layer's unique name, or a reference to resolve in another scope.
        last: The unique name, or the reference, of what the next layer follows.
        outer: The scope around a repeat, whose names can be seen too.
        depth: The number of blocks around it.
    """

    prefix: str = ""
    suffix: str = ""
    within: tuple[str, ...] = ()
    parameters: dict[str, Value] = field(default_factory=dict)
    names: dict[str, str | _Reference] = field(default_factory=dict)
    last: str | _Reference | None = None
    outer: _Scope | None = None
    depth: int = 0

    def place(self, value: Value) -> SourceLocation:
        """The location of a value, with the blocks and repeats around it."""
        return replace(value.location, scope=self.within) if self.within else value.location


@dataclass(frozen=True, slots=True)
class _Reference:
    """A name that is looked up when all layers are known, so that it may come before its layer."""

    scope: _Scope
    name: str
    location: SourceLocation


@dataclass(slots=True)
class _Pending:
    name: str
    op: Op | None
    inputs: list[str | _Reference]
    location: SourceLocation


class Expander:
    """Expands the layers of a model file.

    Args:
        root: The document.
        inputs: The names of the model's inputs.
        errors: Where to put what is wrong.
    """

    def __init__(self, root: Value, inputs: list[str], errors: list[GraphCNNError]) -> None:
        self._root = root
        self._errors = errors
        self._pending: list[_Pending] = []
        self._taken: dict[str, SourceLocation | None] = dict.fromkeys(inputs)
        self._counts: dict[str, int] = {}
        self._steps = 0
        self._blocks: dict[str, _Block] = {}

    def expand(self) -> list[Layer]:
        """The plain layers, as they were written.

        Raises:
            ModelFileError: They are more than `MAX_LAYERS`.
        """
        self._read_blocks()
        scope = _Scope(names={name: name for name in self._taken})
        if len(self._taken) == 1:
            scope.last = next(iter(self._taken))
        layers = self._root.get("layers")
        assert layers is not None
        self._expand_list(layers, scope)
        return [
            Layer(layer.name, layer.op, tuple(self._resolved(layer.inputs)), layer.location)
            for layer in self._pending
        ]

    def _fail(self, message: str, place: SourceLocation, hint: str | None = None) -> None:
        self._errors.append(ModelFileError(message, location=place, hint=hint))

    def _step(self, place: SourceLocation) -> None:
        self._steps += 1
        if self._steps > MAX_LAYERS:
            raise ModelFileError(f"the layers expand to more than {MAX_LAYERS:,}", location=place)

    def _read_blocks(self) -> None:
        blocks = self._root.get("blocks")
        if blocks is None:
            return
        if not blocks.is_mapping:
            self._fail(f"blocks: expected a mapping, found {blocks.kind}", blocks.location)
            return
        for name, (key, value) in blocks.data.items():
            if name in OPS or name == "repeat":
                self._fail(f"blocks: {name} is the name of an operator", key.location)
                continue
            block = self._block(str(name), key, value)
            if block:
                self._blocks[block.name] = block

    def _block(self, name: str, key: Value, value: Value) -> _Block | None:
        layers = value.get("layers") if value.is_mapping else None
        if layers is None or not layers.is_list or not layers.data:
            self._fail(f"block {name}: expected a mapping with a list of layers:", key.location)
            return None
        for word in value.data:
            if word not in _BLOCK_KEYS:
                hint = did_you_mean(str(word), _BLOCK_KEYS)
                self._fail(f"block {name}: unknown key {word!r}", value.key(word).location, hint)
        inputs = value.get("inputs")
        names = inputs.plain() if inputs else ["input"]
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            self._fail(f"block {name}: inputs: expected a list of names", key.location)
            return None
        output = value.get("output")
        return _Block(
            name,
            self._block_parameters(name, value.get("parameters")),
            tuple(names),
            layers,
            output,
        )

    def _block_parameters(self, name: str, value: Value | None) -> dict[str, Value | None]:
        """The parameters by name, with their defaults; None is required."""
        if value is None:
            return {}
        parameters: dict[str, Value | None] = {}
        for item in value.data if value.is_list else [value]:
            if isinstance(item.data, str) and item.data.isidentifier():
                parameters[item.data] = None
            elif item.is_mapping and all(str(word).isidentifier() for word in item.data):
                parameters.update({word: default for word, (_, default) in item.data.items()})
            else:
                self._fail(
                    f"block {name}: expected a parameter, found {item.kind}",
                    item.location,
                    "parameters: [filters, {strides: 1}]; one with a default is a mapping",
                )
        for word in set(parameters) & set(_RESERVED):
            self._fail(f"block {name}: a parameter cannot be called {word}", value.location)
        return parameters

    def _expand_list(self, layers: Value, scope: _Scope) -> None:
        for item in layers.data:
            self._step(scope.place(item))
            if item.is_mapping and "repeat" in item.data:
                self._repeat(item, scope)
            else:
                self._use(item, scope)

    def _repeat(self, item: Value, scope: _Scope) -> None:
        place = scope.place(item)
        for key in item.data:
            if key not in _REPEAT_KEYS:
                hint = did_you_mean(str(key), _REPEAT_KEYS)
                self._fail(f"repeat: unknown key {key!r}", scope.place(item.key(key)), hint)
        item = item.substitute_keys(scope.parameters, ("repeat", "name"))
        times, layers, name = item.get("repeat"), item.get("layers"), item.get("name")
        assert times is not None
        count = times.data
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MAX_REPEAT:
            self._fail(
                f"repeat: expected a count from 0 to {MAX_REPEAT:,}, found {times.kind}",
                scope.place(times),
            )
            return
        if layers is None or not layers.is_list or not layers.data:
            self._fail("repeat: expected a list of layers:", place)
            return
        title = self._given_name(name, scope) if name else None
        for index in range(1, count + 1):
            self._step(place)
            inner = _Scope(
                prefix=f"{scope.prefix}{title}{scope.suffix}_{index}/" if title else scope.prefix,
                suffix="" if title else f"{scope.suffix}_{index}",
                within=(*scope.within, f"{title or 'repeat'} {index} of {count}"),
                parameters=scope.parameters,
                last=scope.last,
                outer=scope,
                depth=scope.depth,
            )
            self._expand_list(layers, inner)
            scope.last = inner.last
            if title and isinstance(inner.last, str):
                scope.names[f"{title}_{index}"] = inner.last
            if not title:
                scope.names |= {f"{n}_{index}": v for n, v in inner.names.items()}

    def _use(self, item: Value, scope: _Scope) -> None:
        """One use of an operator or a block."""
        if isinstance(item.data, str):
            title, key, options = item.data, item, Value({}, item.location)
        elif item.is_mapping and len(item.data) == 1:
            ((title, (key, options)),) = item.data.items()
            if options.data is None:
                options = Value({}, key.location)
        else:
            self._fail(
                f"expected a layer, found {item.kind if not item.is_mapping else 'several keys'}",
                scope.place(item),
                "a layer is `- Name` or `- Name: {key: value}`, its keys indented under its name",
            )
            return
        place = scope.place(key)
        if not options.is_mapping:
            self._fail(f"{title}: expected a mapping, found {options.kind}", place)
            options = Value({}, key.location)
        try:
            options = options.substitute(scope.parameters)
        except ModelFileError as error:
            self._fail(error.message, scope.place(Value(None, error.location or place)), error.hint)
            return
        if title in self._blocks:
            self._use_block(self._blocks[title], options, scope, place)
            return
        if title not in OPS:
            hint = did_you_mean(str(title), [*OPS, *self._blocks])
            self._fail(f"unknown layer {title!r}", place, hint)
        self._use_operator(str(title), options, scope, place)

    def _use_operator(
        self, title: str, options: Value, scope: _Scope, place: SourceLocation
    ) -> None:
        name = self._layer_name(title, options, scope, place)
        inputs = self._given_inputs(options, scope, place)
        op: Op | None = None
        if title in OPS:
            fields = {k: v for k, v in options.plain().items() if k not in _RESERVED}
            try:
                op = build(OPS[title], fields)
            except GraphCNNError as error:
                local = Value(options.data, place)
                self._errors.extend(located(error, local, f"{name} ({title})"))
        self._pending.append(_Pending(name, op, inputs, place))
        scope.last = name

    def _layer_name(self, title: str, options: Value, scope: _Scope, place: SourceLocation) -> str:
        """Enter a layer under the name it is given, or under one made from its operator."""
        value = options.get("name")
        given = self._given_name(value, scope) if value else None
        if given:
            name = f"{scope.prefix}{given}{scope.suffix}"
            if name in self._taken:
                first = self._taken[name]
                hint = f"by line {first.line}" if first else "by an input"
                self._fail(f"the name {name!r} is taken", place, hint)
                name = self._unused(name)
            scope.names[given] = name
        else:
            name = self._unused(f"{scope.prefix}{snake_case(title)}")
            scope.names[name.removeprefix(scope.prefix)] = name
        self._taken[name] = place
        return name

    def _unused(self, stem: str) -> str:
        name = stem
        while name in self._taken:
            self._counts[stem] = self._counts.get(stem, 0) + 1
            name = f"{stem}_{self._counts[stem]}"
        return name

    def _given_name(self, value: Value, scope: _Scope) -> str | None:
        if isinstance(value.data, str) and _NAME.fullmatch(value.data):
            return value.data
        hint = "put it in quotes" if isinstance(value.data, int | float) else None
        self._fail(
            f"name: expected letters, digits and _ . - /, found {value.kind}",
            scope.place(value),
            hint,
        )
        return None

    def _given_inputs(
        self, options: Value, scope: _Scope, place: SourceLocation
    ) -> list[str | _Reference]:
        """The inputs that a layer names, or the layer before it."""
        value = options.get("inputs")
        if value is None:
            if scope.last is None:
                known = ", ".join(scope.names)
                self._fail(
                    "the first layer must say which input it takes",
                    place,
                    f"inputs: [...], one or more of {known}",
                )
                return []
            return [scope.last]
        items = value.data if value.is_list else [value]
        found: list[str | _Reference] = []
        for item in items:
            if isinstance(item.data, str):
                found.append(_Reference(scope, item.data, scope.place(item)))
            else:
                self._fail(f"inputs: expected a layer's name, found {item.kind}", scope.place(item))
        return found

    def _use_block(
        self, block: _Block, options: Value, scope: _Scope, place: SourceLocation
    ) -> None:
        if scope.depth == MAX_BLOCK_DEPTH:
            raise ModelFileError(
                f"blocks nest deeper than {MAX_BLOCK_DEPTH}",
                location=place,
                hint=f"does {block.name} use itself?",
            )
        parameters = self._arguments(block, options, scope, place)
        inputs = self._given_inputs(options, scope, place)
        if parameters is None:
            return
        if len(inputs) != len(block.inputs):
            self._fail(
                f"{block.name}: takes {len(block.inputs)} inputs "
                f"({', '.join(block.inputs)}), found {len(inputs)}",
                place,
            )
            return
        name = self._layer_name(block.name, options, scope, place)
        inner = _Scope(
            prefix=f"{name}/",
            within=(*scope.within, name),
            parameters=parameters,
            names=dict(zip(block.inputs, inputs, strict=True)),
            last=inputs[0],
            depth=scope.depth + 1,
        )
        self._expand_list(block.layers, inner)
        self._leave_block(block, inner, scope, name)

    def _leave_block(self, block: _Block, inner: _Scope, scope: _Scope, name: str) -> None:
        """Let the block's own name stand for its result."""
        result = inner.last
        if block.output is not None:
            result = inner.names.get(block.output.data)
            if result is None:
                hint = did_you_mean(str(block.output.data), inner.names)
                message = f"block {block.name}: output: there is no layer {block.output.data!r}"
                self._fail(message, inner.place(block.output), hint)
        for local, unique in scope.names.items():
            if unique == name:
                scope.names[local] = result or name
        scope.last = result

    def _arguments(
        self, block: _Block, options: Value, scope: _Scope, place: SourceLocation
    ) -> dict[str, Value] | None:
        """The parameters of one use of a block; None where they are wrong."""
        given = {k: v for k, (_, v) in options.data.items() if k not in _RESERVED}
        unknown = [key for key in given if key not in block.parameters]
        for key in unknown:
            where = scope.place(options.key(key))
            hint = did_you_mean(str(key), block.parameters)
            self._fail(f"{block.name}: unknown parameter {key!r}", where, hint)
        defaults = {k: v for k, v in block.parameters.items() if v is not None}
        missing = [key for key in block.parameters if key not in given and key not in defaults]
        if missing:
            self._fail(f"{block.name}: missing {', '.join(missing)}", place)
        return None if unknown or missing else {**defaults, **given}

    def _resolved(self, inputs: list[str | _Reference]) -> Iterator[str]:
        for source in inputs:
            if isinstance(source, str):
                yield source
                continue
            name = self._find(source)
            if name is not None:
                yield name

    def _find(self, reference: _Reference) -> str | None:
        """The unique name that a reference stands for."""
        scope: _Scope | None = reference.scope
        seen: list[str] = []
        while scope:
            found = scope.names.get(reference.name)
            if isinstance(found, str):
                return found
            if found:
                return self._find(found)
            seen.extend(scope.names)
            scope = scope.outer
        self._fail(
            f"there is no layer or input named {reference.name!r}",
            reference.location,
            did_you_mean(reference.name, seen),
        )
        return None


def located(error: GraphCNNError, options: Value, subject: str) -> list[GraphCNNError]:
    """The errors of a mapping of options, each with the place of the option it is about."""
    found: list[GraphCNNError] = []
    for one in error.errors:
        path = one.path if isinstance(one, OptionError) else ()
        place = replace(options.place(path), scope=options.location.scope)
        found.append(ModelFileError(one.message, location=place, subject=subject, hint=one.hint))
    return found
