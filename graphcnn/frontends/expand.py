"""Blocks, parameters and repeats of a model file, expanded into plain layers with unique names.

A block's layers are written once, with ``$name`` for its parameters, and used like a layer. In a
use named ``inception_3a`` the layer ``5x5`` becomes ``inception_3a/5x5``. The layers of a named
repeat go into ``NAME_1/``, ``NAME_2/``; those of an unnamed one stay where they are, numbered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphcnn.errors import (
    ErrorGroup,
    GraphCNNError,
    ModelFileError,
    SourceLocation,
    did_you_mean,
)
from graphcnn.naming import snake_case
from graphcnn.ops import OPS, Op
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.options import build, shorten

from .blocks import NAME, RESERVED, Block, bad_name, read_blocks
from .document import MAX_DEPTH, MAX_VALUES, Value, located
from .names import Names, Reference, Scope, Source

MAX_LAYERS = 200_000
MAX_REPEAT = 100_000
MAX_NESTING = 48
"""The most blocks and repeats around a layer."""

MAX_ERRORS = 100
"""No more mistakes than these are looked for in one file."""

_REPEAT_KEYS = ("repeat", "layers", "name")


@dataclass(frozen=True, slots=True)
class Layer:
    """One plain layer.

    Attributes:
        name: Its unique name.
        op: Its operator; None where something about it was wrong.
        inputs: The names of its inputs, unique names of layers or inputs of the model.
        location: Where it was written.
        shares: The layer whose weights it has too, if any.
    """

    name: str
    op: Op | None
    inputs: tuple[str, ...]
    location: SourceLocation
    shares: str | None = None


@dataclass(slots=True)
class _Pending:
    name: str
    op: Op | None
    inputs: list[Source]
    location: SourceLocation
    shares: Source | None = None


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
        self._names = Names(inputs, self._fail)
        self._steps = 0
        self._values = 0
        self._blocks: dict[str, Block | None] = {}
        self._top = Scope(names={name: name for name in inputs})
        self._top.last = inputs[0] if len(inputs) == 1 else None

    def expand(self) -> list[Layer]:
        """The plain layers, as they were written.

        Raises:
            ModelFileError: They, their options or their nesting are beyond a limit.
        """
        self._blocks = read_blocks(self._root.get("blocks"), self._fail)
        layers = self._root.get("layers")
        assert layers is not None
        self._expand_list(layers, self._top)
        return [self._finished(layer) for layer in self._pending]

    def find(self, name: str) -> str | None:
        """The layer that a name stands for at the top of the file; a block's is its result."""
        return self._names.resolved(self._names.meaning(self._top, name))

    @property
    def last(self) -> str | None:
        """What the last layer, block or repeat of the file results in."""
        return self._names.resolved(self._top.last)

    @property
    def names(self) -> list[str]:
        """All names that `find` knows in full."""
        return list(self._names)

    def _finished(self, layer: _Pending) -> Layer:
        found = [self._names.resolved(source) for source in layer.inputs]
        known = tuple(name for name in found if name is not None)
        shares = self._names.resolved(layer.shares)
        is_found = len(known) == len(found) and (shares is None) == (layer.shares is None)
        return Layer(layer.name, layer.op if is_found else None, known, layer.location, shares)

    def _fail(self, message: str, place: SourceLocation, hint: str | None = None) -> None:
        self._report([ModelFileError(message, location=place, hint=hint)])

    def _report(self, errors: list[GraphCNNError]) -> None:
        self._errors.extend(errors)
        if len(self._errors) > MAX_ERRORS:
            raise ErrorGroup(self._errors)

    def _step(self, place: SourceLocation) -> None:
        self._steps += 1
        if self._steps > MAX_LAYERS:
            raise ModelFileError(f"the layers expand to more than {MAX_LAYERS:,}", location=place)

    def _expand_list(self, layers: Value, scope: Scope) -> None:
        for item in layers.data:
            self._step(scope.place(item))
            if item.is_mapping and "repeat" in item.data:
                self._repeat(item, scope)
            else:
                self._use(item, scope)

    def _check_nesting(self, scope: Scope, place: SourceLocation, hint: str | None = None) -> None:
        if len(scope.within) == MAX_NESTING:
            place = replace(place, scope=scope.within[:1])
            message = f"blocks and repeats nest deeper than {MAX_NESTING}"
            raise ModelFileError(message, location=place, hint=hint)

    def _repeat(self, item: Value, scope: Scope) -> None:
        place = scope.place(item)
        self._check_nesting(scope, place)
        for key in item.data:
            if key not in _REPEAT_KEYS:
                hint = did_you_mean(str(key), _REPEAT_KEYS)
                self._fail(f"repeat: unknown key {shorten(key)}", scope.place(item.key(key)), hint)
        filled = self._substituted(item, scope, ("repeat", "name"))
        layers = item.get("layers")
        count = self._count(filled, scope) if filled else None
        if layers is None or not layers.is_list or not layers.data:
            self._fail("repeat: expected a list of layers:", place)
            layers = None
        if filled is None or layers is None or count is None:
            self._give_up("repeat", Value({}, place), scope, place)
            return
        name = filled.get("name")
        title = self._given_name(name, scope) if name else None
        for index in range(1, count + 1):
            self._step(place)
            self._repeat_once(layers, scope, title, index, count, place)

    def _count(self, item: Value, scope: Scope) -> int | None:
        """How often a repeat repeats; None where that is wrong."""
        times = item.get("repeat")
        assert times is not None
        count = times.data
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MAX_REPEAT:
            return count
        message = f"repeat: expected a count from 0 to {MAX_REPEAT:,}, found {times.kind}"
        self._fail(message, scope.place(times))
        return None

    def _repeat_once(
        self,
        layers: Value,
        scope: Scope,
        title: str | None,
        index: int,
        count: int,
        place: SourceLocation,
    ) -> None:
        numbered = f"{title}{scope.suffix}_{index}"
        inner = Scope(
            prefix=scope.prefix,
            suffix=f"{scope.suffix}_{index}",
            within=(*scope.within, f"{title or 'repeat'} {index} of {count}"),
            parameters=scope.parameters,
            last=scope.last,
            outer=scope,
        )
        if title:
            name = self._names.enter(f"{scope.prefix}{numbered}", place)
            inner.prefix, inner.suffix = f"{name}/", ""
        self._expand_list(layers, inner)
        scope.last = inner.last
        if not title:
            scope.copies |= {f"{local}_{index}": source for local, source in inner.names.items()}
        elif inner.last is not None:
            self._names.result(name, inner.last)
            scope.copies[f"{title}_{index}"] = inner.last

    def _use(self, item: Value, scope: Scope) -> None:
        """One use of an operator or a block."""
        if isinstance(item.data, str):
            title, key, options = item.data, item, Value({}, item.location)
        elif item.is_mapping and len(item.data) == 1:
            ((title, (key, options)),) = item.data.items()
        else:
            self._fail(
                f"expected a layer, found {item.kind if not item.is_mapping else 'several keys'}",
                scope.place(item),
                "a layer is `- Name` or `- Name: {key: value}`, its keys indented under its name",
            )
            self._give_up("layer", Value({}, item.location), scope, scope.place(item))
            return
        place = scope.place(key)
        if not options.is_mapping:
            if options.data is not None:
                self._fail(f"{title}: expected a mapping, found {options.kind}", place)
            options = Value({}, key.location)
        filled = self._substituted(options, scope)
        block = self._blocks.get(title)
        if filled is None or (title in self._blocks and block is None):
            self._give_up("layer", options, scope, place)
        elif block:
            self._use_block(block, filled, scope, place)
        elif title in OPS:
            self._use_operator(title, filled, scope, place)
        else:
            self._fail(f"unknown layer {shorten(title)}", place, self._meant(str(title)))
            self._given_inputs(filled, scope, place)
            self._give_up("layer", filled, scope, place)

    def _substituted(
        self, value: Value, scope: Scope, keys: tuple[str, ...] | None = None
    ) -> Value | None:
        """A mapping with its parameters filled in; None where one is unknown.

        Raises:
            ModelFileError: What the parameters stand for is beyond a limit.
        """
        try:
            if keys is None:
                filled = value.substitute(scope.parameters)
            else:
                filled = value.substitute_keys(scope.parameters, keys)
        except ModelFileError as error:
            self._fail(error.message, self._within(error.location, scope), error.hint)
            return None
        self._values += filled.count if keys is None else 0
        if self._values > MAX_VALUES:
            message = f"the options of all layers hold more than {MAX_VALUES:,} values"
            raise ModelFileError(message, location=value.location)
        if filled.depth > MAX_DEPTH:
            raise ModelFileError(
                f"parameters nest deeper than {MAX_DEPTH}", location=value.location
            )
        return filled

    def _within(self, place: SourceLocation | None, scope: Scope) -> SourceLocation:
        assert place is not None
        return replace(place, scope=scope.within)

    def _give_up(self, title: str, options: Value, scope: Scope, place: SourceLocation) -> None:
        """Enter a layer that is wrong under its name, so that those after it are not blamed."""
        value = options.get("name")
        named = value and isinstance(value.data, str) and NAME.fullmatch(value.data)
        name = self._layer_name(title, options if named else Value({}, place), scope, place)
        self._pending.append(_Pending(name, None, [], place))
        scope.last = name

    def _meant(self, title: str) -> str | None:
        """What an unknown layer may be: a function, or a name that is spelled alike."""
        if snake_case(title) in FUNCTIONS:
            return f"Activation: {snake_case(title)}"
        return did_you_mean(title, [*OPS, *self._blocks])

    def _use_operator(
        self, title: str, options: Value, scope: Scope, place: SourceLocation
    ) -> None:
        name = self._layer_name(title, options, scope, place)
        inputs = self._given_inputs(options, scope, place)
        op: Op | None = None
        fields = {k: v.plain() for k, (_, v) in options.data.items() if k not in RESERVED}
        try:
            op = build(OPS[title], fields)
        except GraphCNNError as error:
            local = replace(options, location=place)
            self._report(located(error, local, f"{name} ({title})"))
        made = op if inputs is not None else None
        shares = self._given_shares(options, scope)
        self._pending.append(_Pending(name, made, inputs or [], place, shares))
        scope.last = name

    def _given_shares(self, options: Value, scope: Scope) -> Source | None:
        """The layer whose weights a layer has too."""
        if (value := options.get("shares")) is None:
            return None
        place = scope.place(value)
        if isinstance(value.data, str):
            return Reference(scope, value.data, place)
        self._fail(f"shares: expected a layer's name, found {value.kind}", place)
        return None

    def _layer_name(self, title: str, options: Value, scope: Scope, place: SourceLocation) -> str:
        """Enter a layer under the name it is given, or under one made from its operator."""
        value = options.get("name")
        given = self._given_name(value, scope) if value else None
        if not given:
            return self._names.enter(
                self._names.unused(f"{scope.prefix}{snake_case(title)}"), place
            )
        name = self._names.enter(f"{scope.prefix}{given}{scope.suffix}", place)
        scope.names[given] = name
        return name

    def _given_name(self, value: Value, scope: Scope) -> str | None:
        if isinstance(value.data, str) and NAME.fullmatch(value.data):
            return value.data
        hint = "put it in quotes" if isinstance(value.data, int | float) else None
        self._fail(f"name: {bad_name(value)}", scope.place(value), hint)
        return None

    def _given_inputs(
        self, options: Value, scope: Scope, place: SourceLocation
    ) -> list[Source] | None:
        """The inputs that a layer names, or the layer before it; None where they are wrong."""
        value = options.get("inputs")
        if value is None:
            if scope.last is None:
                hint = f"inputs: [...], one or more of {', '.join(self._top.names)}"
                self._fail("the first layer must say which input it takes", place, hint)
                return None
            return [scope.last]
        items = value.data if value.is_list else [value]
        wrong = [item for item in items if not isinstance(item.data, str)]
        for item in wrong:
            self._fail(f"inputs: expected a layer's name, found {item.kind}", scope.place(item))
        if wrong:
            return None
        return [Reference(scope, item.data, scope.place(item)) for item in items]

    def _use_block(self, block: Block, options: Value, scope: Scope, place: SourceLocation) -> None:
        self._check_nesting(scope, place, f"does {block.name} use itself?")
        parameters = self._arguments(block, options, scope, place)
        inputs = self._given_inputs(options, scope, place)
        if inputs is not None and len(inputs) != len(block.inputs):
            self._fail(
                f"{block.name}: takes {len(block.inputs)} inputs "
                f"({', '.join(block.inputs)}), found {len(inputs)}",
                place,
            )
            inputs = None
        if parameters is None or inputs is None:
            self._give_up(block.name, options, scope, place)
            return
        name = self._layer_name(block.name, options, scope, place)
        inner = Scope(
            prefix=f"{name}/",
            within=(*scope.within, name),
            parameters=parameters,
            names=dict(zip(block.inputs, inputs, strict=True)),
            last=inputs[0],
        )
        self._expand_list(block.layers, inner)
        result = self._result(block, inner)
        if result is None:
            self._pending.append(_Pending(name, None, [], place))
        else:
            self._names.result(name, result)
        scope.last = result or name

    def _result(self, block: Block, inner: Scope) -> Source | None:
        """What a use of a block results in."""
        if block.output is None:
            return inner.last
        word = block.output.data
        result = self._names.meaning(inner, word) if isinstance(word, str) else None
        if result is None:
            hint = did_you_mean(str(word), inner.names)
            message = f"block {block.name}: output: there is no layer {block.output.kind}"
            self._fail(message, inner.place(block.output), hint)
        return result

    def _arguments(
        self, block: Block, options: Value, scope: Scope, place: SourceLocation
    ) -> dict[str, Value] | None:
        """The parameters of one use of a block; None where they are wrong."""
        given = {k: v for k, (_, v) in options.data.items() if k not in ("name", "inputs")}
        unknown = [key for key in given if key not in block.parameters]
        for key in unknown:
            where = scope.place(options.key(key))
            hint = did_you_mean(str(key), block.parameters)
            self._fail(f"{block.name}: unknown parameter {shorten(key)}", where, hint)
        values = {key: given.get(key, default) for key, default in block.parameters.items()}
        missing = [key for key, value in values.items() if value is None]
        if missing:
            self._fail(f"{block.name}: missing {', '.join(missing)}", place)
        known = {key: value for key, value in values.items() if value is not None}
        return None if unknown or missing else known
