"""No test speaks TLS, and each client would take 30 ms for the machine's certificates: it finds one without them."""

import os
from pathlib import Path

_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
GIVEN = {name: os.environ.pop(name) for name in _NAMES if name in os.environ}
"""for programs of others, which may install something"""
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)


def given(environment: dict[str, str]) -> dict[str, str]:
    """Return an environment with the certificates that the tests were started with."""
    return {name: value for name, value in environment.items() if name not in _NAMES} | GIVEN
