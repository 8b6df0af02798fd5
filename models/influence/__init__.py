"""What a prediction depends on, by experiment on the embeddings: gradients, and tokens that are replaced."""
