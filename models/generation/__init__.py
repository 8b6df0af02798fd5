"""The distribution over the next token, and text that a model writes on by drawing from it, token by token."""
