"""Films at hand: read when first asked for, kept as long as memory allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from SpineLandmarksLib.model.sampling import Pyramid

from ..labels import LabelledFilm


class Shelf:
    """``shelf[i]`` is film i's pyramid. The least recently used ones are put back on disk, so that a
    hospital's films need not fit into memory; ``budget`` is in bytes."""

    def __init__(self, films: Sequence[LabelledFilm], device: str = "cpu", budget: float = 6e9):
        self.films, self.device, self.budget = list(films), device, budget
        self._held: OrderedDict[int, Pyramid] = OrderedDict()
        self._bytes = 0

    def __getitem__(self, index: int) -> Pyramid:
        if index in self._held:
            self._held.move_to_end(index)
            return self._held[index]
        pyramid = Pyramid(self.films[index].load(), self.device)
        self._held[index] = pyramid
        self._bytes += _size(pyramid)
        while self._bytes > self.budget and len(self._held) > 1:
            self._bytes -= _size(self._held.popitem(last=False)[1])
        return pyramid


def _size(pyramid: Pyramid) -> int:
    return sum(level.numel() * level.element_size() for level in pyramid.levels)
