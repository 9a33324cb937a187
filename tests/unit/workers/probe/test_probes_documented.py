"""docs/probes.md names every way in which a probe can fail."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]
ROOMS = ("contexts", "engines", "probe", "sampling", "tasks")


def test_every_failure_is_documented() -> None:
    sources = [file.read_text() for room in ROOMS for file in (ROOT / "workers" / room).rglob("*.py")]
    codes = {code for source in sources for code in re.findall(r'JobError\(\s*"(\w+)"', source)}
    assert len(codes) > 25
    page = (ROOT / "docs" / "probes.md").read_text()
    assert {code for code in codes if f"`{code}`" not in page} == set()
