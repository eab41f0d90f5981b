"""Blocks, parameters and repeats of a model file, expanded into plain layers with unique names.

A block's layers are written once, with ``$name`` for its parameters, and used like a layer. In a
use named ``inception_3a`` the layer ``5x5`` becomes ``inception_3a/5x5``. The layers of a named
repeat go into ``NAME_1/``, ``NAME_2/``; those of an unnamed one stay where they are, numbered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from graphcnn.errors import (
    ErrorGroup,
    GraphCNNError,
    ModelFileError,
    OptionError,
    SourceLocation,
    did_you_mean,
)
from graphcnn.graph import snake_case
from graphcnn.ops import OPS, Op
from graphcnn.options import build, shorten

from .blocks import NAME, RESERVED, Block, bad_name, read_blocks
from .document import MAX_DEPTH, MAX_VALUES, Value

MAX_LAYERS = 200_000
MAX_REPEAT = 100_000
MAX_NESTING = 48
"""The most blocks and repeats around a layer."""

MAX_NAME = 1000
"""The longest name of a layer, with those of the blocks and repeats around it."""

MAX_ERRORS = 1000
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
    """

    name: str
    op: Op | None
    inputs: tuple[str, ...]
    location: SourceLocation


@dataclass(slots=True)
class _Scope:
    """The names that a list of layers can see.

    Attributes:
        prefix: What stands before the names of its layers.
        suffix: What stands after the names that they are given: the counts of unnamed repeats.
        within: The blocks and repeats around it, outermost first.
        parameters: What ``$name`` stands for.
        names: By local name, a layer's unique name, or a reference to resolve in another scope.
        copies: The same for the layers of the repeats in it, by local and numbered name.
        last: The unique name, or the reference, of what the next layer follows.
        outer: The scope around a repeat, whose names can be seen too.
    """

    prefix: str = ""
    suffix: str = ""
    within: tuple[str, ...] = ()
    parameters: dict[str, Value] = field(default_factory=dict)
    names: dict[str, Source] = field(default_factory=dict)
    copies: dict[str, Source] = field(default_factory=dict)
    last: Source | None = None
    outer: _Scope | None = None

    def place(self, value: Value) -> SourceLocation:
        """The location of a value, with the blocks and repeats around it."""
        return replace(value.location, scope=self.within) if self.within else value.location


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """A name that is looked up when all layers are known, so that it may come before its layer."""

    scope: _Scope
    name: str
    location: SourceLocation


Source = str | _Reference
"""Where a layer takes its input: a unique name, or a name to look up."""


