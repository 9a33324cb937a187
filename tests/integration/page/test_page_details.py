"""Pages of single things in every state, in a real browser against the real product, with names meant to break them."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from gapcast import Client
from tests.integration.page.conftest import SERVED
from tests.integration.page.test_page_lists import GAP, NAME, NASTY, PROMPT, visit
from tests.support.browser import faults, screen
from tests.support.product import eventually, serving
from tests.support.rows import run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Body = dict[str, Any]

GONE = {"name": "gone", "family": "qwen3", "path": "/nowhere", "revision": f"sha256:{'0' * 64}"}
"""a model that cannot be loaded"""
LAB: Body = {
    "name": NAME,
    "tags": ["reviewed"],
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 3}},
    "recipe": {"steps": 4, "problems_per_step": 4, "group_size": 2},
}
PROBE: Body = {"problems": 16, "rollouts": 2}
TRAINING: Body = {"problems": 16, "evaluate_every": 2}
NOWHERE: Body = {"needs": {"labels": ["nowhere"]}}
"""no worker has this label, so what needs it waits"""
NAMES = {"model": {"name": NASTY, "family": NASTY}, "task": NASTY, "pool": "nasty", "name": NAME}
FAR: Body = {"pool": "lab", "gap": GAP | {"value": 0.58}, "model": {"name": NASTY, "family": "lab-qwen3"}}
"""the law of the lab is straight, and its runs end before this gap"""
STATIC = {"kind": "static", "options": {"text": NASTY}}


@pytest.fixture(scope="module")
def address(tmp_path_factory, _chromium) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("details"), {"GAPCAST_MODELS": json.dumps([SERVED, GONE])}) as (client, _):
        yield client.url


def made(address: str, path: str, body: Body) -> str:
    """Ask for something, and return the address of its page."""
    answer = httpx2.post(f"{address}/v1/{path}", json=body, timeout=60)
    assert answer.is_success, answer.text
    return f"/{path}/{answer.json()['id']}"


def states(address: str) -> dict[str, str]:
    """Make something in each of its states; return the addresses of their pages."""
    rows = [
        run(
            external_id=f"{n}{NASTY}",
            **{"family": NASTY, "task": NASTY, "model": NASTY, "context_name": NASTY, "name": NAME},
            gap={"value": 0.03 * n, "se": 0.02},
            improvement={"value": 0.03 * n, "se": 0.02},
            provenance={NASTY: PROMPT[:2000]},
        )
        for n in range(1, 9)
    ]
    rows[1] |= {"excluded": True, "excluded_reason": NASTY * 4}
    with Client(address) as client:
        ids = client.observations.create(rows, "nasty").ids
        client.fits.current("nasty")
        given = NAMES | {"context": STATIC}
        watched: Body = {
            "baseline": {"accuracy": 0.4},
            "evaluation": {"problems": 50, "rollouts": 4},
            "gap": {"value": 0.2, "se": 0.02},
            "recipe": {"steps": 10},
        }
        asked = {name: LAB[name] for name in ("model", "task", "recipe")}
        named = {
            "name": NAME,
            "base": asked,
            "vary": {"context": {NAME[:60]: {"kind": "feedback"}, "hinted": {"kind": "hints"}}},
        }
        found = {
            "observation": f"/observations/{ids[0]}",
            "observation excluded": f"/observations/{ids[1]}",
            "prediction refused": made(address, "predictions", given | FAR),
            "prediction given": made(address, "predictions", given | {"gap": GAP}),
            "prediction pending": made(address, "predictions", LAB | {"probe": PROBE | NOWHERE | {"seed": 1}}),
            "prediction probed": made(address, "predictions", LAB | {"probe": PROBE}),
            "prediction failed": made(address, "predictions", LAB | {"model": {"name": "gone"}, "probe": PROBE}),
            "run live": made(address, "training_runs", LAB | {"training": TRAINING | NOWHERE}),
            "run ended": "",
            "run failed": made(address, "training_runs", LAB | {"model": {"name": "gone"}, "training": TRAINING}),
            "comparison live": made(address, "comparisons", named | {"base": asked | {"probe": NOWHERE}}),
            "comparison ended": made(address, "comparisons", named | {"budget": {"rollouts": 512}}),
            "recommendation": made(address, "recommendations", named),
            "external run": made(address, "external_runs", given | watched),
            "home": "/?pool=nasty",
            "home of the lab": "/",
            "workers": "/workers",
            "not found": "/predictions/pred_1",
        }
        looks = [{"step": step, "value": 0.4 + 0.02 * step} for step in (2, 4)]
        httpx2.post(f"{address}/v1{found['external run']}/looks", json={"looks": looks}).raise_for_status()
        probed = found["prediction probed"].rpartition("/")[2]
        eventually(lambda: client.predictions.get(probed).ended)
        found["probe"] = f"/probes/{client.predictions.get(probed).probe_id}"
        found["run ended"] = made(address, "training_runs", {"prediction_id": probed})
        ended = [found[name].rpartition("/")[2] for name in ("run ended", "run failed")]
        eventually(lambda: all(client.training_runs.get(one).ended for one in ended))
        compared = found["comparison ended"].rpartition("/")[2]
        eventually(lambda: client.comparisons.get(compared).ended)
    return found


@pytest.fixture(scope="module")
def pages(address: str) -> dict[str, str]:
    return states(address)


TURNED = """
const node = arguments[0].firstChild, last = node.data.length - 1;
const left = (place) => {
  const range = document.createRange();
  range.setStart(node, place);
  range.setEnd(node, place + 1);
  return range.getBoundingClientRect().left;
};
return left(last) < left(last - 1);
"""


def test_a_name_that_turns_text_turns_none_but_its_own(browser, address, pages) -> None:
    visit(browser, address, pages["prediction refused"])
    lacking = browser.find_element("css selector", "[data-slot=lacking] li")
    assert "\u202e" in lacking.get_attribute("textContent")
    assert not browser.execute_script(TURNED, lacking)


@pytest.mark.parametrize("width", [1280, 400])
def test_no_page_has_barriers_or_breaks(browser, address, pages, width) -> None:
    found: dict[str, list[str]] = {}
    with screen(browser, width):
        for name, path in pages.items():
            visit(browser, address, path)
            said = faults(browser, address, width)
            found[name] = [one for one in said if "404" not in one or name != "not found"]
    assert {name: said for name, said in found.items() if said} == {}
