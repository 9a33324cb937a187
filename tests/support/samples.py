"""A probe with stored rollouts, as a worker would leave it."""

from typing import Any

from gapcast.contract.samples import ArmName, Sample, SampleMessage
from service.jobs import repository as jobs
from service.kit.database import Database
from service.probes import repository as probes
from service.samples import service as samples
from service.settings import Settings

ARMS: tuple[ArmName, ...] = ("student", "context")


def put_probe(database: Database, tenant: str, probe_id: str, configuration: dict[str, Any] | None = None) -> None:
    """Store a probe of two problems, one a chat, with two rollouts in two arms; the student's second is right."""
    chat = [SampleMessage(role="system", content="Add."), SampleMessage(role="user", content="2+2")]
    given = [
        Sample(
            problem_id=problem,
            rollout=rollout,
            arm=arm,
            prompt=prompt,
            context="a hint" if arm == "context" else None,
            completion=f"{arm} says {rollout}",
            answer=str(rollout),
            expected="1",
            score=rollout if arm == "student" else 1,
            finish_reason="stop",
        )
        for problem, prompt in (("p/0", "0+1"), ("p/1", chat))
        for rollout in (0, 1)
        for arm in ARMS
    ]
    with database.write() as session:
        job = jobs.add(session, tenant=tenant, kind="probe", queue="probes", subject_id=probe_id)
        values = {"id": probe_id, "tenant": tenant, "key": probe_id, "job_id": job.id}
        probes.add(session, values | {"configuration": configuration or {"model": "me/m"}})
        samples.store(session, tenant, probe_id, given, Settings())
