import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from workers.engines import ModelSource
from workers.failures import JobError, RankDied
from workers.ranks.launch import _failure, _lines
from workers.resources import Resources

MEMORY = {"code": "out_of_memory", "message": "full", "param": "model.options", "category": "user"}
BUG = {"code": "internal_error", "message": "ValueError: bug", "param": None, "category": "server"}


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A folder to which ranks 1 and then 0 have written why they failed: the second because the first was gone."""
    for second, (rank, error) in enumerate((("1", MEMORY), ("0", BUG))):
        file = tmp_path / f"error-{rank}.json"
        file.write_text(json.dumps(error))
        os.utime(file, (second, second))
    return tmp_path


class TestFailure:
    def test_a_failure_with_a_name_is_the_cause(self, failed: Path) -> None:
        error = _failure(failed, 1)
        assert isinstance(error, JobError)
        assert error.as_dict() == MEMORY

    def test_it_is_though_others_were_killed(self, failed: Path) -> None:
        """NCCL ends a process whose neighbour is gone by SIGABRT."""
        assert isinstance(_failure(failed, 128 + 6), JobError)

    def test_where_one_was_killed_the_errors_of_the_others_are_none(self, failed: Path) -> None:
        (failed / "error-1.json").unlink()
        error = _failure(failed, 128 + 9)
        assert isinstance(error, RankDied)
        assert error.signal == 9
        assert str(error).startswith("One of the run's processes ended by signal 9;")

    def test_the_first_of_several_errors_is_told(self, failed: Path) -> None:
        (failed / "error-1.json").write_text(json.dumps(BUG | {"message": "later"}))  # at this second
        assert str(_failure(failed, 1)) == "ValueError: bug"

    @pytest.mark.parametrize(("code", "signal"), [(1, None), (0, None), (-9, 9)])
    def test_silence_is_a_death(self, tmp_path: Path, code: int, signal: int | None) -> None:
        error = _failure(tmp_path, code)
        assert isinstance(error, RankDied)
        assert error.signal == signal


def test_lines_are_read_whole_and_what_was_cut_off_is_dropped() -> None:
    script = """
import os, time
os.write(1, b'{"a": '); time.sleep(0.5); os.write(1, b'1}\\n{"b": "' + b'x' * 300_000); os.write(1, b'"}\\n{"c": ')
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        lines = list(_lines(process.stdout))
    assert None in lines, "silence gives a chance to look whether to stop"
    first, second = [line for line in lines if line is not None]
    assert first == {"a": 1}
    assert len(second["b"]) == 300_000


def test_places_survive_the_way_to_a_rank(tmp_path: Path) -> None:
    places = Resources(
        ModelSource("mine/model", path=tmp_path),
        checkpoints=(tmp_path / "2", tmp_path / "1"),
        export_folder=tmp_path / "model",
        card={"run_id": "run_1", "predicted": None},
    )
    assert Resources.read("mine/model", json.loads(json.dumps(asdict(places), default=str))) == places
