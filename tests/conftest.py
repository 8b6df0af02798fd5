"""What every test shares: a missing word is an error, the hub is never asked, a developer's own runs are never read."""

import os
import tempfile

os.environ.setdefault("CONTEXTSCOPE_STRICT_WORDS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
_data = tempfile.TemporaryDirectory(prefix="contextscope-tests-")  # removed when the tests end
os.environ["CONTEXTSCOPE_DATA"] = _data.name
