import hashlib

import altair as alt

from service.web.endpoints import static_directory

VENDOR = static_directory / "vendor"


def test_vendored_files_are_the_ones_that_were_checked_in() -> None:
    lines = (VENDOR / "CHECKSUMS").read_text().splitlines()
    wanted = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name not in {"CHECKSUMS", "README.md"}
    }
    assert found == wanted
    assert len(found) >= 8


def test_vega_lite_reads_what_altair_writes() -> None:
    major_minor = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    assert f'"{major_minor}.' in (VENDOR / "vega-lite.min.js").read_text()
    assert f"vega-lite {major_minor}." in (VENDOR / "README.md").read_text()
