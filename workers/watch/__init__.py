"""Runs under way are forecast here, in the child that trains them: by the law that their worker has given it."""

from workers.watch.law import LawWatch

__all__ = ["LawWatch"]
