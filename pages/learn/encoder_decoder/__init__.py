"""The page of the encoder-decoder."""
