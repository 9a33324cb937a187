import re
from typing import Any, ClassVar, get_args

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
        fields = {"model.name", "task", "context.kind", "probe.problems", "probe.controls", "recipe.steps", "pool"}
        assert {f"{name.replace('.', '-')}-error" for name in fields} <= set(ids)

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
        ours = groups[-len(boxes) :]  # after those of the context's options
        offered = {box["value"]: set((kinds or "").split()) for box, kinds in zip(boxes, ours, strict=True)}
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
        assert (half_width["min"], half_width["max"]) == ("0", "100")
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


class TestAsking:
    SENT: ClassVar = {
        **{"model.name": "lab/addition-qwen3-s", "task": "lab/addition", "context.kind": "hints", "pool": "lab"},
        **{"probe.problems": "16", "probe.rollouts": "2", "probe.seed": "0", "probe.engine": "auto"},
        **{"recipe.steps": "20", "recipe.divergence": "forward_kl", "recipe.teacher": "frozen"},
        **{"decoding.temperature": "1", "context.options.source": "task"},
    }

    def test_what_is_sent_becomes_a_prediction(self, client) -> None:
        text = {"context.kind": "static", "context.options.text": "Take\r\ncare.", "context.options.level": "2"}
        shown = client.post("/", data=self.SENT | text | {"probe.target_half_width": "14"})
        [made] = client.get("/v1/predictions").json()["data"]
        assert (shown.status_code, shown.url.path) == (200, f"/predictions/{made['id']}")
        asked = made["request"]
        assert asked["context"]["options"]["text"] == "Take\ncare."
        assert "level" not in asked["context"]["options"], "another kind's"
        assert asked["probe"]["target_half_width"] == 0.14
        assert asked["probe"]["controls"] == []
        assert asked["decoding"]["thinking"] is False
        assert asked["training"] is not None

    def test_what_a_control_does_not_take_itself_is_an_option_of_its_kind(self, client) -> None:
        of = {"context.kind": "placebo", "context.options.of": "hints", "context.options.level": "2"}
        client.post("/", data=self.SENT | of | {"context.options.corruption.rate": "0.25", "probe.controls": "placebo"})
        [made] = client.get("/v1/predictions").json()["data"]
        options = made["request"]["context"]["options"]
        assert (options["of"], options["options"]["level"], options["corruption"]["rate"]) == ("hints", 2, 0.25)
        assert made["request"]["probe"]["controls"] == [], "a control has none"

    @pytest.mark.parametrize(
        ("wrong", "field", "said"),
        [
            ({"probe.problems": "1"}, "probe-problems", "2"),
            ({"probe.problems": "x"}, "probe-problems", "got 'x'"),
            ({"probe.seed": "9" * 400}, "probe-seed", "got "),
            ({"recipe.learning_rate": "inf"}, "recipe-learning_rate", "got "),
            ({"context.options.level": "99"}, "context-options-level", "got 99"),
            ({"model.name": "nobody/none"}, "model-name", "nobody/none"),
            ({"pool": "nothing"}, "pool", "'nothing'"),
            ({"probe.target_half_width": "0.001"}, "probe-target_half_width", "0.01 is 1 accuracy point."),
            (
                {"context.kind": "placebo", "context.options.of": "hints", "context.options.level": "99"},
                "context-options-level",
                "got 99",
            ),
        ],
    )
    def test_a_fault_stands_beside_its_field_and_what_was_sent_is_kept(self, client, wrong, field, said) -> None:
        shown = client.post("/", data=self.SENT | wrong)
        assert shown.status_code == 422
        page = Elements(shown.text)
        assert said in page.text_of(f"#{field}-error")
        [marked] = [attributes for _, attributes in page.tags if attributes.get("aria-invalid") == "true"]
        assert marked["id"] == field
        assert "autofocus" in marked
        assert not page.has("#form-error")
        assert page.attributes_of("#probe-rollouts")["value"] == "2"
        assert client.get("/v1/predictions").json()["data"] == []

    def test_a_fault_of_no_field_stands_above_the_form(self, client) -> None:
        kind = {"context.kind": NASTY}
        page = client.post("/", data={name: value for name, value in (self.SENT | kind).items() if name != "task"})
        assert page.status_code == 422
        assert "<script>alert" not in page.text
        assert Elements(page.text).text_of("#task-error")

    def test_another_site_cannot_ask(self, client) -> None:
        refused = client.post("/", data=self.SENT, headers={"sec-fetch-site": "cross-site"})
        assert refused.status_code == 403
        assert client.get("/v1/predictions").json()["data"] == []


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
