"""A local page where pictures are dropped and scored, and its JSON endpoint."""

from ocjax.serve.server import serve

__all__ = ["serve"]
