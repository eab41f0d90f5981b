"""Text or file in, `Graph` out."""
