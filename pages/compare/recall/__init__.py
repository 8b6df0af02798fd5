"""The recall page and its parts: recorded and live accuracy, one question, expectations."""
