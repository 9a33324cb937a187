import importlib.util
import socket
import time

import pytest

from gapcast.contract.measured import EngineName, ModelOptions
from tests.vllm.models import LAB_MODEL
from workers.engines import ModelSource, folder_revision, load_engine, model_folder
from workers.failures import JobError

SOURCE = ModelSource(LAB_MODEL)


def refused(name: EngineName, source: ModelSource, revision: str = "") -> JobError:
    with pytest.raises(JobError) as failure:
        load_engine(name, source, revision or folder_revision(model_folder(LAB_MODEL)), ModelOptions())
    return failure.value


@pytest.mark.parametrize("name", ["auto", "transformers"])
def test_without_a_gpu_it_is_transformers(name: EngineName) -> None:
    engine = load_engine(name, SOURCE, folder_revision(model_folder(LAB_MODEL)), ModelOptions())
    assert engine.fingerprint()["engine"] == "transformers"
    engine.close()


def test_the_files_must_be_those_asked_for() -> None:
    assert refused("transformers", SOURCE, "sha256:0").code == "model_revision_mismatch"


def test_a_folder_is_no_server() -> None:
    error = refused("vllm-server", SOURCE)
    assert (error.code, error.param) == ("engine_not_available", "probe.engine")


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_vllm_that_is_not_installed_is_told() -> None:
    assert refused("vllm", SOURCE).code == "engine_not_available"


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    started = time.monotonic()
    error = refused("auto", ModelSource("my/model", url=url, api_key="a secret"))
    assert (error.code, error.category) == ("server_unreachable", "server")
    assert "a secret" not in error.message
    assert time.monotonic() - started < 120


@pytest.mark.parametrize("key", ["sk-secret\n", " sk-secret", "sk-secret ", "sk-sécret", "sk-sec\0ret", "sk-\rsecret"])
def test_a_key_that_cannot_be_sent_is_told_without_it(key: str) -> None:
    error = refused("auto", ModelSource("my/model", url="http://127.0.0.1:9/v1", api_key=key))
    assert (error.code, error.category) == ("server_unreachable", "server")
    assert "cannot be asked" in error.message
    assert "sk-" not in error.message
    assert "ret" not in error.message


def test_a_key_is_not_shown() -> None:
    assert "a secret" not in repr(ModelSource("my/model", url="http://x/v1", api_key="a secret"))
