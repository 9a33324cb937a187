from typing import Any

import pytest

from gapcast.contract.recipes import Recipe
from workers.opsd.objective import Objective


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, Objective("forward_kl")),
        ({"divergence": "reverse_kl", "top_k": 20, "token_clip": 2.0}, Objective("reverse_kl", None, 20, 2.0)),
        ({"divergence": "js"}, Objective("js", 0.5)),
        ({"divergence": "js", "alpha": 0.1}, Objective("js", 0.1)),
    ],
)
def test_is_what_the_recipe_says(recipe: dict[str, Any], expected: Objective) -> None:
    assert Objective.of(Recipe(**recipe)) == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"divergence": "js"}, "alpha: None"),
        ({"divergence": "js", "alpha": 1.0}, "alpha: 1.0"),
        ({"divergence": "forward_kl", "alpha": 0.5}, "alpha: 0.5 for the divergence 'forward_kl'"),
        ({"divergence": "forward_kl", "top_k": 0}, "top_k: 0"),
        ({"divergence": "forward_kl", "token_clip": 0.0}, "token_clip: 0.0"),
        ({"divergence": "forward_kl", "token_clip": float("nan")}, "token_clip: nan"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective(**fields)
