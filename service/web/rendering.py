"""Templates of the page and of its parts, and the headers of both."""

import hashlib
import re
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates

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


templates.env.globals |= {
    "words": words,
    "comparison_words": comparison_words,
    "recommendation_words": recommendation_words,
}
templates.env.filters |= {
    "typeset": typeset,
    "points": lambda share: typeset(words.points(share)),
    "measured": lambda estimate: typeset(words.measured(estimate)),
    "between": lambda ends: typeset(words.between(*ends)),
    "sentence": words.sentence,
}


def fragment(request: Request, template: str, context: dict[str, Any]) -> Response:
    """Answer with a part of the page: elements that replace those of their ids, or 304 if the browser has them."""
    body = templates.env.get_template(template).render(context).encode()
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = PAGE_HEADERS | {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if has_current(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="text/html", headers=headers)
