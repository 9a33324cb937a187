"""Writes the study's table: `python -m studies.doses.report`."""

from typing import Any

from gapcast.words import points
from service.law.dose import Dose, Look, by_dose
from studies.doses.run import stored

COLUMNS = (25, 50, 150, 400)


def _share(run: dict[str, Any], dose: Dose) -> float | None:
    """The share of its gap that a run has gained at the end of a dose; None where it never was."""
    looks = [Look(step, value, se**2, cov) for step, value, se, cov in run["curve"]]
    found = by_dose(looks, constant=True).get(dose)
    return None if found is None else found.improvement / float(run["gap"]["value"])


def main() -> None:
    """Print the improvement after some numbers of steps, in accuracy points."""
    print(
        "| context | problems | learning rate | trained | gap | "
        + " | ".join(f"{step} steps" for step in COLUMNS)
        + " |"
    )
    print("| --- | --- | --- | --- | --- |" + " --- |" * len(COLUMNS))
    for name, run in stored().items():
        context, problems, rate, adaptation = name.split("|")
        curve = {step: improvement for step, improvement, *_ in run["curve"]}
        gained = " | ".join(points(curve[step]) for step in COLUMNS)
        print(f"| {context} | {problems} | {rate} | {adaptation} | {points(run['gap']['value'])} | {gained} |")
    print()
    print("Median share of the gap that was gained, by dose:")
    for dose in Dose:
        shares = sorted(share for run in stored().values() if (share := _share(run, dose)) is not None)
        if shares:
            print(f"- to {int(dose)} steps: {shares[len(shares) // 2]:.2f}")


if __name__ == "__main__":
    main()
