"""The lab's character tokenizer: printable ASCII, the line break and three special tokens."""

import string

import transformers
from tokenizers import Tokenizer, decoders, models

END, PAD, UNKNOWN = "<|end|>", "<|pad|>", "<|unknown|>"

CHARACTERS = ["\n", *sorted(string.ascii_letters + string.digits + string.punctuation + " ")]


def build_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """One token a character. BPE without merges is exactly that, and every loader of tokenizer.json knows BPE."""
    vocabulary = {token: index for index, token in enumerate([END, PAD, UNKNOWN, *CHARACTERS])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([END, PAD, UNKNOWN])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
