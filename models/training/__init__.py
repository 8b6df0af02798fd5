"""Training of the bundled checkpoints: corpus, tokenizer, recipe; reproducible from one command and a seed."""
