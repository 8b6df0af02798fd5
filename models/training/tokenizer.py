"""Train the byte-level BPE tokenizer that the four bundled models share."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

START = "<|endoftext|>"  # leads every sequence and separates documents


def train(texts: Sequence[str], *, vocab: int) -> PreTrainedTokenizerFast:
    """Train a lossless byte-level BPE of vocab entries; each text counts with the same number of bytes."""
    budget = min(len(text.encode("utf-8")) for text in texts)
    samples = [text.encode("utf-8")[:budget].decode("utf-8", errors="ignore") for text in texts]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((line for sample in samples for line in sample.splitlines(keepends=True)), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, tokenizer.token_to_id(START))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=START, eos_token=START)
