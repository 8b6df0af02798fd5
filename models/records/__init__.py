"""The records that figures and pages read: frozen dataclasses of numpy arrays and numbers."""
