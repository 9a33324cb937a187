"""Every operation of the API, asked with thousands of made-up requests and with chains of them: no 5xx, nothing that is
not documented, and nothing without the key.

`make test-fuzz`; GAPCAST_FUZZ_EXAMPLES=100 for a long one. `make test-fuzz-short` leaves out the phase that tries every
value at its bounds, which is 16,000 requests. schemathesis has an environment of its own, because it pins other
versions than we do.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.product import serving

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
TOOL = Path(os.environ.get("GAPCAST_FUZZ_TOOL", ROOT / ".venv" / "fuzz" / "bin" / "schemathesis"))
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("GAPCAST_FUZZ_EXAMPLES", "3"))
SEED = os.environ.get("GAPCAST_FUZZ_SEED")
"""CI's, so that it asks the same each time; without it each run asks something else"""
PHASES = os.environ.get("GAPCAST_FUZZ_PHASES", "coverage,fuzzing")
CHAINS = 10
"""chains of requests for each example: a chain is a few requests, and an example one of every operation"""
LINKS = re.compile(r"API Links: +(\d+) covered")
KEY = "fuzz-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("key", [None, KEY], ids=["open", "keyed"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_request_finds_a_server_error_or_what_is_not_documented(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, key: str | None
) -> None:
    settings = {"GAPCAST_WORKER": "off", "GAPCAST_LOG_LEVEL": "error", "GAPCAST_MAX_QUEUED_JOBS": "100000"}
    if database == "postgresql":
        settings["GAPCAST_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    if key is not None:
        settings["GAPCAST_API_KEY"] = key
    with serving(tmp_path, settings, key=key) as (client, _):
        run(f"{client.url}/openapi.json", tmp_path, PHASES, EXAMPLES, key)
        told = run(f"{client.url}/openapi.json", tmp_path, "stateful", CHAINS * EXAMPLES, key)
        links = LINKS.search(told)
        assert links is not None, told
        assert int(links.group(1)) > 0, told


def run(document: str, folder: Path, phases: str, examples: int, key: str | None) -> str:
    """Run schemathesis with every check, and return what it says."""
    options = ["--phases", phases, "--max-examples", str(examples), "--request-timeout", "60"]
    options += ["--suppress-health-check", "all", "--no-color"]
    options += [] if SEED is None else ["--seed", SEED]
    options += [] if key is None else ["--header", f"Authorization: Bearer {key}"]
    done = subprocess.run(
        [TOOL, "--config-file", CONFIGURATION, "run", document, *options],
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    return done.stdout
