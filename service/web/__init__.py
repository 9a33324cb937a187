"""The dashboard: its pages, their static files and the plots of the law and of training runs."""

from service.web.endpoints import mount, static_directory

__all__ = ["mount", "static_directory"]
