"""A network as one HTML page that opens anywhere: its graph, costs, memory, passes, training."""

from .data import Training, page_data
from .document import document

__all__ = ["Training", "document", "page_data"]
