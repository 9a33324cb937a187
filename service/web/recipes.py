"""Which law is meant: that of a family's runs under one teacher rule and divergence; and how recipes are said."""

from typing import NamedTuple
from urllib.parse import urlencode

from gapcast.contract.fits import OfRecipe
from gapcast.words import DIVERGENCES, RULES, recipe
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


def key_words(key: Key) -> str:
    """Return how the recipes of a law are said in a list."""
    return recipe(OfRecipe.model_validate({"teacher_rule": key.rule, "divergence": key.known_divergence}))


def key_phrase(key: Key) -> str:
    """Return how the recipes of a law are said after `with`."""
    if key.divergence == UNKNOWN:
        return "an unknown recipe"
    teacher = f"a {RULES[key.rule]} teacher"
    return teacher if key.divergence == ANY else f"{teacher} and {DIVERGENCES[key.divergence]}"
