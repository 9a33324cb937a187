from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from service.kit.clock import now, rfc3339
from service.kit.database import Database


def test_the_database_tells_the_time_and_adds_seconds(database: Database) -> None:
    with database.read() as session:
        moment, later = session.execute(select(now(), now(90.5))).one()
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=60)
    assert timedelta(seconds=90) < later - moment < timedelta(seconds=91)


def test_rfc3339_is_utc_with_milliseconds() -> None:
    assert rfc3339(datetime(2026, 11, 22, 7, 5, 3, 123456, tzinfo=UTC)) == "2026-11-22T07:05:03.123Z"
