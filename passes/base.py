"""What a pass is, and how passes are run.

A pass is a frozen dataclass with a kebab-case `name`; its fields are its options. It changes the
graph it is given, says why for each place it looked at, and returns whether it changed anything.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from graphcnn.errors import GraphCNNError, GraphError, did_you_mean
from graphcnn.graph import Graph
from graphcnn.options import Options

Explain = Callable[[str, str], None]
"""Called with a node's name and what was done to it, or why nothing was: ``not folded: ...``."""

_NOT = "not "


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
    seconds: float = 0.0
    changed: bool = False
    reasons: list[tuple[str, str]] = field(default_factory=list)
    printed: str | None = None

    def enter(self, reasons: Sequence[tuple[str, str]]) -> None:
        """Add what another round did; why it did nothing replaces why the last one did not."""
        said = [reason for reason in self.reasons if not reason[1].startswith(_NOT)]
        self.reasons = list(dict.fromkeys([*said, *reasons]))


Step = Pass | tuple[Pass, ...]
"""A pass, or several that are run over and over until none of them changes anything."""

_MOST_ROUNDS = 20
"""Rounds after which passes that still change something are taken to undo each other."""


def run_passes(graph: Graph, steps: Sequence[Step]) -> tuple[Graph, list[PassRecord]]:
    """Run passes as `apply_passes` does, over a copy of the graph.

    Returns:
        The changed copy, and what each pass did.

    Raises:
        GraphError: As `apply_passes`.
    """
    graph = graph.clone()
    return graph, apply_passes(graph, steps)


def apply_passes(
    graph: Graph,
    steps: Sequence[Step],
    print_after: Sequence[str] = (),
    observe: Callable[[Pass, Graph], None] = lambda step, graph: None,
) -> list[PassRecord]:
    """Run passes in order over the graph itself, which is verified after each change.

    Args:
        graph: The graph.
        steps: The passes.
        print_after: The names of the passes to print the graph after.
        observe: Called with each pass that changed the graph, and the graph after it.

    Returns:
        What each pass did, in all the rounds that it ran.

    Raises:
        GraphError: A name in `print_after` is not a pass, a pass left the graph broken, or passes
            undo each other; the message names the pass.
    """
    check_pass_names(print_after, [step.name for step in flat(steps)])
    records = {step.name: PassRecord(step.name) for step in flat(steps)}
    for group in steps:
        passes = (group,) if isinstance(group, Pass) else group
        for _ in range(_MOST_ROUNDS):
            changed = []
            for step in passes:
                changed += [step.name] * _run(step, graph, records[step.name], observe)
                if step.name in print_after:
                    records[step.name].printed = str(graph)
            if not changed or isinstance(group, Pass):
                break
        else:
            names = ", ".join(changed)
            raise GraphError(f"passes still change the graph after {_MOST_ROUNDS} rounds: {names}")
    return list(records.values())


def flat(steps: Sequence[Step]) -> list[Pass]:
    """The passes of all steps, in order."""
    return [p for step in steps for p in ((step,) if isinstance(step, Pass) else step)]


def check_pass_names(names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a name that is no pass.

    Raises:
        GraphError: With what was meant, or all that there are.
    """
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
            raise GraphError(f"there is no pass named {name!r}", hint=hint)


def _run(
    step: Pass, graph: Graph, record: PassRecord, observe: Callable[[Pass, Graph], None]
) -> bool:
    reasons: list[tuple[str, str]] = []
    start = time.perf_counter()
    try:
        changed = step.run(graph, lambda node, reason: reasons.append((node, reason)))
        if changed:
            graph.verify()
    except GraphCNNError as error:
        raise error.explained(context=[("pass", step.name)]) from error
    record.seconds += time.perf_counter() - start
    record.changed |= changed
    record.enter(reasons)
    if changed:
        observe(step, graph)
    return changed
