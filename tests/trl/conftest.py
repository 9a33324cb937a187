"""Every test here needs TRL."""

import importlib.util
import os
from pathlib import Path

import pytest

REQUIRED = os.environ.get("GAPCAST_REQUIRE_TRL") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies here, and lets TRL and transformers warn as they like: this is not our code."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.trl)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session", autouse=True)
def _trl() -> None:
    if importlib.util.find_spec("trl") is None:
        if REQUIRED:
            pytest.fail("TRL must be installed (GAPCAST_REQUIRE_TRL=1): make test-trl installs it")
        pytest.skip("TRL is not installed; make test-trl installs it")
