"""One forward pass, recorded: from a prompt to a ModelTrace."""
