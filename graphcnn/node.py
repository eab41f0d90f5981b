"""A node of the graph: one value, the operator that makes it, and where both come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import SourceLocation
from .ops import Op
from .types import LAST, Layout


@dataclass(frozen=True, slots=True)
class Origin:
    """A layer as it was written.

    Attributes:
        name: Its name.
        title: What its operator is called in the model file.
        location: Where the model file says so.
    """

    name: str
    title: str
    location: SourceLocation | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One value and the operator that makes it.

    Attributes:
        name: The value's name, unique in its graph.
        op: The operator with its fields.
        inputs: The names of the values it takes, in order; one may occur twice.
        weights: The names of its weights, by role. Nodes may share a weight.
        location: Where the model file says so.
        layout: How the value lies in memory, once the layout pass has run.
        passes: The passes that made or changed the node.
        origins: The layers that a rewrite made the node of. The first has the node's name where
            the node has its value; a node that does a part of it has a name of its own. Empty
            where the node is as it was written.
    """

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    location: SourceLocation | None = None
    layout: Layout = LAST
    passes: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()

    @property
    def layers(self) -> tuple[Origin, ...]:
        """The layers that the node does the work of."""
        return self.origins or (Origin(self.name, self.op.title, self.location),)

    @property
    def subject(self) -> str:
        """How messages call the node."""
        return f"{self.name} ({self.op.title})"
