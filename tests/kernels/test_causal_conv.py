"""The causal convolution: fast equals reference, and both equal torch's grouped convolution."""

import pytest
import torch
import torch.nn.functional as F
from seqops.causal_conv import causal_conv_fast, causal_conv_ref


@pytest.mark.parametrize("l", (1, 2, 7, 63))
@pytest.mark.parametrize("bias", (True, False))
def test_three_ways_agree(l: int, bias: bool) -> None:
    g = torch.Generator().manual_seed(l)
    x = torch.randn(2, l, 5, generator=g, dtype=torch.float64)
    weight = torch.randn(5, 4, generator=g, dtype=torch.float64)
    b = torch.randn(5, generator=g, dtype=torch.float64) if bias else None
    grouped = F.conv1d(x.transpose(1, 2), weight[:, None], b, padding=3, groups=5)[..., :l].transpose(1, 2)
    assert torch.allclose(causal_conv_ref(x, weight, b), grouped, rtol=1e-12)
    assert torch.allclose(causal_conv_fast(x, weight, b), grouped, rtol=1e-12)
