"""The intermediate representation: a network as a networkx graph of typed, named values.

One node is one value, and a node's name is its value's name. Every node is inferred when it is
added, so a graph that exists is well formed, and an error is raised where the fault is. The graph
changes only through `add`, `replace`, `redirect` and `erase`, which keep it so.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import networkx

from .budget import Budget
from .errors import (
    GraphCNNError,
    GraphError,
    ShapeError,
    SourceLocation,
    did_you_mean,
)
from .naming import snake_case, unused_name
from .node import Node, Origin
from .ops import Input, Op, WeightSpec
from .ops.op import check_arity, check_dtypes
from .outputs import Outputs
from .types import LAST, Dim, DType, Layout, TensorType, is_symbolic
from .weights import Derived

if TYPE_CHECKING:
    from .recipe import Recipe

__all__ = ["Graph", "Node", "Origin"]

_LONGEST_EXPRESSION = 400


class Graph:
    """A network.

    Args:
        name: What the network is called.
        batch: The number of samples in a batch; None is any number.

    Attributes:
        name: What the network is called.
        batch: The number of samples in a batch; None is any number.
        digest: The SHA-256 of the model file, where there is one.
        budget: The limits that the model states for itself.
        classes: The names of the classes that the outputs score, in order; or none.
        recipe: How the model says it is trained, if it does.
        derived: How the weights are made that passes have changed, by name, each after those that
            it is made from.
    """

    def __init__(self, name: str = "model", batch: int | None = None) -> None:
        self.name = name
        self.batch = batch
        self._outputs = Outputs()
        self.digest: str | None = None
        self.budget = Budget()
        self.classes: tuple[str, ...] = ()
        self.recipe: Recipe | None = None
        self.derived: dict[str, Derived] = {}
        self._made: dict[Derived, str] = {}
        self._nx: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
        self._specs: dict[str, WeightSpec] = {}
        self._owners: dict[str, int] = {}
        self._stems: dict[str, int] = {}
        self._counter = 0
        self._order: tuple[str, ...] | None = None

    @property
    def nx(self) -> networkx.MultiDiGraph[str]:
        """A view of the networkx graph, on which all of networkx's algorithms work.

        Nodes carry ``node`` (a `Node`) and ``type`` (a `TensorType`), edges ``operand``, the index
        of the input.
        """
        return networkx.graphviews.generic_graph_view(self._nx)  # type: ignore[type-var]

    @property
    def outputs(self) -> Outputs:
        """The graph's results: the name the caller knows, and the node that holds it."""
        return self._outputs

    @outputs.setter
    def outputs(self, nodes: Mapping[str, str]) -> None:
        self._outputs = Outputs(nodes)

    def __len__(self) -> int:
        return len(self._nx)

    def __contains__(self, name: object) -> bool:
        return name in self._nx

    def __iter__(self) -> Iterator[Node]:
        """The nodes, each after its inputs, in the order they were written where that allows."""
        if self._order is None:
            order = networkx.lexicographical_topological_sort(self._nx, key=self._sequence_of)
            try:
                self._order = tuple(order)
            except networkx.NetworkXUnfeasible:
                cycle = [source for source, _, _ in networkx.find_cycle(self._nx)]
                raise GraphError(f"there is a cycle: {' -> '.join([*cycle, cycle[0]])}") from None
        nodes = self._nx.nodes
        return iter([nodes[name]["node"] for name in self._order])

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            GraphError: There is none.
        """
        return self._data(name)["node"]  # type: ignore[no-any-return]

    def type(self, name: str) -> TensorType:
        """The type of a value."""
        return self._data(name)["type"]  # type: ignore[no-any-return]

    def input_types(self, node: Node) -> tuple[TensorType, ...]:
        """The types of a node's inputs, in order."""
        return tuple(self.type(name) for name in node.inputs)

    def users(self, name: str) -> list[Node]:
        """The nodes that take a value, each once, in the order they were written."""
        self.node(name)
        users = sorted(self._nx.successors(name), key=self._sequence_of)
        return [self.node(user) for user in users]

    @property
    def inputs(self) -> list[Node]:
        """The nodes that the caller provides."""
        return [node for node in self if isinstance(node.op, Input)]

    @property
    def weights(self) -> dict[str, WeightSpec]:
        """What the graph asks of each weight, by name, in the order of the nodes."""
        return {name: self._specs[name] for node in self for name in node.weights.values()}

    @property
    def weights_by_node(self) -> dict[str, tuple[str, ...]]:
        """The names of the weights of each node that has any, in Keras's order."""
        return {node.name: tuple(node.weights.values()) for node in self if node.weights}

    @property
    def weight_users(self) -> dict[str, list[Node]]:
        """The nodes that have each weight, in order."""
        users: dict[str, list[Node]] = {}
        for node in self:
            for weight in node.weights.values():
                users.setdefault(weight, []).append(node)
        return users

    def weight(self, name: str) -> WeightSpec:
        """What the graph asks of one weight.

        Raises:
            GraphError: There is none of this name.
        """
        if name not in self._specs:
            raise GraphError(f"there is no weight named {name!r}")
        return self._specs[name]

    def input(
        self,
        name: str,
        sizes: Sequence[Dim],
        dtype: DType = DType.float32,
        location: SourceLocation | None = None,
    ) -> str:
        """Declare an input and return its name.

        Args:
            name: Its name.
            sizes: The sizes of one sample, channels last.
            dtype: Its element type.
            location: Where it was written.
        """
        return self.add(Input(shape=tuple(sizes), dtype=dtype), name=name, location=location)

    def add(
        self,
        op: Op,
        inputs: Sequence[str] | str = (),
        *,
        name: str | None = None,
        weights: Mapping[str, str] | None = None,
        location: SourceLocation | None = None,
        layout: Layout = LAST,
        passes: tuple[str, ...] = (),
        origins: tuple[Origin, ...] = (),
        after: str | None = None,
    ) -> str:
        """Add a node, infer its type, and return its name.

        Args:
            op: The operator.
            inputs: The names of its inputs, in order.
            name: Its name; made from the operator's when not given.
            weights: Names of weights by role, to share another node's; ``NAME/ROLE`` otherwise.
            location: Where it was written.
            layout: How its value lies in memory.
            passes: The passes that made it.
            origins: The layers that it was made of.
            after: The node to follow in the order; the last one when not given.

        Raises:
            GraphError: The name is taken, an input does not exist, or a weight that would be
                shared has another shape.
            ShapeError: The inputs do not fit the operator.
        """
        inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        name = name or self.unused(snake_case(op.title))
        node = Node(name, op, inputs, weights or {}, location, layout, passes, origins)
        if name in self:
            first = self.node(name).location
            raise self.explained(
                GraphError(f"the name {name!r} is taken", hint=f"by {first}" if first else None),
                node,
            )
        inferred = self._checked(node, weights or {})
        self._enter(node, self._sequence(after), inferred)
        return name

    def unused(self, stem: str) -> str:
        """The stem itself, or with the first number that makes it a new name."""
        return unused_name(stem, self, self._stems)

    def replace(self, name: str, **changes: Any) -> None:
        """Change a node's fields but its name; its type must stay the same.

        Raises:
            GraphError: The type would change, the node would depend on itself, or a weight that it
                shares would have another shape.
            ShapeError: The inputs do not fit the operator.
        """
        old, data = self.node(name), self._nx.nodes[name]
        new = replace(old, **changes)
        if changes.keys() <= {"layout", "passes", "origins"}:
            data["node"] = new
            return
        before, sequence = data["type"], data["sequence"]
        inferred = self._checked(new, changes.get("weights", {}), set(old.weights.values()))
        if inferred[0] != before:
            raise self.explained(
                GraphError(f"this change would turn {before} into {inferred[0]}"), new
            )
        self._check_acyclic(new, old.inputs)
        self._release(old)
        self._nx.remove_edges_from([*self._nx.in_edges(name, keys=True)])
        self._enter(new, sequence, inferred)

    def derive(
        self, name: str, sources: Sequence[str], function: Callable[..., Any], like: WeightSpec
    ) -> str:
        """Say how a weight is made from others, and return its name.

        Args:
            name: What to call it; numbered where that is taken.
            sources: The weights it is made from.
            function: Makes it from their arrays; frozen and hashable. What is made of the same by
                an equal function is one weight.
            like: Its shape and element type.
        """
        made = Derived(tuple(sources), function, like)
        if made not in self._made:
            name = unused_name(name, ChainMap[str, Any](self.derived, self._specs), {}, first=2)
            self.derived[name] = made
            self._made[made] = name
        return self._made[made]

    def redirect(self, old: str, new: str) -> None:
        """Make every user of one value, and every output that holds it, take another instead.

        Raises:
            GraphError: The types differ, or the new value depends on the old one's users.
        """
        if self.type(old) != self.type(new):
            raise GraphError(f"{old} is {self.type(old)}, and {new} is {self.type(new)}")
        changed = [
            (user, tuple(new if source == old else source for source in user.inputs))
            for user in self.users(old)
            if user.name != new
        ]
        for user, inputs in changed:
            self._check_acyclic(replace(user, inputs=inputs), user.inputs)
        for user, inputs in changed:
            self.replace(user.name, inputs=inputs)
        for name in self.outputs.of(old):
            self.outputs[name] = new

    def erase(self, name: str) -> None:
        """Remove a node that nothing uses.

        Raises:
            GraphError: A node or an output uses it.
        """
        users = [user.name for user in self.users(name)]
        users += [f"output {output}" for output in self.outputs.of(name)]
        if users:
            raise GraphError(f"{name} is used by {', '.join(users)}")
        self._release(self.node(name))
        self._nx.remove_node(name)
        self._order = None

    def clone(self) -> Graph:
        """A graph of the same nodes that changes on its own."""
        twin = Graph(self.name, self.batch)
        twin.outputs, twin.digest, twin.budget = self.outputs, self.digest, self.budget
        twin.recipe, twin.classes = self.recipe, self.classes
        twin.derived, twin._made = dict(self.derived), dict(self._made)
        twin._nx, twin._specs = self._nx.copy(), dict(self._specs)
        twin._owners, twin._counter = dict(self._owners), self._counter
        twin._order = self._order
        return twin

    def verify(self) -> None:
        """Infer everything again and compare.

        Raises:
            GraphError: A value's type is not what its operator makes of its inputs, a node refers
                to what does not exist, or an output does.
        """
        if not self.outputs:
            raise GraphError("the graph has no outputs")
        for name, source in self.outputs.items():
            if source not in self:
                raise GraphError(f"output {name!r} names a node that does not exist: {source}")
        for node in self:
            found, recorded = self._infer(node)[0], self.type(node.name)
            if found != recorded:
                error = GraphError(f"recorded as {recorded}, inferred as {found}")
                raise self.explained(error, node)

    def dangling(self) -> list[Node]:
        """The nodes that lead to no output, the last first."""
        used = set(self.outputs.values())
        found = []
        for node in reversed(list(self)):
            if node.name in used:
                used.update(node.inputs)
            else:
                found.append(node)
        return found

    def _data(self, name: str) -> dict[str, Any]:
        """What networkx keeps of a node."""
        try:
            return self._nx.nodes[name]
        except KeyError:
            raise GraphError(f"there is no node named {name!r}") from None

    def _sequence_of(self, name: str) -> tuple[int, int]:
        return self._nx.nodes[name]["sequence"]  # type: ignore[no-any-return]

    def _sequence(self, after: str | None) -> tuple[int, int]:
        """The key that orders a new node among those that could come next."""
        self._counter += 1
        if after is None:
            return self._counter, 0
        return self._sequence_of(after)[0], self._counter

    def _infer(self, node: Node) -> tuple[TensorType, dict[str, WeightSpec]]:
        """The type and the weights of a node, with any error explained."""
        for source in node.inputs:
            if source not in self:
                raise self.explained(GraphError(f"its input {source!r} does not exist"), node)
        types = self.input_types(node)
        try:
            check_arity(node.op, len(types))
            check_dtypes(node.op, types)
            result = node.op.infer(*types)
            _check_expressions(result)
            specs = node.op.weights(*types)
            for spec in specs.values():
                spec.initializer.check_shape(spec.shape)
        except GraphCNNError as error:
            raise self.explained(error, node) from None
        return result, {role: spec.in_type(result.dtype) for role, spec in specs.items()}

    def _checked(
        self, node: Node, shared: Mapping[str, str], own: Set[str] = frozenset()
    ) -> tuple[TensorType, dict[str, WeightSpec]]:
        """The type and the weights of a node whose weights fit those that it shares.

        Args:
            node: The node.
            shared: The weights that were named for it, by role.
            own: Weights that it has now; those that no other node has can change.
        """
        type_, specs = self._infer(node)
        for role in shared:
            if role not in specs:
                hint = did_you_mean(role, specs)
                raise self.explained(GraphError(f"it has no weight {role!r}", hint=hint), node)
        free = {weight for weight in own if self._owners[weight] == 1}
        seen: dict[str, WeightSpec] = {}
        for role, spec in specs.items():
            weight = node.weights.get(role, f"{node.name}/{role}")
            known = seen.setdefault(
                weight, spec if weight in free else self._specs.get(weight, spec)
            )
            if (known.shape, known.dtype) != (spec.shape, spec.dtype):
                error = GraphError(
                    f"its {role} would share {weight}, which is {known.dtype} {list(known.shape)}, "
                    f"but needs {spec.dtype} {list(spec.shape)}"
                )
                raise self.explained(error, node)
        return type_, specs

    def _check_acyclic(self, node: Node, before: Sequence[str]) -> None:
        """Refuse new inputs that depend on the node.

        Values that led to it before cannot, nor can those that are made of such values only: the
        rest of the graph is searched where neither is seen at once.
        """
        led = {*before, *(p for source in before for p in self._nx.predecessors(source))}
        for source in set(node.inputs) - led:
            if source == node.name or (
                not led.issuperset(self._nx.predecessors(source))
                and networkx.has_path(self._nx, node.name, source)
            ):
                raise self.explained(GraphError(f"its input {source} depends on it"), node)

    def _enter(
        self,
        node: Node,
        sequence: tuple[int, int],
        inferred: tuple[TensorType, dict[str, WeightSpec]],
    ) -> None:
        type_, specs = inferred
        weights = {role: node.weights.get(role, f"{node.name}/{role}") for role in specs}
        for role, weight in weights.items():
            self._specs.setdefault(weight, specs[role])
            self._owners[weight] = self._owners.get(weight, 0) + 1
        entered = replace(node, weights=weights)
        self._nx.add_node(node.name, node=entered, type=type_, sequence=sequence)
        for operand, source in enumerate(node.inputs):
            self._nx.add_edge(source, node.name, operand=operand)
        self._order = None

    def _release(self, node: Node) -> None:
        for weight in node.weights.values():
            self._owners[weight] -= 1
            if not self._owners[weight]:
                del self._owners[weight], self._specs[weight]

    def explained(self, error: GraphCNNError, node: Node) -> GraphCNNError:
        """The same kind of error, with the place and the inputs of the node that it is about."""
        known = [name for name in node.inputs if name in self]
        rows = [("inputs" if i == 0 else "", self._described(n)) for i, n in enumerate(known)]
        return error.explained(location=node.location, subject=node.subject, context=rows)

    def _described(self, name: str) -> str:
        where = self.node(name).location
        place = f"  ({where.file}:{where.line})" if where else ""
        return f"{name}: {self.type(name)}{place}"

    def __str__(self) -> str:
        from .text import print_graph

        return print_graph(self)


def _check_expressions(value: TensorType) -> None:
    """Refuse open sizes that have grown without bound: working with them takes ever longer."""
    for size in value.sizes:
        if is_symbolic(size) and len(str(size)) > _LONGEST_EXPRESSION:
            raise ShapeError(
                f"a size has become an expression of more than {_LONGEST_EXPRESSION:,} characters",
                hint="give the sizes of the inputs as numbers",
            )
