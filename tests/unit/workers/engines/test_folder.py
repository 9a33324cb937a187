import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gapcast.launching import module_command, safe_environment
from service.listed_models import ModelEntry
from tests.vllm.models import LAB_MODEL, change, chat_model
from workers.engines import ModelSource, checked_folder, folder_revision, model_folder
from workers.failures import JobError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder(LAB_MODEL), tmp_path / "model"))


def refused(folder: Path, revision: str | None = None) -> JobError:
    with pytest.raises(JobError) as failure:
        checked_folder(ModelSource("my/model", path=folder), revision or folder_revision(folder))
    return failure.value


def accepted(folder: Path) -> bool:
    return checked_folder(ModelSource("my/model", path=folder), folder_revision(folder)) == folder


class TestRevision:
    def test_a_changed_file_is_another_revision(self, folder: Path) -> None:
        revision = folder_revision(folder)
        assert accepted(folder)
        change(folder / "config.json", rms_norm_eps=1e-5)
        error = refused(folder, revision)
        assert (error.code, error.category) == ("model_revision_mismatch", "server")

    def test_it_is_that_of_the_same_bytes_read_at_once(self, folder: Path) -> None:
        """What the lab's models are pinned to, whatever size the pieces have that are hashed."""
        import hashlib

        (folder / "large").write_bytes(os.urandom((1 << 20) + 17))
        digest = hashlib.sha256()
        for file in sorted(folder.iterdir()):
            content = file.read_bytes()
            digest.update(f"{file.name}\n{len(content)}\n".encode() + content)
        assert folder_revision(folder) == f"sha256:{digest.hexdigest()}"

    @pytest.mark.parametrize("name", ["lab/missing", "other/model", "lab/../models/addition-qwen3-s", "lab/.", "lab/"])
    def test_only_the_lab_s_own_names_are_found_without_a_path(self, name: str) -> None:
        with pytest.raises(JobError) as failure:
            checked_folder(ModelSource(name), "sha256:0")
        assert failure.value.code == "model_not_found"


