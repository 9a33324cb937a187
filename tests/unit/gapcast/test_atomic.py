"""Files and folders that are there whole or not at all."""

from pathlib import Path

import pytest

from gapcast.atomic import atomic_folder, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFile:
    def test_it_takes_the_place_of_the_last_one(self, tmp_path: Path) -> None:
        file = tmp_path / "row.json"
        for text in ("before", "after"):
            write_atomically(file, text)
            assert (file.read_text(), names(tmp_path)) == (text, ["row.json"])

    def test_one_that_cannot_be_written_leaves_the_last_one_and_nothing_else(self, tmp_path: Path) -> None:
        file = tmp_path / "row.json"
        write_atomically(file, "before")
        with pytest.raises(UnicodeEncodeError):
            write_atomically(file, "begun " * 10_000 + "\udcff")
        assert (file.read_text(), names(tmp_path)) == ("before", ["row.json"])

    def test_one_that_cannot_take_its_name_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "taken").mkdir()
        with pytest.raises(IsADirectoryError):
            write_atomically(tmp_path / "taken", "text")
        assert names(tmp_path) == ["taken"]


class TestFolder:
    def test_it_appears_with_all_its_files_and_takes_the_place_of_the_last_one(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "model"
        for name in ("first", "second"):
            with atomic_folder(folder) as hidden:
                (hidden / name).write_text(name)
                assert not (folder / name).exists()
            assert (names(folder), names(folder.parent)) == ([name], ["model"])

    def test_a_block_that_fails_leaves_the_last_one_and_nothing_else(self, tmp_path: Path) -> None:
        folder = tmp_path / "model"
        with atomic_folder(folder) as hidden:
            (hidden / "weights").write_text("whole")
        with pytest.raises(UnicodeEncodeError), atomic_folder(folder) as hidden:
            (hidden / "weights").write_text("begun " * 10_000 + "\udcff")
        assert ((folder / "weights").read_text(), names(tmp_path)) == ("whole", ["model"])

    def test_what_a_killed_process_has_left_is_not_part_of_it(self, tmp_path: Path) -> None:
        left = tmp_path / ".model.unfinished"
        left.mkdir()
        (left / "half").write_text("")
        with atomic_folder(tmp_path / "model") as hidden:
            (hidden / "weights").write_text("")
        assert names(tmp_path / "model") == ["weights"]
