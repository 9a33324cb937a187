"""One model under several configurations: each has its own measurement, and what they share is drawn once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gapcast.contract.comparison_jobs import ComparisonConfiguration, Known
from gapcast.contract.contexts import TEMPLATE_VERSION
from gapcast.contract.probes import ProbeConfiguration, ProbeCost, ProbeResult, ProbeSeconds
from service.scores import differences, variance_components
from workers.contexts import prompt_shape
from workers.contexts.templates import require_template_version
from workers.engines import load_engine
from workers.probe.measurement import Measurement
from workers.probe.run import gpus_of
from workers.resources import Resources
from workers.sampling.arms import Draw, Rollout, Rows, Sampler, sampling_of
from workers.sampling.drawn import DrawnProblems
from workers.sampling.rollouts import RememberingEngine, RolloutStore
from workers.tasks import Task, load_task, require_scoring_version

AT_ONCE = 256
"""problems of every configuration that are measured together"""
SHARED = {"student", "none", "peers"}
"""arms that show the student's prompt: the same samples under every context"""

Report = Callable[[int], None]


@dataclass(frozen=True)
class SharingSampler(Sampler):
    """A sampler of one configuration: what others have drawn and verified already, too, it takes from them."""

    shared: dict[tuple[object, ...], list[Rollout]] = field(default_factory=dict)
    """rollouts of one problem and arm"""
    scope: str = ""
    """what the samples depend on beside arm and problem: decoding and seed"""

    def draw(self, draws: Sequence[Draw]) -> list[Rows]:
        """As a sampler's; what another configuration has drawn is taken from there."""
        new = [self._new(draw) for draw in draws]
        for draw, table in zip(new, super().draw(new), strict=True):
            self.shared.update(zip(self._keys(draw), table, strict=True))
        found = [[self.shared[key] for key in self._keys(draw)] for draw in draws]
        for draw in draws:
            if draw.arm not in SHARED:
                for key in self._keys(draw):
                    del self.shared[key]
        return found

    def _keys(self, draw: Draw) -> list[tuple[object, ...]]:
        pairs = zip(draw.problems, draw.prompts, strict=True)
        return [(self.scope, draw.arm, len(prompts), problem.id) for problem, prompts in pairs]

    def _new(self, draw: Draw) -> Draw:
        """Those of its problems that nobody has drawn yet."""
        rows = zip(draw.problems, draw.prompts, self._keys(draw), strict=True)
        left = [(problem, prompts) for problem, prompts, key in rows if key not in self.shared]
        return Draw(draw.arm, [problem for problem, _ in left], [prompts for _, prompts in left])


@dataclass
class Entry:
    """One configuration as it is measured."""

    measurement: Measurement
    problems: DrawnProblems
    done: int = 0
    seconds: float = 0.0
    cost: ProbeCost = field(
        default_factory=lambda: ProbeCost(
            rollouts_drawn=0, rollouts_reused=0, prompt_tokens=0, completion_tokens=0, gpu_hours=0.0
        )
    )


class Bench:
    """A loaded model, and the measurements of its configurations."""

    def __init__(self, configuration: ComparisonConfiguration, resources: Resources) -> None:
        self._members = {member.place: member for member in configuration.members}
        first = configuration.members[0].probe
        require_template_version(first.template_version)
        require_scoring_version(first.scoring_version)
        self._task: Task = load_task(configuration.task, configuration.task_revision, resources.task_folder)
        loaded = load_engine(first.engine, resources.source, configuration.model_revision, first.model_options)
        self._fingerprint, self._shape = loaded.fingerprint(), prompt_shape(loaded)
        self.gpus = gpus_of(first.model_options, self._fingerprint)
        model = {"model": configuration.model, "revision": configuration.model_revision}
        self._engine = RememberingEngine(loaded, RolloutStore(resources.rollouts), model)
        self._entries: dict[int, Entry] = {}
        self._shared: dict[tuple[object, ...], list[Rollout]] = {}
        self._report: Report = lambda samples: None

    def close(self) -> None:
        """Release the model."""
        self._engine.close()

    def measure(self, wanted: Mapping[int, int], report: Report) -> None:
        """Measure configurations, by place, until they have so many problems; `report` is told of rollouts.

        Block by block, so that what they share is drawn once and need not be kept for long.
        """
        self._report = report
        entries = {place: self._entry(place) for place in wanted}
        first, last = min(entry.done for entry in entries.values()), max(wanted.values())
        for start in range(first, last, AT_ONCE):
            for place, entry in entries.items():
                end = min(start + AT_ONCE, wanted[place])
                if entry.done < end:
                    self._add(entry, end)
            self._shared.clear()

    def second(self, place: int, report: Report) -> ProbeResult:
        """Measure a configuration afresh."""
        self._report = report
        probe = self._members[place].second
        entry = self._made(probe)
        for start in range(0, probe.problems, AT_ONCE):
            self._add(entry, min(start + AT_ONCE, probe.problems))
            self._shared.clear()
        return self._result(entry)

    def known(self, place: int) -> Known:
        """What has been measured of a configuration, as decisions take it."""
        measurement = self._entries[place].measurement
        student, teacher = measurement.arms["student"].scores, measurement.arms["context"].scores
        gap = measurement.gap
        return Known(
            differences=differences(teacher, student).tolist(),
            gap=gap.value,
            gap_var=gap.se**2,
            student=float(student.mean()),
            gap_spread=variance_components(student, teacher).sigma_d2,
        )

    def results(self) -> dict[int, ProbeResult]:
        """What has been measured so far, by place."""
        return {place: self._result(entry) for place, entry in self._entries.items() if entry.done}

    def _entry(self, place: int) -> Entry:
        if place not in self._entries:
            self._entries[place] = self._made(self._members[place].probe)
        return self._entries[place]

    def _made(self, probe: ProbeConfiguration) -> Entry:
        def told(samples: int) -> None:
            self._report(samples)

        decoding = probe.decoding.of("student")
        sampler = SharingSampler(
            self._engine,
            self._task,
            sampling_of(decoding, self._task),
            probe.seed,
            decoding.thinking,
            told,
            shared=self._shared,
            scope=f"{probe.decoding.model_dump_json()} {probe.seed}",
        )
        return Entry(Measurement(probe, sampler), DrawnProblems(self._task, probe.problems, probe.seed))

    def _add(self, entry: Entry, end: int) -> None:
        engine, cost, began = self._engine, entry.cost, time.monotonic()
        before = (engine.drawn, engine.reused, engine.prompt_tokens, engine.completion_tokens)
        entry.measurement.add(entry.problems[entry.done : end])
        entry.done = end
        seconds = time.monotonic() - began
        entry.seconds += seconds
        cost.rollouts_drawn += engine.drawn - before[0]
        cost.rollouts_reused += engine.reused - before[1]
        cost.prompt_tokens += engine.prompt_tokens - before[2]
        cost.completion_tokens += engine.completion_tokens - before[3]
        cost.gpu_hours += self.gpus * seconds / 3600

    def _result(self, entry: Entry) -> ProbeResult:
        result = entry.measurement.result()
        result.seconds, result.cost = ProbeSeconds(load=None, probe=entry.seconds), entry.cost
        result.engine, result.template = self._fingerprint, f"{self._shape}/{TEMPLATE_VERSION}"
        result.stopped_by = "size"
        return result
