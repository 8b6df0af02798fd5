"""The limits of a prompt: in tokens for a forward pass, in characters for input."""

# All figures of a page read one record, which holds maps of tokens by tokens for every head: at 256 tokens these can be
# read and a page answers at once. The limit lies within the training windows of the bundled models, 512 tokens in their
# cards, so a bundled model meets no position that it has not seen. A model with fewer positions takes fewer tokens.
PROMPT_TOKENS = 256
PROMPT_CHARACTERS = 4_000  # that an address carries; some 15 for each token
BOX_CHARACTERS = 100_000  # that the text box keeps; what is read of them is cut by tokens
GRADIENT_TOKENS = 128  # of a text whose gradient rows are all computed; of a longer one those that are asked for
