import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from workers.opsd.checkpoint import (
    BrokenCheckpoint,
    forget_earlier,
    keep_only,
    last_good,
    read_checkpoint,
    write_checkpoint,
)

TENSORS = {
    "student": {"a.weight": torch.arange(300.0).reshape(20, 15), "b": torch.tensor([1.5])},
    "optimizer": {"step:b": torch.tensor(3.0)},
    "teacher": dict[str, torch.Tensor](),
}


def write(folder: Path, step: int) -> Path:
    return write_checkpoint(folder, step, {"kept": ["ä", step]}, TENSORS).path


def same(folder: Path, step: int) -> bool:
    found = read_checkpoint(folder)
    equal = all(
        torch.equal(found.tensors[file][name], value) for file, rows in TENSORS.items() for name, value in rows.items()
    )
    return equal and found.step == step and found.state == {"kept": ["ä", step]}


class TestWrite:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        written = write_checkpoint(tmp_path / "1", 7, {"kept": ["ä", 7]}, TENSORS)
        assert written.path == tmp_path / "1" / "step_7"
        assert same(written.path, 7)
        assert written.bytes < sum(file.stat().st_size for file in written.path.iterdir())
        assert written.sha256 == json.loads((written.path / "manifest.json").read_text())["sha256"]

    def test_a_step_without_tensors_is_a_checkpoint_too(self, tmp_path: Path) -> None:
        path = write_checkpoint(tmp_path, 0, {}, {}).path
        assert read_checkpoint(path).tensors == {}

    def test_what_an_interrupted_write_left_is_replaced(self, tmp_path: Path) -> None:
        for name in (".step_7.unfinished", "step_7"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "student.safetensors").write_bytes(b"half")
        assert same(write(tmp_path, 7), 7)
        assert [path.name for path in tmp_path.iterdir()] == ["step_7"]

    def test_only_those_asked_for_are_kept(self, tmp_path: Path) -> None:
        for step in (1, 2, 3, 30):
            write(tmp_path, step)
        keep_only(tmp_path, [3, 1, 99])
        assert {path.name for path in tmp_path.iterdir()} == {"step_1", "step_3"}


class TestForgetEarlier:
    def test_of_earlier_attempts_only_the_best_stays(self, tmp_path: Path) -> None:
        best = write(tmp_path / "1", 3)
        for attempt, step in (("1", 6), ("2", 9), ("10", 12), ("11", 15)):
            write(tmp_path / attempt, step)
        (tmp_path / "2" / ".step_10.unfinished").mkdir()
        forget_earlier(tmp_path / "10", str(best), whole=False)
        assert len(list(tmp_path.glob("*/step_*"))) == 5
        assert not list(tmp_path.glob("*/.step_*"))
        forget_earlier(tmp_path / "10", str(best), whole=True)
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/step_*")}
        assert left == {"1/step_3", "10/step_12", "11/step_15"}


def cut(file: Path, offset: int) -> None:
    file.write_bytes(file.read_bytes()[:offset])


def flip(file: Path, offset: int) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 0xFF
    file.write_bytes(bytes(content))


class TestDamage:
    @pytest.mark.parametrize("harm", [cut, flip])
    def test_at_a_hundred_offsets_the_last_good_one_is_taken(
        self, tmp_path: Path, harm: Callable[[Path, int], None]
    ) -> None:
        rng = random.Random(5)
        older = write(tmp_path / "1", 3)
        for _ in range(100):
            newest = write(tmp_path / "2", 6)
            file = rng.choice(sorted(newest.iterdir()))
            harm(file, rng.randrange(file.stat().st_size))
            found, broken = last_good([newest, older])
            assert found is not None
            assert found.step == 3
            assert len(broken) == 1
            assert broken[0].startswith("step_6: ")

    def test_where_none_is_good_it_says_so_of_each(self, tmp_path: Path) -> None:
        paths = [write(tmp_path, step) for step in (4, 2)]
        cut(paths[0] / "student.safetensors", 10)
        (paths[1] / "manifest.json").unlink()
        found, broken = last_good([*paths, tmp_path / "step_1"])
        assert found is None
        assert broken == [
            "step_4: student.safetensors is damaged or cut off",
            "step_2: manifest.json is missing",
            "step_1: manifest.json is missing",
        ]

    @pytest.mark.parametrize("content", ["[]", "{}", '{"files": 1, "sha256": "x"}', "\x00", '{"files": {"../x": 1}}'])
    def test_a_manifest_that_is_something_else_is_broken(self, tmp_path: Path, content: str) -> None:
        path = write(tmp_path, 1)
        (path / "manifest.json").write_text(content)
        with pytest.raises(BrokenCheckpoint, match=r"manifest\.json is damaged"):
            read_checkpoint(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        path = write(tmp_path, 1)
        (path / "optimizer.safetensors").unlink()
        with pytest.raises(BrokenCheckpoint, match=r"optimizer\.safetensors is missing"):
            read_checkpoint(path)
