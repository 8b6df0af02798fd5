"""How the bundled checkpoints were made: corpus, tokenizer, recipe; reproducible from one command and a seed."""
