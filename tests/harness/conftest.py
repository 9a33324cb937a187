"""Every test here needs the tools of others."""

import os
from pathlib import Path

import pytest

from tests.harness.tools import TOOLS

REQUIRED = os.environ.get("GAPCAST_REQUIRE_HARNESS") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies here."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.harness)
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    if not (TOOLS / "vf-eval").exists():
        if REQUIRED:
            pytest.fail("the tools must be installed (GAPCAST_REQUIRE_HARNESS=1): make test-harness installs them")
        pytest.skip("the tools are not installed; make test-harness installs them")
