"""Two models on the same samples: whether outputs and layers agree, and where they first do not."""

from .models import verify
from .runtimes import verify_runtimes

__all__ = ["verify", "verify_runtimes"]
