"""vLLM as a server that somebody else runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gapcast.contract.measured import ModelOptions
from tests.vllm.contract import ChatContract, EngineContract
from tests.vllm.server import serve
from workers.engines import Engine, ModelSource, load_engine
from workers.failures import JobError

KEY = "a-key-that-only-this-test-knows"


def connected(url: str, served_as: str = "served", key: str | None = KEY, **options: int) -> Engine:
    source = ModelSource("test/model", url=url, served_as=served_as, api_key=key)
    return load_engine("auto", source, "pinned", ModelOptions(**options))


class TestServer(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def url(cls, plain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        with serve(plain_folder, tmp_path_factory.mktemp("server") / "log", "--api-key", KEY) as url:
            yield url

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, url: str) -> Iterator[Engine]:
        engine = connected(url)
        yield engine
        engine.close()

    def test_the_context_can_be_made_shorter(self, url: str) -> None:
        engine = connected(url, max_model_len=64)
        assert engine.context_length == 64
        engine.close()

    def test_a_model_that_is_not_served_is_told(self, url: str) -> None:
        with pytest.raises(JobError, match="'served', not 'other'") as failure:
            connected(url, served_as="other")
        assert failure.value.code == "model_not_found"

    def test_a_wrong_key_is_told_as_the_server_does(self, url: str) -> None:
        with pytest.raises(JobError, match="401: Unauthorized") as failure:
            connected(url, key="another")
        assert failure.value.code == "server_refused"
        assert "another" not in failure.value.message


class TestServerChat(ChatContract):
    @pytest.fixture(scope="class")
    @classmethod
    def chat_engine(cls, chat_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
        with serve(chat_folder, tmp_path_factory.mktemp("server") / "log") as url:
            engine = connected(url, key=None)
            yield engine
            engine.close()


def test_a_server_with_processed_log_probabilities_is_refused(plain_folder: Path, tmp_path: Path) -> None:
    with (
        serve(plain_folder, tmp_path / "log", "--logprobs-mode", "processed_logprobs") as url,
        pytest.raises(JobError, match="raw_logprobs") as failure,
    ):
        connected(url, key=None)
    assert failure.value.code == "engine_incompatible"
