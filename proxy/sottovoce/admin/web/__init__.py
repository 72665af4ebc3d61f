"""The admin listener: the application (Starlette), and what carries it (hypercorn, on Trio)."""

from sottovoce.admin.web.application import build_application
from sottovoce.admin.web.server import serve_application

__all__ = ["build_application", "serve_application"]
