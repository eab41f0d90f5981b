"""Two models on the same samples: whether outputs and layers agree, and where they first do not."""

from .models import verify

__all__ = ["verify"]
