"""Choose the environment variables of a worker: those that affect computation, and none that may hold a secret."""

import re
from collections.abc import Mapping

# To start, to find libraries and models, to reach a hub, and, on Windows, to run at all.
NAMES = frozenset(
    (
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH",
        "LD_PRELOAD", "VIRTUAL_ENV", "CONDA_PREFIX", "CONTEXTSCOPE_DATA", "CONTEXTSCOPE_DEVICE", "HF_HOME",
        "HF_ENDPOINT", "HF_XET_CACHE", "USE_HUB_KERNELS", "TOKENIZERS_PARALLELISM", "HTTP_PROXY", "HTTPS_PROXY",
        "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SYSTEMROOT",
        "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES",
        "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "NUMBER_OF_PROCESSORS",
    )
)  # fmt: skip
# To compute as the operator has set it.
PREFIXES = (
    "LC_", "XDG_", "PYTHON", "DYLD_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "NUMBA_",
    "TORCH", "PYTORCH_", "ATEN_", "TRITON_", "CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_", "TRANSFORMERS_", "HF_HUB_",
    "HUGGINGFACE_HUB_CACHE", "MALLOC_", "GLIBC_", "KINETO_", "PROCESSOR_",
)  # fmt: skip
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY", re.IGNORECASE)


def passed_on(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a worker gets. No CONTEXTSCOPE_DATABASE, which holds a password, and no HF_TOKEN."""
    return {
        name: value
        for name, value in variables.items()
        if name.upper() in NAMES or (name.upper().startswith(PREFIXES) and not _SECRET.search(name))
    }
