"""One contract for every engine: transformers, vLLM in this process and vLLM as a server."""

import pytest

pytest.register_assert_rewrite("tests.vllm.contract")
