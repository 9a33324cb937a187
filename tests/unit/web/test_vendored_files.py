import hashlib
from pathlib import Path

import altair as alt
import pytest

from service.web.endpoints import static_directory

VENDOR = static_directory / "vendor"
AXE = Path(__file__).parents[2] / "support" / "axe"


@pytest.mark.parametrize(("folder", "least"), [(VENDOR, 8), (AXE, 3)], ids=["page", "axe"])
def test_vendored_files_are_the_ones_that_were_checked_in(folder: Path, least: int) -> None:
    lines = (folder / "CHECKSUMS").read_text().splitlines()
    wanted = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name not in {"CHECKSUMS", "README.md"}
    }
    assert found == wanted
    assert len(found) >= least


def test_vega_lite_reads_what_altair_writes() -> None:
    major_minor = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    assert f'"{major_minor}.' in (VENDOR / "vega-lite.min.js").read_text()
    assert f"vega-lite {major_minor}." in (VENDOR / "README.md").read_text()
