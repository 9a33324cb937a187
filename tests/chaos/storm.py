"""A storm: clients ask for jobs, the nemesis strikes, and afterwards all must be as if nothing had been.

`make chaos` runs the long form; each number is a `GAPCAST_CHAOS_*` variable. The same seed asks, strikes and waits the
same; what is hit at that moment is the machine's.
"""

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.kit.database import Database
from tests.chaos import checker
from tests.chaos.checker import Recovery
from tests.chaos.fleet import Fleet
from tests.chaos.nemesis import Nemesis
from tests.chaos.own_services import own_services
from tests.chaos.recorder import Clients, History
from tests.chaos.workload import Workload


class Plan(BaseSettings):
    """How often what is done; the defaults are those of `make chaos`."""

    model_config = SettingsConfigDict(env_prefix="GAPCAST_CHAOS_", extra="forbid")

    seed: int = 20
    broker: Literal["redis", "rabbitmq"] = "redis"
    workers: int = Field(2, ge=2)
    api_workers: int = 2
    open: int = 6
    """jobs that the clients keep waiting or running"""
    lease: float = 6
    """seconds"""
    kills: int = 300
    """of workers, children, APIs and processes of theirs, a quarter each"""
    unanswered: int = 100
    """kills of the API between a commit and its answer"""
    worker_stops: int = 5
    """SIGSTOP of a worker for three leases"""
    child_stops: int = 5
    worker_ends: int = 10
    """SIGTERM of a worker"""
    broker_restarts: int = 20
    broker_outages: int = 1
    broker_down: float = 300
    """seconds of an outage"""
    flushes: int = 1
    pile: int = 100
    """jobs that are asked for before a flush"""
    database_stops: int = 20
    copies: int = 10
    crowds: int = 5
    apart: float = 0
    """seconds that the clock of the first worker goes before and that of the API behind the database's (libfaketime)"""
    shortest_pause: float = 0.5
    longest_pause: float = 4
    """seconds between two faults"""
    most_seconds: float = 86_400
    """after which no fault begins any more"""
    patience: float = 900
    """seconds in which all must have ended after the last fault"""

    def faults(self) -> dict[str, int]:
        """Return how often each fault is done."""
        kinds = ("kill worker", "kill child", "kill api", "kill api process")
        kills = {name: (self.kills + len(kinds) - 1 - place) // len(kinds) for place, name in enumerate(kinds)}
        return kills | {
            "kill before the answer": self.unanswered,
            "stop worker": self.worker_stops,
            "stop child": self.child_stops,
            "end worker": self.worker_ends,
            "restart broker": self.broker_restarts,
            "broker down": self.broker_outages,
            "flush broker": self.flushes,
            "stop database": self.database_stops,
            "copy messages": self.copies,
            "crowd": self.crowds,
        }

    def settings(self) -> dict[str, str]:
        """Return the product's settings."""
        beat = min(15.0, self.lease / 4)
        return {
            "GAPCAST_LEASE_SECONDS": f"{self.lease}",
            "GAPCAST_HEARTBEAT_SECONDS": f"{beat}",
            "GAPCAST_RECONCILE_SECONDS": f"{min(10.0, self.lease / 4)}",
            "GAPCAST_API_WORKERS": f"{self.api_workers}",
            "GAPCAST_MAX_FAILURES": "100",  # a job that is dead of too many faults would be no news
        }


class Report(NamedTuple):
    """What came of a storm."""

    wrong: list[str]
    """what does not hold"""
    history: History
    recoveries: list[Recovery]
    seconds: float
    starts: int
    """of processes that had died"""

    def lines(self) -> list[str]:
        """Return the figures."""
        done = self.history.of("fault done")
        faults = Counter(line["name"] for line in done if "missed" not in line)
        missed = Counter(line["name"] for line in done if "missed" in line)
        asks = Counter(ask.kind for ask in self.history.asks if ask.ids)
        attempts = len(self.history.of("no answer")) + len(self.history.of("refused"))
        longest = [f"{one.seconds:.1f} s after {one.fault} (attempt {one.attempt})" for one in self.recoveries[:5]]
        stops = [line for line in done if line["name"] == "stop worker" and "missed" not in line]
        cuts = [line for line in done if line.get("cut")]
        return [
            f"{sum(asks.values())} accepted: {dict(asks)}; {attempts} posts had no answer or an error",
            f"{sum(faults.values())} faults in {self.seconds:.0f} s: {dict(faults)}; missed: {dict(missed)}",
            f"{len(cuts)} posts were committed and never answered; {self.starts} processes were started again",
            f"{sum(line['taken_by_another'] for line in stops)} of {len(stops)} frozen workers woke to another's job",
            f"{len(self.recoveries)} jobs went on after a fault, the longest {longest}",
            f"{len(self.wrong)} things do not hold",
            *self.wrong,
        ]


def storm(plan: Plan, folder: Path) -> Report:
    """Run a storm, and check what it leaves."""
    began = time.monotonic()
    history = History(folder / "history.jsonl")
    history.add("plan", **plan.model_dump())
    with own_services(folder, plan.broker) as services:
        urls = {"GAPCAST_DATABASE_URL": services.database_url, "GAPCAST_BROKER_URL": services.broker_url}
        fleet = Fleet(folder, plan.settings() | urls, plan.workers, plan.apart)
        clients = Clients(fleet.url, history)
        workload = Workload(clients, plan.seed, plan.open)
        try:
            fleet.start()
            workload.start()
            nemesis = Nemesis(fleet, services, workload, plan.seed, plan.lease, plan.broker_down, plan.pile)
            history.add("ready")
            nemesis.storm(plan.faults(), (plan.shortest_pause, plan.longest_pause), plan.most_seconds)
            history.add("calm")
            workload.ends(time.monotonic() + plan.patience)
            database = Database(services.database_url)
            _wait_for_fits(database)
            wrong = checker.check(history, clients, database)
            with database.read() as session:
                recovered = checker.recoveries(history, session)
            database.close()
        finally:
            fleet.stop()
    wrong += [f"left behind: {line}" for line in fleet.leftovers()]
    report = Report(wrong, history, recovered, time.monotonic() - began, fleet.starts)
    history.add("end", lines=report.lines())
    history.close()
    return report


def _wait_for_fits(database: Database) -> None:
    """Give the API's refitter the time for the last rows."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with database.read() as session:
            query = "SELECT count(*) FROM pools WHERE fitted_changes < changes"
            if not session.connection().exec_driver_sql(query).scalar():
                return
        time.sleep(0.3)


def main() -> None:
    """Run the long form, and print its figures."""
    plan = Plan()
    folder = Path(tempfile.mkdtemp(prefix="gapcast-storm-"))
    folder.chmod(0o755)
    sys.stdout.write(f"The history and the logs of this storm are in {folder}.\n{plan}\n")
    sys.stdout.flush()
    try:
        report = storm(plan, folder)
    except pytest.skip.Exception as missing:
        sys.exit(str(missing))
    report.wrong.extend(checker.in_time(report.recoveries, plan.lease))
    sys.stdout.write("\n".join(report.lines()) + "\n")
    if report.wrong:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
