"""A run that another program has trained, as a row of `POST /v1/observations` (docs/elsewhere.md)."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gapcast.atomic import write_atomically
from gapcast.client import Client

Row = dict[str, Any]
"""A row of `POST /v1/observations`, and parts of one."""

Counts = Sequence[float]
"""The sum of each problem's scores over its rollouts, in the problems' order"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was trained, in the words of an observation's row; the measurements come on top.

    Attributes:
        family: the law's group, such as `qwen3`.
        task: what it was trained on.
        model: what was trained.
        context_kind: how the self-teacher's context was built: none, static, feedback, hints, peer_solution,
            reference_solution, all, column.
        recipe: at least `teacher` (frozen, ema, trust_region, live) and `divergence` (forward_kl, reverse_kl, js);
            without one the run counts for its family alone.
        context: the context's options, as you like to note them.
        external_id: your name of the run: sent again, it is stored once.
        parameters: number of weights.
        version: what may have changed under the family.
        prediction_id: the prediction whose outcome this is.
        pool: where to; None: `default`.
        provenance: whatever else is to be kept with it.
    """

    family: str
    task: str
    model: str
    context_kind: str
    recipe: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    external_id: str | None = None
    parameters: float | None = None
    version: str | None = None
    prediction_id: str | None = None
    pool: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def row(self, **more: Any) -> Row:  # noqa: ANN401
        """The row: what is known of the run, and `more` fields, which win; None is left out."""
        said = {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(self).items()}
        said["provenance"] = said["provenance"] | more.pop("provenance", {})
        return {name: value for name, value in (said | more).items() if value not in (None, {})}


def gap_of_probe(client: Client, probe_id: str) -> Row:
    """Return the gap that a probe of Gapcast's has measured, as a row holds it.

    Raises:
        GapcastError: there is no such probe, or no answer came.
        ValueError: the probe has measured nothing yet.
    """
    probe = client.probes.get(probe_id)
    if probe.status != "succeeded" or probe.result is None:
        raise ValueError(f"probe {probe_id} is {probe.status}; a gap comes from one that has succeeded")
    gap = probe.result.gap
    return {"value": gap.value, "se": gap.se}


def keep(value: object, file: Path) -> None:
    """Write JSON to a file that is there whole or not at all, in a folder that is made where it is missing.

    Raises:
        OSError: the file cannot be written.
        ValueError: JSON cannot say it, such as NaN.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(value, allow_nan=False) + "\n")


def keep_row(row: Row, file: Path) -> None:
    """Write a row to a .json file that `gapcast observations import` takes; raises as `keep` does."""
    keep({"observations": [row]}, file)


def import_command(file: str | os.PathLike[str], url: str) -> str:
    """The command that imports such a file."""
    return shlex.join(["gapcast", "observations", "import", os.fspath(file), "--url", url])
