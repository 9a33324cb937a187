import json
import shutil
from pathlib import Path

import pytest
import torch

from workers.engines import Sampling, checked_folder, folder_revision, model_folder
from workers.engines.folder import LAB_MODELS
from workers.engines.transformers import TransformersEngine
from workers.failures import JobError

MODEL = "lab/addition-qwen3-s"


class TestGenerate:
    def test_same_seed_same_samples_other_seed_other_samples(
        self, engine: TransformersEngine, sampling: Sampling
    ) -> None:
        prompts = ["123+456=", "700+001=", "Hints: 0_7_\n\n123+456="]
        first = engine.generate(prompts, 8, sampling, seed=3)
        torch.rand(17)  # whatever the process drew in between does not matter
        assert engine.generate(prompts, 8, sampling, seed=3) == first
        assert engine.generate(prompts, 8, sampling, seed=4) != first

    def test_leaves_the_process_random_state_alone(self, engine: TransformersEngine, sampling: Sampling) -> None:
        state = torch.get_rng_state()
        engine.generate(["1+1="], 2, sampling, seed=3)
        assert torch.equal(torch.get_rng_state(), state)

    def test_samples_come_back_in_the_prompts_order(self, engine: TransformersEngine) -> None:
        greedy = Sampling(temperature=0.0, top_p=1.0, max_tokens=8)
        prompts = ["Solution: 1111\n\n123+456=", "1+1=", "Solution: 0579\n\n123+456=", "555+111="]
        together = engine.generate(prompts, 2, greedy, seed=0)
        for prompt, group in zip(prompts, together, strict=True):
            assert [sample.text for sample in group] == [engine.generate([prompt], 1, greedy, seed=0)[0][0].text] * 2

    @pytest.mark.parametrize("temperature", [1.0, 2.0])
    def test_samples_follow_the_models_own_probabilities(self, engine: TransformersEngine, temperature: float) -> None:
        """No hidden top-k: the first token's frequencies are the softmax of the logits over the temperature."""
        prompt, draws = "407+382=0", 2000  # what follows is a digit that the model is not sure of
        with torch.inference_mode():
            logits = engine.model(input_ids=torch.tensor([engine.encode(prompt)])).logits[0, -1]
        p = (logits / temperature).softmax(-1)
        best = p.topk(2).indices.tolist()
        group = engine.generate([prompt], draws, Sampling(temperature, 1.0, max_tokens=1), seed=1)[0]
        for tokens in ([best[0]], best):
            expected = float(p[tokens].sum())
            assert expected < 0.98  # or nothing below would be seen
            share = sum(sample.token_ids[0] in tokens for sample in group) / draws
            assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / draws) ** 0.5)

    def test_truncation_is_said(self, engine: TransformersEngine) -> None:
        samples = engine.generate(["123+456="], 20, Sampling(temperature=1.0, top_p=1.0, max_tokens=3), seed=0)[0]
        assert all(sample.truncated and len(sample.token_ids) == 3 for sample in samples)
        whole = engine.generate(["123+456="], 20, Sampling(temperature=0.0, top_p=1.0, max_tokens=16), seed=0)[0]
        assert not any(sample.truncated for sample in whole)
        assert whole[0].token_ids[-1] == engine.tokenizer.eos_token_id

    def test_computes_in_float32_on_one_thread(self, engine: TransformersEngine) -> None:
        assert engine.fingerprint()["dtype"] == "float32"
        assert torch.get_num_threads() == 1


class TestFolder:
    @pytest.fixture
    def copied(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("workers.engines.folder.LAB_MODELS", tmp_path)
        target = tmp_path / "addition-qwen3-s"
        shutil.copytree(LAB_MODELS / "addition-qwen3-s", target)
        return target

    def test_a_changed_file_is_another_revision(self, copied: Path) -> None:
        revision = folder_revision(copied)
        assert checked_folder(MODEL, revision) == copied
        config = json.loads((copied / "config.json").read_text())
        (copied / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-5}))
        with pytest.raises(JobError) as failure:
            checked_folder(MODEL, revision)
        assert failure.value.code == "model_revision_mismatch"

    @pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "weights.pkl"])
    def test_files_that_carry_code_are_refused(self, copied: Path, name: str) -> None:
        (copied / name).write_text("")
        with pytest.raises(JobError) as failure:
            checked_folder(MODEL, folder_revision(copied))
        assert failure.value.code == "unsafe_model_file"
        assert name in failure.value.message

    @pytest.mark.parametrize("name", ["lab/missing", "other/model", "lab/../models/addition-qwen3-s", "lab/.", "lab/"])
    def test_only_the_lab_s_own_names_are_found(self, name: str) -> None:
        with pytest.raises(JobError) as failure:
            model_folder(name)
        assert failure.value.code == "model_not_found"
