"""What every program finds loaded. Standard library only: it runs inside."""

import builtins
import ctypes
import importlib
import site
import sys
from typing import Any

COMMON = ("math", "re", "string", "bisect", "heapq", "collections", "itertools", "functools", "operator", "random")
"""modules that most solutions import"""
OTHERS = ("typing", "copy", "json", "datetime", "time", "io")
"""modules that load quickly or are loaded anyway; the rest of the library is imported by the programs that need it"""
LINKED = ("zlib", "_bz2", "_lzma", "_hashlib", "_decimal", "pyexpat")
"""modules that need shared libraries, which have no path in the sandbox any more"""
STARRED = ("typing", "math", "collections", "itertools", "functools", "bisect", "heapq")
"""modules whose names function-style solutions use without importing them, as on the sites that they come from"""

Namespace = dict[str, Any]
"""Values by the names that a program knows them by."""

M_ARENA_MAX = -8


def preload() -> None:
    """Import what programs need, once for all of them, and finish what `-S` and the C library leave to be set."""
    for name in (*COMMON, *OTHERS, *LINKED):
        try:
            importlib.import_module(name)
        except ImportError:  # this Python was built without it
            continue
    site.setquit()  # `exit()`
    sys.set_int_max_str_digits(0)  # a solution may print a number of any length: the time limit is limit enough
    # glibc reserves 64 MiB of address space for each thread otherwise, which the memory limit would count
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_ARENA_MAX, 1)


def generous_builtins() -> Namespace:
    """Python's builtins, and beneath them `List`, `Counter`, `math` and whatever else is usually at hand."""
    names = {name: sys.modules[name] for name in (*COMMON, *OTHERS) if name in sys.modules}
    for module in (sys.modules[name] for name in STARRED):
        public = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
        names.update({name: getattr(module, name) for name in public})
    return names | vars(builtins)
