"""A probe as it grows: portion by portion all arms on the same problems, and what is known so far."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from gapcast.contract.contexts import Context
from gapcast.contract.probes import Leak, ProbeConfiguration, ProbeResult
from service.scores import Estimate, Scores, estimate, guarded, result_of
from workers.contexts import leak, student_prompt
from workers.failures import JobError
from workers.probe.covariates import LogRatios
from workers.probe.samples import SampleLog
from workers.sampling.arms import Arm, Draw, Rows, Sampler
from workers.sampling.self_teacher import SelfTeacher, Taught
from workers.tasks import Problem

LEAKS = ("copied", "contains_answer")
RATIO_PROBLEMS = 32
"""Problems whose log-ratios are taken, one rollout each: a share over thousands of tokens needs no more, and a pass
over all would cost a probe of short answers a tenth of its speed."""
RATIOS_AT_ONCE = 4
"""Problems whose log-ratios are taken between two reports: a CPU takes some seconds for a model of 0.1B parameters."""


class Measurement:
    """All arms of one probe."""

    def __init__(self, configuration: ProbeConfiguration, sampler: Sampler, samples: SampleLog | None = None) -> None:
        self._configuration, self._sampler, self._samples = configuration, sampler, samples
        context = configuration.context
        controls = {"placebo": context.placebo, "shuffled_feedback": context.shuffled_feedback}
        contexts: dict[str, Context] = {"context": context}
        contexts |= {name: make() for name, make in controls.items() if name in configuration.controls}
        self._taught = sampler.decoding_as(configuration.decoding.of("teacher"))
        self._teacher = SelfTeacher(self._taught, contexts, configuration.rollouts, configuration.group_size)
        self.arms = {name: Arm(name) for name in ("student", "none", *contexts)}
        self._ratios = LogRatios()
        self._leaks: Counter[str] = Counter()
        self.problem_ids: list[str] = []

    @property
    def rollouts_a_problem(self) -> int:
        """Rollouts of all arms for one problem."""
        return len(self.arms) * self._configuration.rollouts + self._teacher.extra

    def add(self, problems: Sequence[Problem]) -> None:
        """Measure the next problems in every arm."""
        plain = [Draw.plain(arm, problems, self._configuration.rollouts) for arm in ("student", "none")]
        student, none, *peers = self._sampler.draw([*plain, *self._teacher.peers("peers", problems)])
        taught = self._teacher.draw(problems, student, peers)
        self.arms["student"].add(student)
        self.arms["none"].add(none)
        for name, arm in taught.items():
            self.arms[name].add(arm.rows)
            self.arms[name].missing.update(one.reason for row in arm.built for one in row if one.reason is not None)
        if self._samples is not None:
            arms = {"student": (plain[0], student), "none": (plain[1], none)}
            self._samples.add(problems, arms, taught)
        self._add_leak(problems, taught["context"])
        self._add_ratios(taught["context"], student)
        self.problem_ids += [problem.id for problem in problems]

    def _add_leak(self, problems: Sequence[Problem], taught: Taught) -> None:
        shown = [
            (problem, rollout.sample.text, one.text)
            for problem, row, built in zip(problems, taught.rows, taught.built, strict=True)
            for rollout, one in zip(row, built, strict=True)
            if one.text is not None
        ]
        self._leaks["shown"] += len(shown)
        found = leak(shown)
        self._leaks.update({name: round(found[name] * len(shown)) for name in LEAKS})

    def _add_ratios(self, taught: Taught, student: Rows) -> None:
        """The first rollout of the first problems, where it has a context: one pass without sampling."""
        most = max(0, RATIO_PROBLEMS - len(self.problem_ids))
        engine, thinking = self._sampler.engine, self._sampler.thinking
        with_context, without = [], []
        together = zip(taught.draw.problems, taught.draw.prompts, taught.built, student, strict=True)
        for problem, prompts, built, row in islice(together, most):
            completion = row[0].sample.token_ids
            if built[0].text is None or not completion:
                continue
            prompt = engine.encode(prompts[0], thinking=self._taught.thinking)
            if len(prompt) + len(completion) <= engine.context_length:
                with_context.append((prompt, completion))
                without.append((engine.encode(student_prompt(problem), thinking=thinking), completion))
        for start in range(0, len(with_context), RATIOS_AT_ONCE):
            some = slice(start, start + RATIOS_AT_ONCE)
            try:
                scored = engine.score(with_context[some] + without[some])
            except JobError as error:
                if error.code != "out_of_memory":
                    raise
                return  # a covariate less is no reason to throw the rollouts away
            half = len(scored) // 2
            self._ratios.add(scored[:half], scored[half:])
            self._sampler.report(0)

    @property
    def plain_rollouts(self) -> int:
        """Rollouts of the student's prompt for one problem and arm, those that only fill groups among them."""
        return self._configuration.rollouts + self._teacher.extra

    @property
    def gap(self) -> Estimate:
        """The gap as of now, as a result shows it; needs two problems."""
        return self._judge(self.arms["context"].scores, self.arms["student"].scores)

    @property
    def stopping_se(self) -> float:
        """The standard error by which a sequential probe stops."""
        return guarded(self.arms["context"].scores, self.arms["student"].scores).se

    def _judge(self, arm: Scores, base: Scores) -> Estimate:
        return estimate(arm, base) if self._configuration.target_se is None else guarded(arm, base)

    def result(self) -> ProbeResult:
        """Return the probe's result as of now (OPSD.md, Probe); needs two problems."""
        return result_of(
            {name: arm.scores for name, arm in self.arms.items()},
            {name: arm.summary() for name, arm in self.arms.items()},
            self.problem_ids,
            judge=self._judge,
            leak=self._leak(),
            log_ratio=self._ratios.summary(),
            contexts_missing=sum(self.arms["context"].missing.values()) / self.arms["context"].rollouts,
        )

    def _leak(self) -> Leak:
        shown = self._leaks["shown"]
        return Leak(**{name: self._leaks[name] / shown if shown else 0.0 for name in LEAKS})
