"""The columns of observations as a table: `gap.value` is the field `value` of `gap`."""

from collections.abc import Sequence
from functools import cache
from typing import get_args

from gapcast.contract.base import Strict
from gapcast.contract.labels import Labelled
from gapcast.contract.observations import GapIn, HeldOutIn, ImprovementIn, MeasuredIn, ObservationIn


def count_columns() -> Sequence[str]:
    """The columns that hold counts per problem; none of them is exported, as counts are not kept."""
    parts: dict[str, type[MeasuredIn]] = {"gap": GapIn, "improvement": ImprovementIn, "held_out": HeldOutIn}
    return [f"{name}.{field}" for name, part in parts.items() for field in (*part.arm_names, "problem_ids")]


@cache
def columns() -> Sequence[str]:
    """The columns of an exported table, in order: all that is needed to import it again to the same fit."""
    names: list[str] = []
    # name and tags last: a table begins with what says which run it is
    fields = sorted(ObservationIn.model_fields.items(), key=lambda item: item[0] in Labelled.model_fields)
    for name, field in fields:
        nested = next(
            (
                one
                for one in (field.annotation, *get_args(field.annotation))
                if isinstance(one, type) and issubclass(one, Strict)
            ),
            None,
        )
        if nested is None:
            names.append(name)
        else:
            names += [f"{name}.{inner}" for inner in nested.model_fields if f"{name}.{inner}" not in count_columns()]
    return names
