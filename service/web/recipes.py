"""Which law is meant: that of a family's runs under one teacher rule and divergence; and how recipes are said."""

from typing import NamedTuple
from urllib.parse import urlencode

from gapcast.contract.fits import OfRecipe
from gapcast.words import DIVERGENCES, RULES, TEACHERS
from service.law import Key
from service.law.keys import ANY, UNKNOWN, Rule


class FamilyRecipe(NamedTuple):
    """The runs that one law is of."""

    family: str
    key: Key

    @property
    def query(self) -> str:
        """What the page asks for this law by."""
        said = {"family": self.family, "teacher": self.key.teacher, "divergence": self.key.known_divergence}
        return urlencode({name: value for name, value in said.items() if value is not None})


def law_key(found: OfRecipe) -> Key:
    """Return the key of the runs that the API's answer is of."""
    return Key(Rule(found.teacher_rule), found.divergence or UNKNOWN)


def recipe_words(teacher: str | None, divergence: str | None) -> str:
    """Return how a run's own recipe is said."""
    if teacher is None or divergence is None:
        return "unknown"
    return f"{TEACHERS[teacher]}, {DIVERGENCES[divergence]}"


def key_words(key: Key) -> str:
    """Return how the recipes of a law are said in a list."""
    return "recipe unknown" if key.divergence == UNKNOWN else f"{RULES[key.rule]}, {DIVERGENCES[key.divergence]}"


def key_phrase(key: Key) -> str:
    """Return how they are said after `with`."""
    if key.divergence == UNKNOWN:
        return "an unknown recipe"
    teacher = f"a {RULES[key.rule]} teacher"
    return teacher if key.divergence == ANY else f"{teacher} and {DIVERGENCES[key.divergence]}"
