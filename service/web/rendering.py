"""Templates of the page and of its parts, and the headers of both."""

import hashlib
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates
from markupsafe import Markup

from gapcast import comparison_words, recommendation_words, words
from service.kit.etags import has_current

PAGE_HEADERS = {
    # Vega runs with its expression interpreter, so no 'unsafe-eval'; pico.css draws its icons from data: URLs.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
MINUS = "\N{MINUS SIGN}"

templates = Jinja2Templates(Path(__file__).parent / "templates")


def typeset(text: str) -> str:
    """Write the hyphens before numbers as minus signs; those within names stay."""
    return re.sub(r"(?<![\w-])-(?=\d)", MINUS, text)


def code(text: str) -> Markup:
    """Set what stands between back quotes as code."""
    set_as = (Markup("{}"), Markup("<code>{}</code>"))
    return Markup("").join(set_as[place % 2].format(part) for place, part in enumerate(text.split("`")))


templates.env.globals |= {
    "words": words,
    "comparison_words": comparison_words,
    "recommendation_words": recommendation_words,
}
FILTERS: dict[str, Callable[..., str]] = {
    "typeset": typeset,
    "points": lambda share: typeset(words.points(share)),
    "measured": lambda estimate: typeset(words.measured(estimate)),
    "between": lambda ends: typeset(words.between(*ends)),
    "sentence": words.sentence,
    "level": words.level,
    "code": code,
}
templates.env.filters |= FILTERS
PAGES = (
    ("Home", "/"),
    ("Predictions", "/predictions"),
    ("Comparisons", "/comparisons"),
    ("Recommendations", "/recommendations"),
    ("Training runs", "/training_runs"),
    ("External runs", "/external_runs"),
    ("Probes", "/probes"),
    ("Law", "/law"),
    ("Observations", "/observations"),
    ("Tasks", "/tasks"),
    ("Models", "/models"),
    ("Workers", "/workers"),
)
"""names and addresses, in the order in which people need them"""


def page(request: Request, template: str, here: str, context: dict[str, Any], status: int = 200) -> Response:
    """Answer with a whole page, or 304 if the browser has it.

    Args:
        request: of the browser.
        template: of the page.
        here: the address of the entry that the page belongs to in the list of pages.
        context: what the template shows.
        status: of the answer.
    """
    own = {"pages": PAGES, "here": here, **context}
    return _answer(request, templates.env.get_template(template).render(own), status)


def _answer(request: Request, text: str, status: int) -> Response:
    body = text.encode()
    headers = PAGE_HEADERS | {"Cache-Control": "private, no-cache"}
    if status == HTTPStatus.OK:
        tag = hashlib.sha256(body).hexdigest()[:32]
        headers["ETag"] = f'"{tag}"'
        if has_current(request, tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, status, headers, media_type="text/html")
