"""What a pass is, and how passes are run.

A pass is a frozen dataclass with a kebab-case `name`; its fields are its options. It changes the
graph it is given, says why for each place it looked at, and returns whether it changed anything.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from graphcnn.errors import GraphCNNError, GraphError
from graphcnn.graph import Graph
from graphcnn.options import Options

Explain = Callable[[str, str], None]
"""Called with a node's name and what was done to it, or why nothing was."""


class Pass(Options, ABC):
    """A change of a graph that keeps what it computes.

    Attributes:
        name: What the command line calls it, kebab-case.
    """

    name: ClassVar[str]

    @abstractmethod
    def run(self, graph: Graph, explain: Explain) -> bool:
        """Change the graph, and return whether anything changed."""


@dataclass(slots=True)
class PassRecord:
    """What one pass did.

    Attributes:
        name: The pass.
        seconds: How long it took, the verification after it included.
        changed: Whether it changed the graph.
        reasons: For each node it looked at: the node, and what was done or why not.
        printed: The graph after the pass, where that was asked for.
    """

    name: str
    seconds: float
    changed: bool
    reasons: list[tuple[str, str]] = field(default_factory=list)
    printed: str | None = None


def run_passes(
    graph: Graph, passes: Sequence[Pass], print_after: Sequence[str] = ()
) -> tuple[Graph, list[PassRecord]]:
    """Run passes in order over a copy of the graph, which is verified after each.

    Args:
        graph: The graph; it stays as it is.
        passes: The passes.
        print_after: The names of the passes to print the graph after.

    Returns:
        The changed copy, and what each pass did.

    Raises:
        GraphError: As `apply_passes`.
    """
    graph = graph.clone()
    return graph, apply_passes(graph, passes, print_after)


def apply_passes(
    graph: Graph, passes: Sequence[Pass], print_after: Sequence[str] = ()
) -> list[PassRecord]:
    """Run passes in order over the graph itself, which is verified after each.

    Returns:
        What each pass did.

    Raises:
        GraphError: A name in `print_after` is not a pass, or a pass left the graph broken; the
            message names the pass.
    """
    known = [step.name for step in passes]
    for name in print_after:
        if name not in known:
            raise GraphError(f"there is no pass named {name!r}", hint=f"known: {', '.join(known)}")
    records = []
    for step in passes:
        record = _run(step, graph)
        record.printed = str(graph) if step.name in print_after else None
        records.append(record)
    return records


def _run(step: Pass, graph: Graph) -> PassRecord:
    reasons: list[tuple[str, str]] = []
    start = time.perf_counter()
    try:
        changed = step.run(graph, lambda node, reason: reasons.append((node, reason)))
        graph.verify()
    except GraphCNNError as error:
        raise error.explained(context=[("pass", step.name)]) from error
    return PassRecord(step.name, time.perf_counter() - start, changed, reasons)
