"""The hidden attention of a selective scan in Triton: mean |alpha| over channels, and alpha u.

alpha_ij = sum_n C_i[n] exp(A[c,n] (s_i - s_j)) dt_j[c] B_j[n] with s the cumulative sum of dt. In a tile of rows I and
columns J left of them, with r the first s of the rows, exp(A (s_i - r)) and exp(A (r - s_j)) are both at most 1: the
exponentials number (rows + columns) n per channel, and a product of (T, n) with (n, T) gives alpha. Tiles on the
diagonal take exp of every difference. s is summed in float64, so that differences of large sums keep float32 accuracy.
The mean is summed in a fixed order; alpha u is added up atomically, so its last bits depend on the run.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, assignment"

import torch
import triton
import triton.language as tl
from torch import Tensor

from seqops.gpu import tuning
from seqops.gpu.tiles import BUILD, LOG2_E, on_device


def hidden_attention_summary(dt: Tensor, A: Tensor, B: Tensor, C: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Apply and summarise the hidden attention over all channels without keeping the channels' matrices.

    dt, u (l, d), A (d, n), B, C (l, n) of one sequence, without gradients. Returns the mean over channels of |alpha|
    (l, l) and alpha u (l, d), both float32.
    """
    with torch.no_grad():
        (l, d), n = dt.shape, A.shape[1]
        T = tuning.HIDDEN["tile"]
        tiles = triton.cdiv(l, T)
        step, value = dt.float().T.contiguous(), u.float().T.contiguous()  # (d, l)
        total = torch.cumsum(step.double(), dim=1)
        arrays = [total, step, value, A.float().contiguous(), B.float().contiguous(), C.float().contiguous()]
        y = torch.zeros(d, l, device=dt.device)
        wanted = tuning.HIDDEN["programs"] * tuning.multiprocessors(dt.device)
        split = max(1, min(triton.cdiv(2 * wanted, tiles * tiles), d, 64))
        diagonal_split = max(1, min(triton.cdiv(wanted, tiles), d, 64))
        mean = torch.zeros(split, l, l, device=dt.device)
        blocks = torch.zeros(diagonal_split, tiles, T, T, device=dt.device)
        shape = {"n": n, "T": T, **BUILD}
        with on_device(dt):
            if tiles > 1:
                hidden_tile[tiles, tiles, split](
                    *arrays, mean, y, l, d, triton.cdiv(d, split),
                    N=max(16, tuning.power_of_two(n)),
                    num_warps=tuning.HIDDEN["warps"], num_stages=tuning.HIDDEN["stages"], **shape,
                )  # fmt: skip
            hidden_diagonal[tiles, diagonal_split](
                *arrays, blocks, y, l, d, triton.cdiv(d, diagonal_split),
                num_warps=tuning.HIDDEN["diagonal_warps"], **shape,
            )  # fmt: skip
        out = mean.sum(0) + torch.block_diag(*blocks.sum(0).unbind(0))[:l, :l]
        return out / d, y.T.contiguous()


@triton.jit
def hidden_tile(
    s, dt, u, A, B, C, mean, y, l, d, share,
    n: tl.constexpr, N: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Sum |alpha| over `share` channels for one tile left of the diagonal; s, dt, u, y are (d, l)."""
    I, J, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    if J < I:
        i, j, k = I * T + tl.arange(0, T), J * T + tl.arange(0, T), tl.arange(0, N)
        i_mask, k_mask = i < l, k < n
        mask = i_mask[:, None] & k_mask[None, :]
        Ci = tl.load(C + i[:, None] * n + k[None, :], mask=mask, other=0.0)
        Bj = tl.load(B + j[:, None] * n + k[None, :], mask=k_mask[None, :], other=0.0)
        total = tl.zeros((T, T), tl.float32)
        for c in range(part * share, tl.minimum(part * share + share, d)):
            row = tl.cast(c, tl.int64) * l
            rate = (tl.load(A + c * n + k, mask=k_mask, other=0.0) * LOG2_E)[None, :]
            reference = tl.load(s + row + I * T)
            since = (tl.load(s + row + i, mask=i_mask, other=0.0) - reference).to(tl.float32)
            since = tl.where(i_mask, since, 0.0)
            until = (reference - tl.load(s + row + j)).to(tl.float32)
            left = Ci * tl.exp2(rate * since[:, None])
            right = Bj * tl.load(dt + row + j)[:, None] * tl.exp2(rate * until[:, None])
            alpha = tl.dot(left, tl.trans(right), input_precision="ieee")
            total += tl.abs(alpha)
            tl.atomic_add(y + row + i, tl.sum(alpha * tl.load(u + row + j)[None, :], 1), mask=i_mask)
        out = mean + tl.cast(part, tl.int64) * l * l + i[:, None] * l + j[None, :]
        tl.store(out, total, mask=i_mask[:, None])


@triton.jit
def hidden_diagonal(
    s, dt, u, A, B, C, blocks, y, l, d, share,
    n: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Sum |alpha| over `share` channels for one tile on the diagonal, into blocks (parts, tiles, T, T)."""
    I, part = tl.program_id(0), tl.program_id(1)
    i = I * T + tl.arange(0, T)
    inside = i < l
    causal = (i[:, None] >= i[None, :]) & inside[:, None]
    total = tl.zeros((T, T), tl.float32)
    for c in range(part * share, tl.minimum(part * share + share, d)):
        row = tl.cast(c, tl.int64) * l
        at = tl.load(s + row + i, mask=inside, other=0.0)
        elapsed = tl.where(causal, (at[:, None] - at[None, :]).to(tl.float32), 0.0)
        alpha = tl.zeros((T, T), tl.float32)
        for k in range(n):
            rate = tl.load(A + c * n + k) * LOG2_E
            Ci = tl.load(C + i * n + k, mask=inside, other=0.0)
            Bj = tl.load(B + i * n + k, mask=inside, other=0.0)
            alpha += (Ci[:, None] * Bj[None, :]) * tl.exp2(rate * elapsed)
        alpha = tl.where(causal, alpha * tl.load(dt + row + i, mask=inside, other=0.0)[None, :], 0.0)
        total += tl.abs(alpha)
        out = tl.sum(alpha * tl.load(u + row + i, mask=inside, other=0.0)[None, :], 1)
        tl.atomic_add(y + row + i, out, mask=inside)
    place = tl.arange(0, T)
    at_block = (part * tl.num_programs(0) + I) * T * T + place[:, None] * T + place[None, :]
    tl.store(blocks + at_block, total)
