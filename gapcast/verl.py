"""Moved to `gapcast.elsewhere.verl`; the next release removes this name."""

from gapcast.client.deprecated import moved

__getattr__ = moved("gapcast.verl")

if __name__ == "__main__":
    __getattr__("app")()
