import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client, GapcastError

pytestmark = pytest.mark.slow

Row = dict[str, Any]


class TestAdd:
    def test_stores_rows_in_the_pool(self, connected: Client, pool: str, row: Row) -> None:
        batch = connected.observations.create([row | {"external_id": "a"}, row | {"external_id": "b"}], pool)
        assert (batch.created, batch.existing, batch.pools) == (2, 0, [pool])
        assert batch.variance == {"gap": {"given": 2}, "improvement": {"given": 2}}
        stored = connected.observations.get(batch.ids[1])
        assert (stored.external_id, stored.pool, stored.gap.value, stored.gap.se) == ("b", pool, 0.2, 0.02)
        assert stored.gap.variance == "given"

    def test_the_same_key_answers_with_what_the_first_post_stored(self, connected: Client, pool: str, row: Row) -> None:
        first = connected.observations.create([row], pool, idempotency_key=f"key-{pool}")
        assert connected.observations.create([row], pool, idempotency_key=f"key-{pool}") == first
        assert len(list(connected.observations.list(pool=pool))) == 1
        with pytest.raises(GapcastError) as refused:
            connected.observations.create([row | {"baseline": 0.1}], pool, idempotency_key=f"key-{pool}")
        assert refused.value.code == "idempotency_key_reused"

    def test_without_a_key_two_calls_are_two_posts(self, connected: Client, pool: str, row: Row) -> None:
        connected.observations.create([row], pool)
        assert [one.code for one in connected.observations.create([row], pool).warnings] == ["equal_row"]
        assert len(list(connected.observations.list(pool=pool))) == 2

    def test_a_lost_answer_is_asked_for_again_and_stores_once(
        self, relay: Callable[..., Any], connected: Client, pool: str, row: Row
    ) -> None:
        between = relay(0)
        with Client(between.url) as client:
            batch = client.observations.create([row], pool)
        assert between.connections == 2
        assert [one.id for one in connected.observations.list(pool=pool)] == batch.ids

    def test_an_answer_that_stays_lost_is_told_as_lost(self, relay: Callable[..., Any], pool: str, row: Row) -> None:
        between = relay(0, 0, 0)
        with Client(between.url) as client, pytest.raises(GapcastError) as lost:
            client.observations.create([row], pool)
        assert (lost.value.status, lost.value.code, between.connections) == (0, "answer_lost", 3)

    def test_nobody_there_is_told_as_unreachable(self, row: Row) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url) as client, pytest.raises(GapcastError, match="Is `gapcast serve` running") as nobody:
            client.observations.create([row])
        assert (nobody.value.status, nobody.value.code) == (0, "unreachable")

    @pytest.mark.parametrize(
        ("url", "code"),
        [("localhost:8321", "invalid_url"), ("http://[", "unreachable"), ("ftp://127.0.0.1", "invalid_url")],
    )
    def test_a_text_that_is_not_an_address_is_refused(self, row: Row, url: str, code: str) -> None:
        with pytest.raises(GapcastError) as wrong, Client(url) as client:
            client.observations.create([row])
        assert (wrong.value.status, wrong.value.code) == (0, code)

    def test_a_refusal_names_row_and_field_and_stores_nothing(self, connected: Client, pool: str, row: Row) -> None:
        with pytest.raises(GapcastError) as refused:
            connected.observations.create([row, row | {"baseline": 40, "gap": {"value": 0.2}}], pool)
        assert refused.value.status == 422
        assert [one["param"] for one in refused.value.errors] == [
            "observations.1.baseline",
            "observations.1.gap.se",
        ]
        assert pool not in [one.name for one in connected.pools.list()]

    def test_what_json_cannot_say_is_refused_with_its_row(self, connected: Client, pool: str, row: Row) -> None:
        with pytest.raises(ValueError, match=r"^row 2: "):
            connected.observations.create([row, row | {"baseline": float("nan")}], pool)