class TestRefused:
    @pytest.mark.parametrize(
        "name",
        [
            *("modeling.py", "pytorch_model.bin", "weights.PKL", "a.pt", "a.pth", "a.ckpt"),
            *("vocab.pickle", "a.joblib", "a.dill", "modeling.cpython-311.pyc", "kernel.so"),
            *("adapter_config.json", "modules.json"),
        ],
    )
    def test_files_that_carry_code(self, folder: Path, name: str) -> None:
        (folder / name).write_text("{}")
        error = refused(folder)
        assert error.code == "unsafe_model_file"
        assert name in error.message

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("config.json", {"auto_map": {"AutoModelForCausalLM": "modeling.Model"}}),
            ("config.json", {"text_config": {"_attn_implementation": "somebody/kernels"}}),
            ("config.json", {"_attn_implementation_internal": "somebody/kernels"}),
            ("config.json", {"attn_implementation": "somebody/kernels"}),
            ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["somebody/else--tokenizer.Mine", None]}}),
            ("tokenizer_config.json", {"extra": [{"deep": {"trust_remote_code": True}}]}),
            ("generation_config.json", {"trust_remote_code": False}),
            ("config.json", {"speculators_config": {"verifier": {"name_or_path": "/another/model"}}}),
            ("config.json", {"transformers_weights": "original/model.safetensors"}),
            ("config.json", {"transformers_weights": 3}),
            ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.json", "../tokenizer.4.0.json"]}),
        ],
    )
    def test_keys_that_load_code_or_other_files(self, folder: Path, name: str, content: dict[str, Any]) -> None:
        change(folder / name, **content)
        error = refused(folder)
        assert error.code == "unsafe_model_file"
        assert name in error.message

    def test_a_key_that_loads_code_in_another_configuration(self, folder: Path) -> None:
        (folder / "preprocessor_config.json").write_text('{"auto_map": {}}')
        assert refused(folder).code == "unsafe_model_file"

    @pytest.mark.parametrize(
        ("index", "file"),
        [
            ("model.safetensors.index.json", "../outside/w.safetensors"),
            ("model.safetensors.index.json", "sub/w.safetensors"),
            ("model.safetensors.index.json", "..\\w.safetensors"),
            ("model.safetensors.index.json", ".."),
            ("model.safetensors.index.json", 1),
            ("model.safetensors.index.json", ["model.safetensors"]),
            ("model.safetensors.index.json", "config.json"),
            ("other.INDEX.json", "../w.safetensors"),
            ("pytorch_model.bin.index.json", "pytorch_model-1.bin"),
            ("my_config.index.json", "../w.safetensors"),
        ],
    )
    def test_an_index_of_files_that_are_not_hashed(self, folder: Path, index: str, file: object) -> None:
        (folder / "sub").mkdir()
        shutil.copy(folder / "model.safetensors", folder / "sub" / "w.safetensors")
        (folder / index).write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": file}}))
        error = refused(folder)
        assert error.code == "unsafe_model_file"
        assert index in error.message

    @pytest.mark.parametrize("content", [{}, {"weight_map": ["a"]}, {"weight_map": {"a": "gone.safetensors"}}])
    def test_an_index_of_nothing(self, folder: Path, content: dict[str, Any]) -> None:
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))
        assert refused(folder).code == "model_not_loadable"

    def test_an_index_of_the_folder_s_own_files_is_none(self, folder: Path) -> None:
        index = {"metadata": {}, "weight_map": {"a": "model.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        assert accepted(folder)

    def test_chat_templates_that_are_not_hashed(self, folder: Path) -> None:
        """transformers would take them in the place of the hashed one."""
        import transformers

        (folder / "additional_chat_templates").mkdir()
        (folder / "additional_chat_templates" / "default.jinja").write_text("another")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        assert "another" in str(tokenizer.chat_template)
        assert refused(folder).code == "unsafe_model_file"

    def test_a_link_out_of_the_folder(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "outside.txt").write_text("secret")
        (folder / "notes.txt").symlink_to(tmp_path / "outside.txt")
        assert refused(folder).code == "unsafe_model_file"

    def test_a_link_to_itself(self, folder: Path) -> None:
        (folder / "notes.json").symlink_to(folder / "notes.json")
        error = refused(folder, "sha256:0")
        assert (error.code, error.category) == ("model_not_loadable", "user")
        assert "notes.json" in error.message

    def test_a_pipe(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        assert refused(folder, "sha256:0").code == "unsafe_model_file"

    def test_no_folder(self, tmp_path: Path) -> None:
        assert refused(tmp_path / "nothing", "sha256:0").code == "model_not_found"

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_a_part_that_is_missing(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        error = refused(folder)
        assert (error.code, error.category) == ("model_not_loadable", "user")

    @pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, "\xff"])
    def test_a_configuration_that_is_no_object(self, folder: Path, content: str) -> None:
        (folder / "config.json").write_text(content, encoding="latin-1")
        assert refused(folder).code == "model_not_loadable"


class TestHuggingFaceCache:
    @pytest.fixture
    def snapshot(self, folder: Path, tmp_path: Path) -> Path:
        """The layout of the hub's cache: a snapshot of links to blobs."""
        model = tmp_path / "hub" / "models--some--model"
        snapshot = model / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        (model / "blobs").mkdir()
        for place, file in enumerate(folder.iterdir()):
            shutil.copy(file, model / "blobs" / str(place))
            (snapshot / file.name).symlink_to(Path("../../blobs") / str(place))
        return snapshot

    def test_its_links_are_followed(self, snapshot: Path, folder: Path) -> None:
        assert accepted(snapshot)
        assert folder_revision(snapshot) == folder_revision(folder)

    def test_into_another_model_they_are_not(self, snapshot: Path, tmp_path: Path) -> None:
        other = tmp_path / "hub" / "models--other--model"
        other.mkdir()
        (other / "notes").write_text("")
        (snapshot / "notes").symlink_to(other / "notes")
        assert refused(snapshot).code == "unsafe_model_file"

    def test_a_blob_that_is_missing_is_an_unfinished_download(self, snapshot: Path) -> None:
        (snapshot / "model.safetensors").resolve().unlink()
        error = refused(snapshot)
        assert error.code == "model_not_loadable"
        assert "download" in error.message


def test_other_folders_inside_are_neither_read_nor_refused(folder: Path) -> None:
    revision = folder_revision(folder)
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.00.pth").write_text("")
    assert accepted(folder)
    assert folder_revision(folder) == revision


class TestEntry:
    def inspect(self, folder: Path) -> subprocess.CompletedProcess[str]:
        command = module_command("workers.engines.folder", str(folder), "--name", 'my/"model"', "--family", "é")
        return subprocess.run(command, env=safe_environment(os.environ), capture_output=True, text=True)

    def test_it_fits_the_settings(self, tmp_path: Path) -> None:
        folder = chat_model(tmp_path / "a model")
        printed = self.inspect(folder)
        assert printed.stderr == ""
        (table,) = tomllib.loads(printed.stdout)["models"]
        entry = ModelEntry.model_validate(table)
        assert (entry.name, entry.family, entry.path) == ('my/"model"', "é", str(folder))
        assert (entry.parameters, entry.context_length) == (100992, 256)
        assert entry.chat_template is entry.thinking is True
        assert checked_folder(ModelSource(entry.name, path=folder), entry.revision) == folder

    def test_a_refusal_is_its_exit_status(self, folder: Path) -> None:
        (folder / "model.py").write_text("")
        printed = self.inspect(folder)
        assert (printed.returncode, printed.stdout) == (1, "")
        assert printed.stderr.startswith("unsafe_model_file: ")

    @pytest.mark.parametrize("length", [4, 100, 5000, 204_455])
    def test_a_torn_file_is_refused(self, folder: Path, length: int) -> None:
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:length])
        printed = self.inspect(folder)
        assert printed.returncode == 1
        assert printed.stderr.startswith("model_not_loadable: ")
