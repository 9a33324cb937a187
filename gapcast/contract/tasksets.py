"""What a request may say of a taskset of verifiers: a worker loads it, so nothing in it names other code or files."""

import re
from collections.abc import Mapping

from gapcast.contract.base import FieldError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""an installed package; no dots and no folders"""
NAMES_CODE = frozenset({"fn", "judges", "rewards", "metrics", "stops", "system_prompt", "id"})
"""fields by which verifiers imports functions or reads files"""


def check_taskset(name: object, config: object, at: str = "config") -> None:
    """Refuse the id or the configuration of a taskset that names other code than the taskset's own.

    Raises:
        FieldError: names the field.
    """
    if not isinstance(name, str) or not ID.fullmatch(name):
        raise FieldError("taskset", "expected the id of an installed taskset, letters, digits, _ and -", name)
    parts = config.items() if isinstance(config, Mapping) else enumerate(config if isinstance(config, list) else [])
    for key, value in parts:
        if key in NAMES_CODE:
            raise FieldError(f"{at}.{key}", "names code or files, which a request may not. Set it in the taskset.")
        check_taskset(name, value, f"{at}.{key}")