class TestFiles:
    @pytest.mark.parametrize("ending", ["csv", "ndjson", "jsonl", "json", "parquet"])
    def test_an_export_is_imported_again_as_the_same_runs(
        self, connected: Client, tmp_path: Path, pool: str, row: Row, ending: str
    ) -> None:
        rows = [row | {"external_id": str(index), "baseline": 0.3 + index / 100} for index in range(3)]
        sent = connected.observations.create(rows, pool)
        file = connected.observations.export_file(tmp_path / f"runs.{ending}", pool=pool)
        assert [one.name for one in tmp_path.iterdir()] == [file.name]
        again = connected.observations.import_file(file)
        assert (again.created, again.existing, again.ids) == (0, 3, sent.ids)

    def test_another_pool_has_the_same_fit(self, connected: Client, runs_csv: Path, pool: str) -> None:
        batch = connected.observations.import_file(runs_csv)
        lab, mine = connected.fits.current("lab"), connected.fits.current(pool)
        assert (batch.created, batch.pools) == (lab.n, [pool])
        assert mine.n == lab.n
        assert mine.families[0].slope == pytest.approx(lab.families[0].slope, abs=1e-12)

    def test_filters_narrow_an_export(self, connected: Client, tmp_path: Path, pool: str, row: Row) -> None:
        connected.observations.create([row, row | {"family": "llama"}], pool)
        file = connected.observations.export_file(tmp_path / "x.ndjson", pool=pool, family="llama", excluded=False)
        assert file.read_text().count("\n") == 1
        assert '"llama"' in file.read_text()

    def test_a_format_wins_over_the_ending(self, connected: Client, tmp_path: Path, pool: str, row: Row) -> None:
        connected.observations.create([row], pool)
        file = connected.observations.export_file(tmp_path / "x.txt", "csv", pool=pool)
        assert file.read_text().startswith("pool,external_id,family")

    def test_an_export_that_breaks_off_leaves_what_was_there(
        self, connected: Client, relay: Callable[..., Any], tmp_path: Path
    ) -> None:
        file = tmp_path / "runs.csv"
        file.write_text("what was there")
        with Client(relay(5000).url) as client, pytest.raises(GapcastError) as broken:
            client.observations.export_file(file, pool="lab")
        assert broken.value.code == "answer_lost"
        assert file.read_text() == "what was there"
        assert list(tmp_path.iterdir()) == [file]

    def test_a_link_keeps_pointing_at_its_file(self, connected: Client, tmp_path: Path) -> None:
        (tmp_path / "real.csv").touch()
        (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
        assert connected.observations.export_file(tmp_path / "link.csv", pool="lab") == tmp_path / "real.csv"
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "real.csv").stat().st_size

    def test_only_a_file_in_a_folder_is_written(self, connected: Client, tmp_path: Path) -> None:
        with pytest.raises(FileExistsError):
            connected.observations.export_file(tmp_path, "csv")
        with pytest.raises(FileNotFoundError, match=r"absent: this folder does not exist"):
            connected.observations.export_file(tmp_path / "absent" / "x.csv")

    def test_an_unknown_ending_is_refused_before_anything_is_sent(self, tmp_path: Path) -> None:
        file = tmp_path / "runs.xlsx"
        file.touch()
        with Client("http://127.0.0.1:9") as client:
            with pytest.raises(ValueError, match="parquet"):
                client.observations.import_file(file)
            with pytest.raises(ValueError, match="parquet"):
                client.observations.export_file(file)


class TestList:
    def test_a_page_goes_on_to_the_following_ones(self, connected: Client, pool: str, row: Row) -> None:
        ids = connected.observations.create([row | {"external_id": str(index)} for index in range(130)], pool).ids
        assert [one.id for one in connected.observations.list(limit=50, pool=pool)] == ids[::-1]
        assert [one.id for one in connected.observations.list(order="asc", pool=pool)] == ids
        page = connected.observations.list(limit=3, after=ids[9], pool=pool)
        assert [one.id for one in page.data] == [ids[8], ids[7], ids[6]]
        assert page.has_more
        assert [one.id for one in page] == ids[8::-1]

    def test_a_filter_that_is_none_is_refused(self, connected: Client) -> None:
        with pytest.raises(TypeError, match="familly"):
            connected.observations.list(familly="qwen3")  # type: ignore[call-arg]


class TestExclude:
    def test_an_excluded_run_counts_no_more_until_it_is_taken_back(
        self, connected: Client, pool: str, row: Row
    ) -> None:
        ids = connected.observations.create([row, row | {"baseline": 0.3}], pool).ids
        assert connected.fits.current(pool).n == 2
        out = connected.observations.exclude(ids[0], "wrong evaluation")
        assert (out.excluded, out.excluded_reason) == (True, "wrong evaluation")
        assert connected.fits.current(pool).n == 1
        assert [one.id for one in connected.observations.list(pool=pool, excluded=True)] == [ids[0]]
        back = connected.observations.include(ids[0])
        assert (back.excluded, back.excluded_reason) == (False, None)
        assert connected.fits.current(pool).n == 2

    def test_an_id_is_one_part_of_the_path_whatever_it_holds(self, connected: Client) -> None:
        for wrong in ("obs_nosuch", "../fits/current", "a?b=c"):
            with pytest.raises(GapcastError) as refused:
                connected.observations.exclude(wrong, "x")
            assert refused.value.status == 404