@dataclass(slots=True)
class _Pending:
    name: str
    op: Op | None
    inputs: list[Source]
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
        self._values = 0
        self._blocks: dict[str, Block | None] = {}
        self._results: dict[str, Source] = {}
        self._found: dict[_Reference, str | None] = {}
        self._top = _Scope(names={name: name for name in inputs})
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
        source = self._meaning(self._top, name)
        return self._find(source) if isinstance(source, _Reference) else source

    @property
    def last(self) -> str | None:
        """What the last layer, block or repeat of the file results in."""
        source = self._top.last
        return self._find(source) if isinstance(source, _Reference) else source

    @property
    def names(self) -> list[str]:
        """All names that `find` knows in full."""
        return list(self._taken)

    def _finished(self, layer: _Pending) -> Layer:
        found = [self._find(s) if isinstance(s, _Reference) else s for s in layer.inputs]
        known = tuple(name for name in found if name is not None)
        op = layer.op if len(known) == len(found) else None
        return Layer(layer.name, op, known, layer.location)

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

    def _expand_list(self, layers: Value, scope: _Scope) -> None:
        for item in layers.data:
            self._step(scope.place(item))
            if item.is_mapping and "repeat" in item.data:
                self._repeat(item, scope)
            else:
                self._use(item, scope)

    def _check_nesting(self, scope: _Scope, place: SourceLocation, hint: str | None = None) -> None:
        if len(scope.within) == MAX_NESTING:
            place = replace(place, scope=scope.within[:1])
            message = f"blocks and repeats nest deeper than {MAX_NESTING}"
            raise ModelFileError(message, location=place, hint=hint)

    def _repeat(self, item: Value, scope: _Scope) -> None:
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
            count = None
        if filled is None or count is None:
            self._give_up("repeat", Value({}, place), scope, place)
            return
        name = filled.get("name")
        title = self._given_name(name, scope) if name else None
        for index in range(1, count + 1):
            self._step(place)
            self._repeat_once(layers, scope, title, index, count, place)

    def _count(self, item: Value, scope: _Scope) -> int | None:
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
        scope: _Scope,
        title: str | None,
        index: int,
        count: int,
        place: SourceLocation,
    ) -> None:
        numbered = f"{title}{scope.suffix}_{index}"
        inner = _Scope(
            prefix=scope.prefix,
            suffix=f"{scope.suffix}_{index}",
            within=(*scope.within, f"{title or 'repeat'} {index} of {count}"),
            parameters=scope.parameters,
            last=scope.last,
            outer=scope,
        )
        if title:
            name = self._enter(f"{scope.prefix}{numbered}", place)
            inner.prefix, inner.suffix = f"{name}/", ""
        self._expand_list(layers, inner)
        scope.last = inner.last
        if not title:
            scope.copies |= {f"{local}_{index}": source for local, source in inner.names.items()}
        elif inner.last is not None:
            self._results[name] = inner.last
            scope.copies[f"{title}_{index}"] = inner.last

    def _use(self, item: Value, scope: _Scope) -> None:
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
            hint = did_you_mean(str(title), [*OPS, *self._blocks])
            self._fail(f"unknown layer {shorten(title)}", place, hint)
            self._given_inputs(filled, scope, place)
            self._give_up("layer", filled, scope, place)

    def _substituted(
        self, value: Value, scope: _Scope, keys: tuple[str, ...] | None = None
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

    def _within(self, place: SourceLocation | None, scope: _Scope) -> SourceLocation:
        assert place is not None
        return replace(place, scope=scope.within)

    def _give_up(self, title: str, options: Value, scope: _Scope, place: SourceLocation) -> None:
        """Enter a layer that is wrong under its name, so that those after it are not blamed."""
        value = options.get("name")
        named = value and isinstance(value.data, str) and NAME.fullmatch(value.data)
        name = self._layer_name(title, options if named else Value({}, place), scope, place)
        self._pending.append(_Pending(name, None, [], place))
        scope.last = name

    def _use_operator(
        self, title: str, options: Value, scope: _Scope, place: SourceLocation
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
        self._pending.append(
            _Pending(name, op if inputs is not None else None, inputs or [], place)
        )
        scope.last = name

    def _layer_name(self, title: str, options: Value, scope: _Scope, place: SourceLocation) -> str:
        """Enter a layer under the name it is given, or under one made from its operator."""
        value = options.get("name")
        given = self._given_name(value, scope) if value else None
        if not given:
            return self._enter(self._unused(f"{scope.prefix}{snake_case(title)}"), place)
        name = self._enter(f"{scope.prefix}{given}{scope.suffix}", place)
        scope.names[given] = name
        return name

    def _enter(self, name: str, place: SourceLocation) -> str:
        """Take a name, or when it is taken another one.

        Raises:
            ModelFileError: It is too long.
        """
        if len(name) > MAX_NAME:
            message = f"names expand to more than {MAX_NAME:,} characters"
            raise ModelFileError(message, location=replace(place, scope=place.scope[:1]))
        if name in self._taken:
            first = self._taken[name]
            hint = f"by line {first.line}" if first else "by an input"
            self._fail(f"the name {name!r} is taken", place, hint)
            name = self._unused(name)
        self._taken[name] = place
        return name

    def _unused(self, stem: str) -> str:
        name = stem
        while name in self._taken:
            self._counts[stem] = self._counts.get(stem, 0) + 1
            name = f"{stem}_{self._counts[stem]}"
        return name

    def _given_name(self, value: Value, scope: _Scope) -> str | None:
        if isinstance(value.data, str) and NAME.fullmatch(value.data):
            return value.data
        hint = "put it in quotes" if isinstance(value.data, int | float) else None
        self._fail(f"name: {bad_name(value)}", scope.place(value), hint)
        return None

    def _given_inputs(
        self, options: Value, scope: _Scope, place: SourceLocation
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
        return [_Reference(scope, item.data, scope.place(item)) for item in items]

    def _use_block(
        self, block: Block, options: Value, scope: _Scope, place: SourceLocation
    ) -> None:
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
        inner = _Scope(
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
            self._results[name] = result
        scope.last = result or name

    def _result(self, block: Block, inner: _Scope) -> Source | None:
        """What a use of a block results in."""
        if block.output is None:
            return inner.last
        word = block.output.data
        result = self._meaning(inner, word) if isinstance(word, str) else None
        if result is None:
            hint = did_you_mean(str(word), inner.names)
            message = f"block {block.name}: output: there is no layer {block.output.kind}"
            self._fail(message, inner.place(block.output), hint)
        return result

    def _arguments(
        self, block: Block, options: Value, scope: _Scope, place: SourceLocation
    ) -> dict[str, Value] | None:
        """The parameters of one use of a block; None where they are wrong."""
        given = {k: v for k, (_, v) in options.data.items() if k not in RESERVED}
        unknown = [key for key in given if key not in block.parameters]
        for key in unknown:
            where = scope.place(options.key(key))
            hint = did_you_mean(str(key), block.parameters)
            self._fail(f"{block.name}: unknown parameter {shorten(key)}", where, hint)
        defaults = {k: v for k, v in block.parameters.items() if v is not None}
        missing = [key for key in block.parameters if key not in given and key not in defaults]
        if missing:
            self._fail(f"{block.name}: missing {', '.join(missing)}", place)
        if unknown or missing:
            return None
        return {key: given.get(key, defaults.get(key)) for key in block.parameters}

    def _meaning(self, scope: _Scope, name: str) -> Source | None:
        """What a name means to the layers of a scope; ``a/b`` is the layer b of their block a."""
        around: _Scope | None = scope
        while around:
            full = f"{around.prefix}{name}"
            source = around.names.get(name) or around.copies.get(name)
            source = source or (full if full in self._taken else None)
            while isinstance(source, str) and source in self._results:
                source = self._results[source]
            if source is not None:
                return source
            around = around.outer
        return None

    def _find(self, reference: _Reference) -> str | None:
        """The unique name that a reference stands for; None, reported, where there is none."""
        path: dict[_Reference, None] = {}
        source: Source | None = reference
        while isinstance(source, _Reference) and source not in self._found:
            if source in path:
                steps = list(path)[list(path).index(source) :]
                cycle = " <- ".join(step.name for step in [*steps, source])
                self._fail(f"there is a cycle: {cycle}", source.location)
                source = None
                break
            path[source] = None
            meaning = self._meaning(source.scope, source.name)
            if meaning is None:
                self._unknown(source)
            source = meaning
        found = self._found[source] if isinstance(source, _Reference) else source
        self._found.update(dict.fromkeys(path, found))
        return found

    def _unknown(self, reference: _Reference) -> None:
        message = f"there is no layer or input named {shorten(reference.name)}"
        hint = did_you_mean(reference.name, self._visible(reference.scope))
        self._fail(message, reference.location, hint)

    def _visible(self, scope: _Scope) -> set[str]:
        """The names that the layers of a scope can use."""
        names: set[str] = set()
        while scope.outer:
            names.update(scope.names, scope.copies)
            scope = scope.outer
        inside = (name for name in self._taken if name.startswith(scope.prefix))
        return names.union(
            scope.names, scope.copies, (name.removeprefix(scope.prefix) for name in inside)
        )


def located(error: GraphCNNError, options: Value, subject: str) -> list[GraphCNNError]:
    """The errors of a mapping of options, each with the place of the option it is about."""
    found: list[GraphCNNError] = []
    for one in error.errors:
        path = one.path if isinstance(one, OptionError) else ()
        place = replace(options.place(path), scope=options.location.scope)
        found.append(ModelFileError(one.message, location=place, subject=subject, hint=one.hint))
    return found
