"""Stored probes are found by their key, and runs by theirs: a context's JSON never changes by itself."""

from typing import Any

import pytest

from gapcast.contract.contexts import KINDS
from gapcast.contract.probes import ProbeConfiguration
from gapcast.contract.training import TrainingConfiguration

MEASURED: dict[str, Any] = {
    "model": "m",
    "model_revision": "r",
    "task": "t",
    "task_revision": "tr",
    "template_version": "2",
    "decoding": {},
}
PROBE = {"problems": 16, "rollouts": 2, "seed": 3, "controls": []}

FROZEN: list[tuple[dict[str, Any], str, str]] = [
    (
        {"kind": "none"},
        "5a9a709dd610bcd5116eea0b4c69261b1e6081fd8a8d0aa29078a208553c2b49",
        "6e21c41640642349778fdf0dcac1cd61c174a424f4d7867c3717c1450e197574",
    ),
    (
        {"kind": "static"},
        "9cc40ad352a494a21dca8c0fe29393e0446229141d444ca4d4cfd777fed77e71",
        "8d0705a7e78e31fe005c8b4b4624609b8d2cec80ea7817b992c3435098d275ca",
    ),
    (
        {"kind": "static", "options": {"text": "Think."}},
        "194fd35d07aa1d26bb23720b3b6093518bef0d7d81079e0d59e530c7217ace38",
        "c5bffd31bbe54b0307911d9341b648a10515c89bcee178b696d60649ca84ebaa",
    ),
    (
        {"kind": "feedback", "options": {"max_cases": 2, "on_success": "none", "show_expected": True}},
        "ff585add300e58573b9c33141560509e07bd7c203489813f6d1b885d10cbb125",
        "4c7d3c2ed6b86c8b11dc8630d2ec798c7047b75258f2d0447508d4bcec34f0a5",
    ),
    (
        {"kind": "hints"},
        "070d07906944139ef67339d994d49ea0872ceae0ea723308dc80fdb65383ab67",
        "681e4a93042a5bc4b6e2d00bc0617b663a1cc339ba4117ef3b4af7e2ad55a05d",
    ),
    (
        {"kind": "hints", "options": {"level": 2, "corruption": {"rate": 1, "coverage": 0.5}}},
        "88a71ea6d02843964075b02a9340cb8cf072d5a0c542b74f6b2bde29569b7c29",
        "be337b9cb3d1f191fa64a7999811f40646f2cb83e72fb73d2712834d18aeaeb8",
    ),
    (
        {"kind": "hints", "options": {"source": "model"}},
        "c253f2fca9ae5492b9a1efa96bd5dfd2330337398797921aa6c1d68d808f6649",
        "57229dd7538af735b5e248c03a8980279753b29964719aec659909c20b7dc10b",
    ),
    (
        {"kind": "peer_solution", "options": {"strip_thinking": False}},
        "b66680c8df1a54fdcaa802d8428dd0908818fbfaf90a2534987fc1b3ad9fabfb",
        "eb443ed02b24b8b1cf1baaf236d5bb89aef9103121e64782857ee66d778747d3",
    ),
    (
        {"kind": "reference_solution"},
        "ed16e3a2adae161803d5b40bbc346a82e27e0d38f0d6e097843d727692343817",
        "baf32ad5b78a3417e591f6d69f84063c82ba7aa41ceed1f0a2a3eac0ab34d0ba",
    ),
    (
        {"kind": "reference_solution", "options": {"corruption": {"rate": 0.5}}},
        "1bec4f2ca2ac646c27cd67a0eabba88491eae7bafd0dedb45bf8aece9a630ea1",
        "05079ec5925642d6fb13850a1b37495181eb876087eada30da658c701679ca9e",
    ),
    (
        {"kind": "all", "options": {"feedback_with_solution": True, "max_cases": 3}},
        "a0f6b4e8bf44b72b9bb518f2951ca6ec8e6fdf2e90ec3fbccf85f4b9aab28331",
        "b5b04aa819a1b8e77bff5a5b6f73fe5955e74f8b41e34b83c20176d9b8c48918",
    ),
    (
        {"kind": "column"},
        "a1294c31a2ce62117c0a9c990b13fcb68519d473849e1d732b957784626c6b35",
        "d02537c66f8f4233d14cecc98c000b845ea22e0abe3da00d13aaf4b35d29db5a",
    ),
    (
        {"kind": "placebo"},
        "bafbf297e0ad465814c1dfb36f6e8c171ba881e76049b1eca407ec756456d095",
        "9e03d7e77a17d9d0e88b84edee037b7c66db994942e9e5f247caa7cbfd60d508",
    ),
    (
        {
            "kind": "placebo",
            "options": {
                "of": "hints",
                "options": {"level": 1, "corruption": {"coverage": 0.5}},
                "corruption": {"coverage": 0.75},
            },
        },
        "c474749833d7ef3801ec695edacc8c5b0496b7612cccfbc1ef648b2fe9c04b5c",
        "5a192030208f7c2dd890d6a55569b1cee061fa617184c8a5f76057757d4bc3b7",
    ),
    (
        {"kind": "placebo", "options": {"of": "all"}},
        "cf172366fd3c888d6123995fdc6410cd561385ed79977a4a362be5231e0d7700",
        "d763f4205cf3a4065a093e83d7404fb66575a3ba3fc7b389d5aa7db9609d7546",
    ),
    (
        {"kind": "shuffled_feedback", "options": {"max_cases": 2}},
        "d1cbcaf841c008f9b4ca91fbd801a8ab72b348fececb08f9d1e8815fc572fd6a",
        "95f21806807bc68a6185db7685d0c99a85e9db3dbdd456dfb7cceb4902013d0b",
    ),
]
"""A context, and the keys of a probe and of a run with it."""


@pytest.mark.parametrize(("context", "probe", "run"), FROZEN, ids=range(len(FROZEN)))
def test_the_keys_are_frozen(context: dict[str, Any], probe: str, run: str) -> None:
    measured = MEASURED | {"context": context}
    assert ProbeConfiguration.model_validate(measured | PROBE).key == probe
    assert TrainingConfiguration.model_validate(measured | {"recipe": {}}).key == run


def test_every_kind_that_is_stored_has_a_frozen_key() -> None:
    assert {context["kind"] for context, _, _ in FROZEN} == set(KINDS)
