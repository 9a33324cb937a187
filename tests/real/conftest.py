"""The real model of these tests: SmolLM2-135M-Instruct, as studies/smollm2 unpacks it."""

import os
from pathlib import Path

import pytest

FOLDER = os.environ.get("GAPCAST_REAL_MODEL")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here, and let libraries warn as they like."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.timeout(3600))
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder that holds `chat` and `text`, the same weights with and without the chat template."""
    if FOLDER is None:
        pytest.skip("there is no real model; make test-real unpacks one")
    return Path(FOLDER).resolve()
