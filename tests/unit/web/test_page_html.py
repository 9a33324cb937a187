import re
from typing import Any, get_args

import pytest

from gapcast.contract.contexts import KINDS, Corruption, context_of
from gapcast.contract.measured import EngineName
from gapcast.contract.probes import ProbeSize, controls_of
from gapcast.contract.recipes import Recipe
from service.web import static_directory
from tests.support.markup import Elements
from tests.support.rows import run

NASTY = '</script><script>alert("model")</script>'
OURS = sorted([*static_directory.glob("*.js")])


def can_have(kind: str, control: Any) -> bool:
    try:
        return control in controls_of(context_of({"kind": kind}), [control])
    except ValueError:
        return False


class TestPage:
    def test_nothing_is_inline(self, refusing) -> None:
        page = Elements(refusing.get("/").text)
        assert page.inline == ""
        assert not page.named("style")
        for tag, attributes in page.tags:
            assert "style" not in attributes, tag
            assert not [name for name in attributes if name.startswith("on")], tag

    def test_everything_comes_from_this_server_and_is_there(self, refusing) -> None:
        page = Elements(refusing.get("/").text)
        sources = [one["src"] for one in (*page.named("script"), *page.named("img"))]
        sources += [one["href"] for one in page.named("link")]
        assert len(sources) >= 7
        for source in sources:
            assert source.startswith("/static/")
            assert refusing.get(source).status_code == 200, source

    def test_what_comes_in_by_the_address_is_escaped(self, refusing) -> None:
        text = refusing.get("/", params={"pool": '"><script>alert(1)</script>'}).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text

    def test_every_input_has_a_label(self, refusing) -> None:
        page = Elements(refusing.get("/").text)
        labelled = {one["for"] for one in page.named("label")}
        inputs = [one["id"] for tag in ("input", "select", "textarea") for one in page.named(tag)]
        assert len(inputs) > 12
        assert set(inputs) <= labelled

    def test_every_described_by_and_error_place_exists(self, refusing) -> None:
        page = Elements(refusing.get("/").text)
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        named = [attributes["aria-describedby"] for _, attributes in page.tags if "aria-describedby" in attributes]
        assert {one for names in named for one in names.split()} <= set(ids)
        places = {attributes["data-error"] for _, attributes in page.tags if "data-error" in attributes}
        assert {"model.name", "task", "context.kind", "probe.problems", "probe.controls", "recipe.steps"} <= places

    def test_every_option_of_every_context_kind_has_an_input(self, refusing) -> None:
        page = Elements(refusing.get("/").text)
        names = {one.get("name") for tag in ("input", "select", "textarea") for one in page.named(tag)}
        options = {name for context in KINDS.values() for name in context.options_class().model_fields}
        of_itself = {"corruption", "options"}
        wanted = {f"context.options.{name}" for name in options - of_itself}
        wanted |= {f"context.options.corruption.{name}" for name in Corruption.model_fields}
        assert wanted == {name for name in names if name is not None and name.startswith("context.options.")}

    def test_controls_are_offered_to_the_kinds_that_can_have_them(self, refusing) -> None:
        page = Elements(refusing.get("/").text)
        groups = [one["data-kinds"] for one in page.named("div") if "data-kinds" in one]
        boxes = [one for one in page.named("input") if one.get("name") == "probe.controls"]
        offered = {box["value"]: set((kinds or "").split()) for box, kinds in zip(boxes, groups, strict=True)}
        assert offered == {name: {kind for kind in KINDS if can_have(kind, name)} for name in offered}
        assert set(offered) == {"placebo", "shuffled_feedback"}
        assert [box["value"] for box in boxes if "checked" in box] == ["placebo"]

    def test_defaults_and_limits_are_those_of_the_api(self, refusing) -> None:
        page = Elements(refusing.get("/").text)
        inputs = {one["name"]: one for one in page.named("input") if "name" in one}
        problems_input = inputs["probe.problems"]
        assert int(problems_input["value"]) == ProbeSize().problems
        assert (problems_input["min"], problems_input["max"]) == ("2", "100000")
        assert inputs["probe.seed"]["max"] == str(2**32 - 1)
        assert (inputs["recipe.learning_rate"].get("value", ""), Recipe().learning_rate) == ("", None)
        assert inputs["recipe.learning_rate"]["step"] == "any"
        assert "required" not in inputs["context.options.level"]
        half_width = inputs["probe.target_half_width"]
        assert (half_width["min"], half_width["max"], half_width["data-scale"]) == ("0", "100", "100")
        assert "required" not in half_width
        assert "checked" in inputs["context.options.strip_thinking"]
        assert "checked" not in inputs["context.options.show_expected"]
        values = [one["value"] for one in page.named("option") if "value" in one]
        assert set(get_args(EngineName)) | {"peer", "reference", "privileged_context"} <= set(values)
        chosen = [one["value"] for one in page.named("option") if "selected" in one]
        filled = ["hints", "reference_solution", "privileged_context", "task", "feedback", "auto"]
        assert chosen == [*filled, Recipe().divergence, Recipe().teacher]


