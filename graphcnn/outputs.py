"""A graph's results: the names that callers know, and the nodes that hold them, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping


class Outputs(MutableMapping[str, str]):
    """The node of each output by the output's name, in order; one node may hold several.

    Args:
        nodes: The node of each.
    """

    def __init__(self, nodes: Mapping[str, str] | None = None) -> None:
        self._nodes: dict[str, str] = {}
        self._names: dict[str, dict[str, None]] = {}
        self.update(nodes or {})

    def of(self, node: str) -> list[str]:
        """The names of the outputs that a node holds."""
        return list(self._names.get(node, ()))

    def __getitem__(self, name: str) -> str:
        return self._nodes[name]

    def __setitem__(self, name: str, node: str) -> None:
        if name in self._nodes:
            del self._names[self._nodes[name]][name]
        self._nodes[name] = node
        self._names.setdefault(node, {})[name] = None

    def __delitem__(self, name: str) -> None:
        del self._names[self._nodes.pop(name)][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __repr__(self) -> str:
        return f"Outputs({self._nodes})"
