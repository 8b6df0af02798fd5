"""The page that sets models, or versions of a text, side by side."""
