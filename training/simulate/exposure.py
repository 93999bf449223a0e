"""From path lengths to what a detector has counted: attenuation, scatter, blur and quantum noise.

The beam is two narrow ones, a soft and a hard one, which together harden in thick parts as a
polychromatic beam does.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..tasks.augment import blur

#: Energies in keV with the share of the beam, and attenuation per mm: water (NIST XCOM), what bone adds to
#: it at the densities of ICRP 110 (cortex 1.92 g/cm3, lumbar spongiosa 1.17), titanium (XCOM).
_BEAM = (
    {"share": 0.45, "water": 0.0227, "cortex": 0.046, "spongiosa": 0.0072, "metal": 0.55},  # 50
    {"share": 0.55, "water": 0.0184, "cortex": 0.026, "spongiosa": 0.0041, "metal": 0.19},  # 80
)

#: Layers of the projector.
BONE, METAL = range(2)
LAYERS = 2


def gaussian(picture: Tensor, sigma: float) -> Tensor:
    """(h, w) blurred by sigma pixels; wide blurs at a lower resolution, which they do not need."""
    shrink = max(1, int(sigma / 4))
    small = picture[None, None]
    if shrink > 1:
        small = torch.nn.functional.avg_pool2d(small, shrink, ceil_mode=True, count_include_pad=False)
    small = blur(small, np.array([sigma / shrink]))
    if shrink > 1:
        small = torch.nn.functional.interpolate(small, size=picture.shape, mode="bilinear", align_corners=False)
    return small[0, 0]


def expose(
    thickness: Tensor, crossings: Tensor, tissue: Tensor, pixel: float, heel: Tensor, rng: np.random.Generator, generator: torch.Generator
) -> Tensor:
    """Counts over those of the open beam, (h, w), from 0 to 1 and a little more.

    ``thickness`` and ``crossings``: (LAYERS, h, w) of the projector, mm; ``tissue``: water, mm; ``heel``:
    (h, w), intensity of the beam before the patient.
    """
    cortex, spongiosa = rng.uniform(0.45, 1.3), rng.uniform(0.6, 1.3)
    rough = torch.randn(tissue.shape, generator=generator, device=tissue.device)
    inner = thickness[BONE] * (1 + 0.12 * gaussian(rough, 0.6 / pixel))
    wall = cortex * crossings[BONE]
    through = sum(
        e["share"] * torch.exp(-e["water"] * tissue - spongiosa * e["spongiosa"] * inner - e["cortex"] * wall - e["metal"] * thickness[METAL])
        for e in _BEAM
    ) * heel
    scatter = rng.uniform(0.3, 1.2) * gaussian(through, 25 / pixel)
    photons = 10 ** rng.uniform(4.9, 6.5)
    # Focal spot and detector.
    seen = gaussian(through + scatter, rng.uniform(0.15, 0.5) / pixel) * photons
    return (torch.poisson(seen, generator=generator) + 1.0) / photons