class TestFilledForm:
    def test_it_begins_with_the_configuration_of_a_prediction(self, client) -> None:
        asked = {
            "model": "lab/addition-qwen3-m",
            "task": "lab/addition",
            "context": {"kind": "placebo", "options": {"of": "hints", "options": {"level": 2}}},
            "probe": {"problems": 64, "target_half_width": 0.29, "controls": [], "engine": "transformers"},
            "decoding": {"temperature": 0.7},
            "recipe": {"steps": 20, "teacher": "ema"},
            "pool": "default",
        }
        made = client.post("/v1/predictions", json=asked)
        assert made.status_code == 202, made.text
        page = Elements(client.get("/", params={"like": made.json()["id"]}).text)
        inputs = {one["name"]: one for one in page.named("input") if "name" in one}
        wanted = {
            **{"context.options.level": "2", "probe.problems": "64", "probe.target_half_width": "29"},
            **{"decoding.temperature": "0.7", "decoding.max_tokens": "", "recipe.steps": "20"},
            **{"training.problems": "", "recipe.learning_rate": "0.0005", "pool": "default"},
        }
        assert {name: inputs[name]["value"] for name in wanted} == wanted
        assert not [one for one in page.named("input") if one.get("name") == "probe.controls" and "checked" in one]
        chosen = [one["value"] for one in page.named("option") if "selected" in one]
        assert {"lab/addition-qwen3-m", "lab/addition", "placebo", "hints", "transformers", "ema"} <= set(chosen)
        assert client.get("/", params={"like": "pred_1"}).status_code == 404

    def test_a_long_text_is_in_it_whole_and_as_text(self, client) -> None:
        text = f"\nTake care.\n{NASTY}</textarea>"
        asked = {
            "model": "lab/addition-qwen3-m",
            "task": "lab/addition",
            "context": {"kind": "static", "options": {"text": text}},
        }
        made = client.post("/v1/predictions", json=asked)
        assert made.status_code == 202, made.text
        whole = client.get("/", params={"like": made.json()["id"]}).text
        assert "<script>alert" not in whole
        shown = Elements(whole).whole_text_of("textarea")
        assert shown == f"\n{text}", "a browser leaves out the first line break"


class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/law", "/static/figures.js", "/static/vendor/vega.min.js"])
    def test_pages_and_files_carry_them(self, refusing, path) -> None:
        headers = refusing.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert not {"script-src", "style-src", "connect-src"} & set(policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


class TestChart:
    def test_hostile_text_is_data_and_stays_whole(self, client) -> None:
        rows = [run(external_id="1", model=NASTY, excluded=True, excluded_reason=NASTY)]
        client.post("/v1/observations", params={"pool": "team"}, json={"observations": rows})
        client.get("/v1/fits/current", params={"pool": "team"})
        asked = {
            **{"model": {"name": NASTY, "family": NASTY}, "task": "t", "context": {"kind": "hints"}, "pool": "team"},
            "gap": {"value": 0.1, "se": 0.02, "student": 0.4},
        }
        made = client.post("/v1/predictions", json=asked).json()
        response = client.get("/web/chart.json", params={"prediction": made["id"]})
        assert response.headers["content-type"] == "application/json"
        assert "default-src 'self'" in response.headers["content-security-policy"]
        content = response.json()
        assert set(content) == {"spec", "message"}
        [row] = content["spec"]["datasets"]["observations"]
        assert (row["model"], row["note"]) == (NASTY, f"no, excluded: {NASTY}")
        assert content["spec"]["datasets"]["prediction"][0]["label"] == f"hints, {NASTY}"

    def test_an_unknown_prediction_is_a_problem(self, client) -> None:
        response = client.get("/web/chart.json", params={"prediction": "pred_unknown"})
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/law", "/law/about?pool=x&fit=x", "/law/scatter.json?pool=x&fit=x", "/web/chart.json?prediction=x"),
        *("/web/run.json?run=x", "/probes/x", "/external_runs/x", "/predictions/x", "/training_runs/x"),
        *("/comparisons/x", "/recommendations/x"),
    ],
)
def test_a_key_is_asked_for_where_the_api_asks(client, path) -> None:
    client.app.state.api_key_digest = b"0" * 32
    response = client.get(path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_scripts_make_no_markup_from_text(path) -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment"
    code = r"\beval\(|new Function|setAttribute\(\"(style|on)"
    forbidden = f"{markup}|{code}"
    assert not re.search(forbidden, path.read_text())
    # what the server has rendered and escaped is the only markup that comes in
    assert ("DOMParser" in path.read_text()) == (path.name == "live.js")
