"""Real models of four architectures, and the records that figures draw: load, trace, step, count, measure, train."""

import os
import sys

from models.machine import scratch
from models.machine.paths import ROOT

# kernels/ has no __init__.py (the PyPI package `kernels` must stay importable for transformers), so the one package in
# it is put on the path here, once, for the app, the command line and the benchmark workers alike.
_KERNELS = str(ROOT / "kernels")
if _KERNELS not in sys.path:
    sys.path.append(_KERNELS)

# Before any numba and torch: on a read-only disk they would refuse to start.
scratch.choose()

# Before any torch: it numbers GPUs as the driver does, so that names, memory and locks are those of the right one.
os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
