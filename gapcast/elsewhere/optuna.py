"""For people who search with Optuna: trials that will probably not gain enough are pruned by Gapcast's rule.

    from gapcast.elsewhere.optuna import GapPruner

    def run(trial):  # a body of POST /v1/external_runs
        learning_rate = trial.params["learning_rate"]
        return {"model": {"name": "m", "family": "qwen3"}, "task": "mine", "context": {"kind": "feedback"},
                "recipe": {"steps": 150, "learning_rate": learning_rate}, "gap": {"value": 0.2, "se": 0.02},
                "evaluation": {"problems": 128, "rollouts": 4}}

    pruner = GapPruner(run, stop={"min_gain": 0.05})
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, callbacks=[pruner.end])

The objective reports accuracies as shares: `trial.report(accuracy, step)`, that of step 0 before training. It asks
`trial.should_prune()` after each.
"""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from gapcast.client import Client, GapcastError
from gapcast.client.retries import is_away
from gapcast.contract.stopping import StopRule
from gapcast.models import ExternalRun

logger = logging.getLogger(__name__)


class GapPruner(optuna.pruners.BasePruner):
    """Prunes a trial when the stopping rule says that its run will probably not gain enough.

    Each trial is an external run of the server, with its looks and forecasts. A server that is away prunes nothing; a
    run that it refuses is an error of the trial.

    Args:
        run: returns what a trial trains, as a body of `POST /v1/external_runs`. Without a `baseline` it is the value
            that the trial reports at step 0.
        stop: the rule, such as `{"min_gain": 0.05}`.
        client: None: a fresh one, whose address and key are GAPCAST_URL and GAPCAST_API_KEY.

    Raises:
        ValueError: the rule is none.
    """

    def __init__(
        self,
        run: Callable[[FrozenTrial], Mapping[str, Any]],
        stop: StopRule | Mapping[str, Any] | None = None,
        client: Client | None = None,
    ) -> None:
        self._run, self._client = run, client
        self._stop = StopRule.model_validate(stop or {}).model_dump(exclude_none=True)

    def prune(self, study: "optuna.study.Study", trial: FrozenTrial) -> bool:
        """Report the trial's values, and return what the rule says after the newest."""
        try:
            run = self._report(study, trial)
        except GapcastError as error:
            if not is_away(error):
                raise
            logger.warning("Gapcast: trial %d is not judged: %s", trial.number, error)
            return False
        return run is not None and run.ruling is not None and run.ruling.stop

    def end(self, study: "optuna.study.Study", trial: FrozenTrial) -> None:
        """Store a trial that has ended as an observation, or as one that was stopped; a callback of `optimize`.

        Nothing that goes wrong here ends the study: it is logged.
        """
        if trial.state not in {TrialState.COMPLETE, TrialState.PRUNED}:
            return
        try:
            run = self._report(study, trial)
            if run is not None and not run.ended and run.looks:
                whole = run.looks[-1].step == run.steps
                self._ask(lambda client: client.external_runs.end(run.id, stopped=not whole))
        except GapcastError as error:
            logger.warning("Gapcast: trial %d becomes no observation: %s", trial.number, error)

    def _report(self, study: "optuna.study.Study", trial: FrozenTrial) -> ExternalRun | None:
        """Send a trial's values; None before there is one after step 0."""
        values = {step: value for step, value in sorted(trial.intermediate_values.items()) if not math.isnan(value)}
        body = {"stop": self._stop, **self._run(trial)}
        if "baseline" not in body:
            if 0 not in values:
                raise ValueError(
                    f"trial {trial.number}: expected the accuracy before training, got none. Report it at step 0, or "
                    "return `baseline` with the run."
                )
            body["baseline"] = {"accuracy": values[0]}
        looks = [{"step": step, "value": value} for step, value in values.items() if step > 0]
        if not looks:
            return None
        body.setdefault("external_id", f"optuna/{study.study_name}/{trial.number}/{trial.datetime_start}")

        def ask(client: Client) -> ExternalRun:
            run = client.external_runs.create(body)
            return run if run.ended else client.external_runs.append(run.id, looks)

        return self._ask(ask)

    def _ask(self, ask: Callable[[Client], ExternalRun]) -> ExternalRun:
        client = self._client or Client()
        try:
            return ask(client)
        finally:
            if client is not self._client:
                client.close()
