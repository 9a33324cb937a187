"""Moved to `gapcast.elsewhere.trl_sampling`; the next release removes this name."""

from gapcast.client.deprecated import moved

__getattr__ = moved(__name__)
