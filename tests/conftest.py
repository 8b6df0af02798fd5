"""What every test shares: a missing word is an error, and the hub is never asked."""

import os

os.environ.setdefault("CONTEXTSCOPE_STRICT_WORDS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
