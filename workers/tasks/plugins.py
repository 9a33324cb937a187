"""The verifier `plugin`: a Python entry point of this worker's environment (docs/tasks.md)."""

from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gapcast.contract.problems import PluginVerifier
from workers.failures import JobError
from workers.tasks.protocol import Problem, Verdict, wrong

GROUP = "gapcast.verifiers"
OURS = {
    "reasoning-gym": "workers.tasks.generators.reasoning_gym:verify",
    "verifiers": "workers.tasks.generators.verifiers:verify",
}
"""the plugins that come with Gapcast; each needs the extra of its name"""


class Plugin:
    """Verifies completions of one task; `Verify` in `workers.tasks.verifiers`."""

    def __init__(self, spec: PluginVerifier) -> None:
        self._spec = spec
        self._verify = self._load()

    def _load(self) -> Callable[..., Any]:
        name = self._spec.name
        if name in OURS:
            try:
                return EntryPoint(name, OURS[name], GROUP).load()  # type: ignore[no-any-return]
            except ImportError as error:
                message = (
                    f"The task is scored by {name}, which is not installed on this worker. Install it: pip install "
                    f"'gapcast[{name}]'."
                )
                raise JobError("verifier_not_found", message, "task", "server") from error
        found = entry_points(group=GROUP, name=name)
        if not found:
            known = ", ".join(sorted(one.name for one in entry_points(group=GROUP))) or "none"
            message = f"This worker has no verifier {name!r} in the group {GROUP}; it has: {known}."
            raise JobError("verifier_not_found", message, "task", "server")
        try:
            return next(iter(found)).load()  # type: ignore[no-any-return]
        except Exception as error:
            raise self._failed(f"cannot be imported: {type(error).__name__}: {error}") from error

    def __call__(self, problem: Problem, completion: str) -> Verdict:
        """What the plugin says; the failing case shows the answer where the problem has one.

        Raises:
            JobError: `verifier_failed`: it raised, or its answer is not a score in [0, 1] and a text.
        """
        fields = asdict(problem)
        try:
            answer = self._verify(completion, fields, dict(self._spec.options))
        except Exception as error:
            raise self._failed(f"raised on problem {problem.id}: {type(error).__name__}: {error}") from error
        try:
            score, note = answer
            score = float(score)
        except (TypeError, ValueError) as error:
            raise self._failed(f"must return (score, note), on problem {problem.id} it returned {answer!r}") from error
        if not 0.0 <= score <= 1.0 or not isinstance(note, str):
            raise self._failed(
                f"must return a score in [0, 1] and a text, on problem {problem.id} it returned {answer!r}"
            )
        if score >= 1.0:
            return Verdict(score, note)
        return Verdict(score, note, wrong(note, problem.answer or "", completion).failures)

    def _failed(self, what: str) -> JobError:
        return JobError("verifier_failed", f"The verifier plugin {self._spec.name!r} {what}"[:500], "task", "server")
