"""Networks in use answer what the trained ones do."""

import numpy as np
import pytest
import torch
from torch import nn

from SpineLandmarksLib.model.fused import FusedConv, fuse
from SpineLandmarksLib.model.networks import CornerNet, LocatorNet


def _lively(network: nn.Module) -> nn.Module:
    """Random statistics and linear layers: fresh batch norms do nothing, some layers start at zero, and folding them would
    prove nothing."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.running_var, 0.5), (module.weight, 0.5), (module.running_mean, -0.5), (module.bias, -0.5)):
                tensor.data.copy_(low + torch.rand(tensor.shape, generator=generator))
            module.running_var *= 0.1  # as weak as fresh convolutions leave the signal: it must reach the last layer
        elif isinstance(module, nn.Linear):
            module.weight.data.copy_(torch.rand(module.weight.shape, generator=generator) - 0.5)
    return network.eval()


@pytest.mark.parametrize(
    ("build", "shape"),
    [(LocatorNet, (2, 3, 448, 256)), (CornerNet, (3, 3, 144, 144)), (CornerNet, (1, 3, 128, 112)), (CornerNet, (1, 3, 100, 60))],
)
def test_fused_network_is_the_network(build, shape):
    torch.manual_seed(2)
    network = _lively(build())
    x = torch.randn(shape)
    with torch.inference_mode():
        wanted = network(x)
        got = fuse(network)(x)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.Conv2d) for m in network.modules())
    for a, b in zip(*(vars(o).values() if hasattr(o, "presence") else (o,) for o in (wanted, got))):
        assert float(a.std()) > 0
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-3 * float(a.abs().max()))


def test_fused_convolution_without_the_cpu_kernel(monkeypatch):
    torch.manual_seed(3)
    conv = FusedConv(nn.Conv2d(4, 6, 3, padding=1), None)
    x = torch.randn(1, 4, 10, 12)
    with_kernel = conv(x)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    torch.testing.assert_close(conv(x), with_kernel)
