"""Give numba loops an exponential that LLVM can vectorise (libm's scalar one cannot be)."""

import numpy as np

from seqops.cpu.compiled import compiled

LOG2_E = np.float32(1.4426950408889634)
LN2_HI = np.float32(0.693359375)  # short enough that k * LN2_HI is exact for every |k| <= 127
LN2_LO = np.float32(-2.12194440e-4)
LOWEST = np.float32(-87.0)  # exp(-87) is the smallest power that stays a normal float32
HIGHEST = np.float32(88.0)

# Minimax coefficients of exp(r) on |r| <= ln(2)/2 (Cephes expf, S. Moshier).
P0 = np.float32(1.9875691500e-4)
P1 = np.float32(1.3981999507e-3)
P2 = np.float32(8.3334519073e-3)
P3 = np.float32(4.1665795894e-2)
P4 = np.float32(1.6666665459e-1)
P5 = np.float32(5.0000001201e-1)
HALF = np.float32(0.5)
ONE = np.float32(1.0)


@compiled(nogil=True, fastmath={"contract", "nnan", "ninf", "nsz"}, inline="always")
def exp_into(out, bits, x, n):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write exp(x[:n]) into out[:n] in float32.

    out and bits are scratch of length >= n; bits is the int32 array whose float32 view scales by 2^k.
    x may be out. Arguments below -87 give exp(-87) = 1.6e-38, so the relative error stays near 1e-7 above it.
    """
    scale = bits.view(np.float32)
    for i in range(n):
        xi = min(max(x[i], LOWEST), HIGHEST)
        k = np.floor(xi * LOG2_E + HALF)
        r = (xi - k * LN2_HI) - k * LN2_LO
        p = ((((P0 * r + P1) * r + P2) * r + P3) * r + P4) * r + P5
        out[i] = p * r * r + r + ONE
        bits[i] = (np.int32(k) + np.int32(127)) << np.int32(23)
    for i in range(n):
        out[i] *= scale[i]
