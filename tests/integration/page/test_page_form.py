"""The form: what it sends for each context kind, and what comes of it."""

import json
import re
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from gapcast import Client
from gapcast.contract.contexts import context_of
from tests.support.browser import complaints, read, text, wait_for

CORRUPTION = {"corruption.rate", "corruption.coverage"}
FEEDBACK = {"max_cases", "show_expected", "on_success"}
ALL = {*FEEDBACK, "strip_thinking", "feedback_with_solution"}
WRONG = {"corruption": {"rate": 0.25, "coverage": 0.5}}
CONTENT = ["placebo"]

Chosen = dict[str, str | bool]
CASES: list[tuple[str, Chosen, set[str], dict[str, Any], list[str]]] = [
    ("none", {}, set(), {}, []),
    ("static", {"text": "Take care."}, {"text", *CORRUPTION}, {"text": "Take care."}, CONTENT),
    ("static", {}, {"text", *CORRUPTION}, {"text": None}, CONTENT),
    (
        "feedback",
        {"max_cases": "3", "show_expected": True, "on_success": "none"},
        {*FEEDBACK, *CORRUPTION},
        {"max_cases": 3, "show_expected": True, "on_success": "none"},
        CONTENT,
    ),
    (
        "hints",
        {"level": "2", "corruption.rate": "0.25", "corruption.coverage": "0.5"},
        {"source", "level", *CORRUPTION},
        {"level": 2, **WRONG},
        CONTENT,
    ),
    (
        "hints",
        {"level": "2", "source": "model", "extract_from": "reference"},
        {"source", "extract_from", *CORRUPTION},
        {"source": "model", "extract_from": "reference"},
        CONTENT,
    ),
    ("peer_solution", {"strip_thinking": False}, {"strip_thinking", *CORRUPTION}, {"strip_thinking": False}, CONTENT),
    ("reference_solution", {"corruption.coverage": "0.5"}, CORRUPTION, {"corruption": {"coverage": 0.5}}, CONTENT),
    ("all", {"feedback_with_solution": True}, {*ALL, *CORRUPTION}, {"feedback_with_solution": True}, CONTENT),
    ("column", {}, {"column", *CORRUPTION}, {}, CONTENT),
    (
        "placebo",
        {"of": "hints", "level": "2", "corruption.coverage": "0.5"},
        {"of", "source", "level", *CORRUPTION},
        {"of": "hints", "options": {"level": 2}, "corruption": {"coverage": 0.5}},
        [],
    ),
    (
        "placebo",
        {"of": "all", "show_expected": True},
        {"of", *ALL, *CORRUPTION},
        {"of": "all", "options": {"show_expected": True}},
        [],
    ),
    ("shuffled_feedback", {"max_cases": "2"}, {*FEEDBACK, *CORRUPTION}, {"max_cases": 2}, []),
]
OPTIONS = "context.options."

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def columned(tmp_path_factory, address) -> str:
    """The name of an uploaded task with a column of contexts."""
    path = tmp_path_factory.mktemp("task") / "sums.jsonl"
    rows = [
        {"prompt": f"{number:03d}+001=", "answer": f"{number + 1:04d}", "privileged_context": "Add one."}
        for number in range(700)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with Client(address) as client:
        return client.tasks.create(path, "mine/sums", "exact", accept=True, max_tokens=16).name


def opened(browser: webdriver.Chrome, address: str) -> None:
    browser.get(address)
    WebDriverWait(browser, 20).until(lambda driver: text(driver, "#model-name-note"))


def choose(browser: webdriver.Chrome, name: str, value: str | bool) -> None:
    """Do what a person does with the input of this name."""
    field = browser.find_element(By.NAME, name)
    if isinstance(value, bool):
        if field.is_selected() != value:
            field.send_keys(Keys.SPACE)
    elif field.tag_name == "select":
        Select(field).select_by_value(value)
    else:
        field.clear()
        field.send_keys(value)


def asked(browser: webdriver.Chrome, address: str) -> dict[str, Any]:
    """Press the button; the prediction as the API shows it."""
    browser.find_element(By.ID, "predict").click()
    refused = (By.CSS_SELECTOR, "#form .error:not([hidden])")
    WebDriverWait(browser, 20).until(
        lambda driver: "/predictions/pred_" in driver.current_url or driver.find_elements(*refused)
    )
    assert not browser.find_elements(*refused), text(browser, "#form")
    prediction: dict[str, Any] = read(address, f"/v1/predictions/{browser.current_url.rpartition('/')[2]}")
    return prediction


@pytest.mark.parametrize(("kind", "chosen", "offered", "options", "controls"), CASES)
def test_each_context_kind_is_asked_for_with_what_it_takes(
    browser, address, columned, kind, chosen, offered, options, controls
) -> None:
    opened(browser, address)
    if kind == "column":
        choose(browser, "task", columned)
    choose(browser, "context.kind", kind)
    for name, value in chosen.items():
        choose(browser, OPTIONS + name, value)
    fields = browser.find_elements(By.CSS_SELECTOR, f"[name^='{OPTIONS}']")
    shown = {field.get_attribute("name").removeprefix(OPTIONS) for field in fields if field.is_displayed()}
    assert shown == offered
    choose(browser, "probe.problems", "512")
    choose(browser, "probe.rollouts", "128")
    with Client(address) as client:
        first = asked(browser, address)
        client.predictions.cancel(first["id"])
        assert first["request"]["context"] == context_of({"kind": kind, "options": options}).model_dump(mode="json")
        assert first["request"]["probe"]["controls"] == controls
        opened(browser, f"{address}/?like={first['id']}")
        assert browser.find_element(By.NAME, "decoding.max_tokens").get_attribute("value") == ""
        again = asked(browser, address)
        client.predictions.cancel(again["id"])
    assert again["id"] != first["id"]
    assert again["request"] == first["request"]
    assert complaints(browser) == []


def test_probe_and_decoding_are_sent_in_the_apis_units(browser, address) -> None:
    opened(browser, address)
    choose(browser, "context.kind", "feedback")
    for summary in browser.find_elements(By.CSS_SELECTOR, "#form summary"):
        summary.send_keys(Keys.ENTER)
    chosen = {
        "probe.problems": "512",
        "probe.rollouts": "128",
        "probe.seed": "7",
        "probe.target_half_width": "14",
        "probe.engine": "transformers",
        "decoding.temperature": "0.7",
        "decoding.max_tokens": "12",
    }
    for name, value in chosen.items():
        choose(browser, name, value)
    assert text(browser, "#probe-size") == "at most 65,536 rollouts per arm"
    placebo, shuffled = browser.find_elements(By.NAME, "probe.controls")
    for box in (placebo, shuffled):
        box.send_keys(Keys.SPACE)
    with Client(address) as client:
        found = asked(browser, address)
        client.predictions.cancel(found["id"])
    assert found["request"]["probe"] == {
        "problems": 512,
        "rollouts": 128,
        "seed": 7,
        "controls": ["shuffled_feedback"],
        "target_half_width": 0.14,
        "engine": "transformers",
        "samples": True,
        "needs": None,
    }
    decoding = found["request"]["decoding"]
    assert (decoding["temperature"], decoding["max_tokens"], decoding["thinking"]) == (0.7, 12, False)


def test_what_is_chosen_is_described(browser, address) -> None:
    opened(browser, address)
    assert text(browser, "#model-name-note") == "family lab-qwen3, 101K parameters, comes with Gapcast"
    assert text(browser, "#task-note") == "512 training problems, verifier exact"
    choose(browser, "task", "gapcast/functions")
    assert text(browser, "#task-note") == "90 training problems, verifier python tests"
    problems = browser.find_element(By.NAME, "probe.problems")
    assert (problems.get_attribute("value"), problems.get_attribute("max")) == ("90", "90")
    described = {one["kind"]: one["description"] for one in read(address, "/v1/context_kinds")["data"]}
    kinds = [one.get_attribute("value") for one in Select(browser.find_element(By.NAME, "context.kind")).options]
    assert kinds == list(described)
    for kind in kinds:
        choose(browser, "context.kind", kind)
        assert text(browser, "#context-kind-note") == described[kind].replace("`", "")


def test_what_a_model_cannot_do_is_not_offered(browser, address) -> None:
    opened(browser, address)
    for summary in browser.find_elements(By.CSS_SELECTOR, "#form summary"):
        summary.send_keys(Keys.ENTER)
    engine, thinking = (browser.find_element(By.NAME, name) for name in ("probe.engine", "decoding.thinking"))

    def engines() -> list[str | None]:
        return [one.get_attribute("value") for one in Select(engine).options if one.is_enabled()]

    assert engines() == ["auto", "transformers", "vllm"]
    assert not thinking.is_displayed()
    choose(browser, "probe.engine", "vllm")
    choose(browser, "model.name", "far/away")
    assert text(browser, "#model-name-note") == "family far, 8B parameters, on a vLLM server"
    assert engines() == ["auto", "vllm-server"]
    assert engine.get_attribute("value") == "auto"
    assert thinking.is_displayed()


def test_a_width_that_cannot_be_reached_is_said_beside_its_field(browser, address) -> None:
    opened(browser, address)
    choose(browser, "probe.target_half_width", "0.5")
    browser.find_element(By.ID, "predict").click()
    wait_for(browser, "#probe-target_half_width-error")
    said = text(browser, "#probe-target_half_width-error")
    assert said.startswith("expected more than ")
    assert "got 0.005" in said
    assert said.endswith("0.01 is 1 accuracy point.")
    assert browser.find_element(By.ID, "probe-target_half_width").get_attribute("value") == "0.5"
    complaints(browser)


def test_the_form_asks_without_javascript(browser, address) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
        assert browser.find_element(By.ID, "context-options-of").is_displayed(), "what does not apply is sent, too"
        choose(browser, "probe.problems", "512")
        choose(browser, "probe.rollouts", "128")
        found = asked(browser, address)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    with Client(address) as client:
        client.predictions.cancel(found["id"])
    assert found["request"]["context"] == context_of({"kind": "hints"}).model_dump(mode="json")
    assert found["request"]["probe"]["controls"] == CONTENT


WATCH = """window.seen = [];
const look = () => document.querySelectorAll("#progress p").forEach((line) => window.seen.push(line.textContent));
new MutationObserver(look).observe(document.getElementById("progress"), {childList: true, subtree: true});"""


def displayed(browser: webdriver.Chrome, selector: str) -> bool:
    return any(one.is_displayed() for one in browser.find_elements(By.CSS_SELECTOR, selector))


def answered(browser: webdriver.Chrome, address: str) -> dict[str, Any]:
    """Ask and wait for the answer; the prediction."""
    asked(browser, address)
    browser.execute_script(WATCH)
    wait_for(browser, "#answer, #answer-error", 120)
    assert browser.find_element(By.ID, "answer").is_displayed(), text(browser, "main")
    prediction: dict[str, Any] = read(address, f"/v1/predictions/{browser.current_url.rpartition('/')[2]}")
    return prediction


def test_peers_are_measured_and_read(browser, address) -> None:
    opened(browser, address)
    browser.find_element(By.NAME, "context.kind").send_keys("peer")
    choose(browser, "probe.problems", "512")
    found = answered(browser, address)
    seen = browser.execute_script("return window.seen")
    assert any(re.search(r"^[\d,]+ of [\d,]+ rollouts$", line) for line in seen), seen
    gap_so_far = re.compile(r"^Gap so far \S+ ± \S+ points, [\d,]+ problems$")
    assert any(gap_so_far.search(line) for line in seen), seen
    figures = found["probe"]
    net, share = figures["net_gap"], figures["contexts_missing"]
    assert text(browser, "[data-slot=net-gap]") == f"+{100 * net['value']:.1f} ± {100 * net['se']:.1f} points (± 1 SE)"
    assert re.search(r"\d ± \d.* points", text(browser, "[data-slot=control-placebo]"))
    assert not displayed(browser, "[data-slot=control-shuffled_feedback]")

    assert text(browser, "[data-slot=headroom]") == f"{100 * figures['covariates']['headroom']:.1f} points"
    solved = [f"{100 * one:.1f} % with {k}" for k, one in figures["covariates"]["pass_at_k"].items()]
    assert text(browser, "[data-slot=pass-at-k]") == ", ".join(solved)
    assert "nats a token" in text(browser, "[data-slot=log-ratio]")
    assert share > 0
    lost = f"{100 * share:.1f} % of rollouts: no other attempt of the group was right ("
    assert text(browser, "[data-slot=missing]").startswith(lost)
    assert text(browser, "[data-slot=truncated]")
    assert text(browser, "[data-slot=engine]").startswith("transformers ")
    assert not displayed(browser, "[data-slot=stopped]")
    assert text(browser, "[data-slot=cost-rollouts]") == f"{figures['cost']['rollouts_drawn']:,} drawn"
    assert "GPU" not in text(browser, "[data-part=cost]")
    assert complaints(browser) == []


def test_a_sequential_probe_says_what_stopped_it_and_what_it_reused(browser, address) -> None:
    opened(browser, address)
    choose(browser, "context.kind", "feedback")
    shuffled = browser.find_element(By.ID, "probe-controls-shuffled_feedback")
    shuffled.send_keys(Keys.SPACE)
    choose(browser, "probe.problems", "512")
    choose(browser, "probe.target_half_width", "14")
    found = answered(browser, address)
    assert text(browser, "[data-slot=control-shuffled_feedback]").endswith(" points (± 1 SE)")
    stopped = f"After {found['gap']['problems']} of 512 problems: the interval is as narrow as"
    assert text(browser, "[data-slot=stopped]").startswith(stopped)
    reused = found["probe"]["cost"]["rollouts_reused"]
    assert reused > 0
    assert text(browser, "[data-slot=cost-rollouts]").endswith(f" drawn, {reused:,} reused from earlier probes")


def test_a_gap_that_was_measured_elsewhere_shows_nothing_of_a_probe(browser, address) -> None:
    with Client(address) as client:
        given = client.predictions.create(
            {
                "model": {"name": "lab/addition-qwen3-s"},
                "task": "lab/addition",
                "context": {"kind": "all"},
                "gap": {"value": 0.2, "se": 0.02, "student": 0.4},
            }
        )
    browser.get(f"{address}/predictions/{given.id}")
    wait_for(browser, "#answer")
    for name in ("net-gap", "cost-probe", "cost-rollouts"):
        assert not displayed(browser, f"[data-slot={name}]"), name
    for name in ("controls", "probe"):
        assert not displayed(browser, f"[data-part={name}]"), name
    assert complaints(browser) == []
