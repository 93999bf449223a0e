"""Breaks film files at random and reads them: every case must end in a film or in one FilmError.

    python -m Testing.fuzz --cases 10000 --seed 1

Real files of every format are cut short, their bytes flipped, blocks overwritten, moved and doubled,
and numbers in their headers set to extremes (sizes of a decompression bomb among them). Cases run in
worker processes with limited memory; a worker that dies, hangs or runs out of memory is a failure,
and so is any exception but FilmError. What failed is kept in --keep for a look. Exit code 1 if any did.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

#: Address space of a worker, bytes: a small film needs far less, a bomb far more.
MEMORY = 6 << 30
#: Seconds for one case.
PATIENCE = 20
#: Films are small, so that thousands of cases fit into minutes.
SHAPE = (150, 120)


def seeds(folder: Path) -> list[Path]:
    """One good file of every kind that is read."""
    import SimpleITK as sitk
    from PIL import Image

    from .films import compress, picture, write_dicom, write_itk

    grey8, grey16 = picture(8, SHAPE), picture(16, SHAPE)
    rgb = np.stack([grey8] * 3, -1)
    files = [write_itk(folder / f"grey8.{kind}", grey8) for kind in ("png", "jpg", "tif", "bmp", "nrrd", "nii.gz")]
    files += [write_itk(folder / f"grey16.{kind}", grey16) for kind in ("png", "tif", "nii")]
    sitk.WriteImage(sitk.GetImageFromArray(grey16), str(folder / "packed.nrrd"), useCompression=True)
    files += [folder / "packed.nrrd", write_itk(folder / "rgb.png", rgb)]
    Image.fromarray(grey8).convert("LA").save(folder / "alpha.png")
    Image.fromarray(rgb).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(grey8 > 100).save(folder / "bit.png")
    files += [folder / name for name in ("alpha.png", "cmyk.jpg", "bit.png")]
    raw = write_dicom(folder / "raw.dcm", grey16, PixelSpacing=[0.2, 0.2], ImagerPixelSpacing=[0.25, 0.25])
    files += [raw, write_dicom(folder / "inverted.dcm", grey16, "MONOCHROME1"), write_dicom(folder / "colour.dcm", rgb, "RGB", 8)]
    files += [compress(raw, folder / f"{name}.dcm", name) for name in ("JPEG", "JPEG2000")]
    return files


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four random injuries; most of them near the front, where headers are."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        n = len(out)
        if n < 8:
            break
        at = int(n * rng.random() ** rng.choice([1, 4]))
        length = int(min(n - at, rng.choice([1, 2, 4, 16, 256])))
        kind = rng.integers(7)
        if kind == 0:
            out[at : at + length] = rng.bytes(length)
        elif kind == 1:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del out[at:]
        elif kind == 3:
            number = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xEA60, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
            size = int(rng.choice([1, 2, 4]))
            out[at : at + size] = (number & ((1 << 8 * size) - 1)).to_bytes(size, str(rng.choice(["little", "big"])))
        elif kind == 4:
            del out[at : at + length]
        elif kind == 5:
            out[at:at] = out[at : at + length] * int(rng.integers(1, 4))
        else:
            # A number written as text, as in NRRD headers and DICOM strings.
            digits = [i for i in range(min(n, 2000)) if 48 <= out[i] <= 57]
            if digits:
                spot = int(rng.choice(digits))
                out[spot : spot + 1] = bytes(str(rng.choice(["9999999999", "-1", "0", "60000", "nan", ""])), "ascii")
    return bytes(out)


def _work(tasks, results) -> None:
    """Read the files that are named until there are no more."""
    from SpineLandmarksLib import films
    from SpineLandmarksLib.core.radiograph import FilmError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for name in iter(tasks.get, None):
        try:
            film = films.read(name)
            outcome = "read" if np.isfinite(film.pixels).all() and film.pixels.ndim == 2 else "FAILED: not a film"
        except FilmError as error:
            outcome = "refused" if "\n" not in str(error) else "FAILED: an error of several lines"
        except BaseException as error:  # whatever it is, it is what is looked for
            outcome = f"FAILED: {type(error).__name__}: {error}"
        results.put(outcome)


class _Worker:
    """A process that is replaced when it dies."""

    def __init__(self):
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._tasks, self._results = self._context.Queue(), self._context.Queue()
        self._process = self._context.Process(target=_work, args=(self._tasks, self._results), daemon=True)
        self._process.start()
        self._fresh = True

    def read(self, path: Path) -> str:
        self._tasks.put(str(path))
        end = time.monotonic() + PATIENCE + (60 if self._fresh else 0)  # a new process imports first
        self._fresh = False
        while time.monotonic() < end:
            try:
                return self._results.get(timeout=0.2)
            except Exception:  # queue.Empty, or a queue broken by its process's death
                if not self._process.is_alive():
                    code = self._process.exitcode
                    self._start()
                    return f"FAILED: the process died ({code})"
        self._process.kill()
        self._start()
        return f"FAILED: no answer in {PATIENCE} s"

    def stop(self) -> None:
        self._tasks.put(None)
        self._process.join(5)


def fuzz(cases: int, seed: int, keep: Path | None = None, progress=lambda done: None) -> Counter:
    """Outcome -> number of cases; outcomes that begin with FAILED should not be there."""
    outcomes: Counter = Counter()
    worker = _Worker()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        originals = seeds(folder / "seeds")
        for original in originals:
            assert worker.read(original) == "read", f"{original.name} is no good seed"
        for case in range(cases):
            rng = np.random.default_rng([seed, case])
            original = originals[rng.integers(len(originals))]
            path = folder / f"case{original.name[original.name.index('.'):]}"
            path.write_bytes(mutated(original.read_bytes(), rng))
            outcome = worker.read(path)
            outcomes[outcome] += 1
            if outcome.startswith("FAILED") and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}-{case}-{original.name}").write_bytes(path.read_bytes())
            progress(case + 1)
    worker.stop()
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    arguments = parser.parse_args()
    started = time.monotonic()

    def progress(done: int) -> None:
        if done % 500 == 0:
            print(f"{done} of {arguments.cases} cases, {time.monotonic() - started:.0f} s", flush=True)

    outcomes = fuzz(arguments.cases, arguments.seed, arguments.keep, progress)
    for outcome, count in outcomes.most_common():
        print(f"{count:6} {outcome}")
    return int(any(outcome.startswith("FAILED") for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
