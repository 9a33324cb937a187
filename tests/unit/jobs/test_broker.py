"""The Celery application beside another project's Celery."""

import sys
from pathlib import Path

import pytest

from service.jobs.broker import celery_app
from service.settings import Settings


def test_a_django_project_of_the_users_is_left_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Django is installed and its variable set, Celery would put the current folder first in sys.path."""
    (tmp_path / "django").mkdir()
    (tmp_path / "django" / "__init__.py").write_text("VERSION = (5, 2)")
    (tmp_path / "django" / "conf.py").write_text("settings = None")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "mine.settings")
    before = list(sys.path)
    celery_app(settings)
    assert sys.path == before
