"""Files that this machine cannot run, checked as far as it can."""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_compose_fits_the_compose_schema() -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_builds_targets_that_the_dockerfile_has() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    stages = {
        line.split()[-1]
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("FROM ") and " AS " in line
    }
    assert {one["build"]["target"] for one in compose["services"].values() if "build" in one} <= stages
    assert {"api", "worker"} <= stages


def test_compose_settings_are_settings() -> None:
    from service.settings import Settings

    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name in ("api", "worker"):
        for variable in compose["services"][name]["environment"]:
            assert variable.removeprefix("GAPCAST_").lower() in Settings.model_fields
