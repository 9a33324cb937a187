"""Tests that compare more than numbers and texts: a right program passes, a nearly right one does not."""

import pytest

from gapcast.contract.problems import PythonTestsVerifier
from tests.unit.workers.sandbox.right_programs import RIGHT, Right
from workers.tasks.python_tests import verify_python

SPEC = PythonTestsVerifier(memory_mb=128)


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: right.name)
def test_a_right_program_passes_and_a_wrong_one_does_not(right: Right) -> None:
    name = "square" if "candidate" in right.test else None
    verdict = verify_python(right.code, [right.test], name, SPEC)
    assert verdict.score == 1.0, verdict
    verdict = verify_python(right.wrong, [right.test], name, SPEC)
    assert verdict.score == 0.0
