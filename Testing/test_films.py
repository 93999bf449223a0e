import numpy as np
import pydicom
import pytest
from PIL import Image

from SpineLandmarksLib import films
from SpineLandmarksLib.core.radiograph import FilmError, SpacingSource

from .films import compress, is_compressed, picture, write_dicom, write_itk


def assert_same_picture(radiograph, pixels, tolerance=0.01):
    """Same picture up to a linear scale of values; the bar must be bright."""
    a, b = radiograph.pixels, pixels.astype(float)
    assert a.shape == b.shape and a.dtype == np.float32
    a, b = ((v - v.min()) / (v.max() - v.min()) for v in (a, b))
    assert np.abs(a - b).max() < tolerance
    assert a[20, 30] > a[60, 30] + 0.2


@pytest.mark.parametrize("suffix", [".png", ".tif", ".nrrd", ".nii", ".nii.gz"])
@pytest.mark.parametrize("bits", [8, 16])
def test_grey_pictures(tmp_path, suffix, bits):
    pixels = picture(bits)
    assert_same_picture(films.read(write_itk(tmp_path / f"film{suffix}", pixels)), pixels)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_rgb_pictures_become_grey(tmp_path, suffix):
    grey = picture(8)
    rgb = np.stack([grey, grey, grey], -1)
    assert_same_picture(films.read(write_itk(tmp_path / f"film{suffix}", rgb)), grey, tolerance=0.08)


def test_colour_cast_counts_as_luma(tmp_path):
    grey = picture(8).astype(float)
    rgb = np.stack([grey * 0.6, grey, grey * 0.8], -1).astype(np.uint8)
    assert_same_picture(films.read(write_itk(tmp_path / "film.png", rgb)), grey, tolerance=0.02)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_alpha_and_palette_pictures(tmp_path, mode):
    grey = Image.fromarray(picture(8))
    (grey.quantize(128) if mode == "P" else grey.convert(mode)).save(tmp_path / "film.png")
    assert_same_picture(films.read(tmp_path / "film.png"), picture(8), tolerance=0.08)


def test_printing_resolution_is_not_taken_for_spacing(tmp_path):
    Image.fromarray(picture(8)).save(tmp_path / "film.jpg", dpi=(300, 300), quality=95)
    radiograph = films.read(tmp_path / "film.jpg")
    assert radiograph.spacing is None and radiograph.spacing_source is SpacingSource.UNKNOWN
    # Slicer's reader does take it, so the markups must follow.
    assert radiograph.index_to_lps[0, 0] == pytest.approx(25.4 / 300, rel=1e-3)


def test_nrrd_keeps_oblong_spacing_and_one_slice_volumes_are_films(tmp_path):
    path = write_itk(tmp_path / "film.nrrd", picture(16), (0.2, 0.3))
    assert films.read(path).spacing == pytest.approx((0.2, 0.3))
    import SimpleITK as sitk

    volume = sitk.GetImageFromArray(picture(16)[None])
    volume.SetSpacing((0.2, 0.3, 5.0))
    sitk.WriteImage(volume, str(tmp_path / "volume.nii.gz"))
    radiograph = films.read(tmp_path / "volume.nii.gz")
    assert radiograph.spacing == pytest.approx((0.2, 0.3))
    assert_same_picture(radiograph, picture(16))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_dicom_grey(tmp_path, bits):
    pixels = picture(bits if bits != 12 else 16)
    pixels = pixels >> 4 if bits == 12 else pixels
    assert_same_picture(films.read(write_dicom(tmp_path / "film.dcm", pixels, bits=bits)), pixels)


def test_dicom_is_known_by_content_not_by_name(tmp_path):
    assert_same_picture(films.read(write_dicom(tmp_path / "IM0001", picture())), picture())


def test_picture_with_a_dicom_suffix_and_dicom_without_preamble(tmp_path):
    png = write_itk(tmp_path / "film.png", picture())
    assert_same_picture(films.read(png.rename(tmp_path / "film.dcm")), picture())
    # Old files start with the data set: no preamble, no file meta group.
    dataset = pydicom.Dataset(pydicom.dcmread(write_dicom(tmp_path / "whole.dcm", picture())))
    old = tmp_path / "old.dcm"
    pydicom.dcmwrite(old, dataset, implicit_vr=True, little_endian=True)
    assert old.read_bytes()[128:132] != b"DICM"
    assert_same_picture(films.read(old), picture())


@pytest.mark.parametrize("compressor", [None, "JPEG", "JPEG2000"])
def test_monochrome1_is_inverted_exactly_once(tmp_path, compressor):
    bright = picture(16)
    path = write_dicom(tmp_path / "film.dcm", bright.max() - bright, "MONOCHROME1")
    if compressor:
        # ITK writes MONOCHROME2; the tag alone is what decides, so it is put back with dark bone.
        plain = write_dicom(tmp_path / "plain.dcm", bright.max() - bright)
        path = compress(plain, tmp_path / "packed.dcm", compressor)
        dataset = pydicom.dcmread(path)
        dataset.PhotometricInterpretation = "MONOCHROME1"
        dataset.save_as(path)
    assert_same_picture(films.read(path), bright)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_transfer_syntaxes(tmp_path, compressor):
    path = compress(write_dicom(tmp_path / "film.dcm", picture()), tmp_path / "packed.dcm", compressor)
    assert is_compressed(path)
    assert_same_picture(films.read(path), picture())


def test_rle_transfer_syntax(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", picture())
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    dataset.save_as(path)
    assert is_compressed(path)
    assert_same_picture(films.read(path), picture())


def test_rgb_secondary_capture(tmp_path):
    grey = picture(8)
    assert_same_picture(films.read(write_dicom(tmp_path / "film.dcm", np.stack([grey] * 3, -1), "RGB", 8)), grey)


@pytest.mark.parametrize(
    ("tags", "spacing", "source"),
    [
        ({}, None, "unknown"),
        ({"ImagerPixelSpacing": [0.3, 0.2]}, (0.2, 0.3), "detector"),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), "detector"),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.17, 0.16]}, (0.16, 0.17), "calibrated"),
        ({"PixelSpacing": [0.17, 0.17], "PixelSpacingCalibrationType": "FIDUCIAL"}, (0.17, 0.17), "calibrated"),
        ({"PixelSpacing": [0.17, 0.17]}, (0.17, 0.17), "file"),
        ({"PixelSpacing": [0.0, 0.0]}, None, "unknown"),
        ({"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.15}, (0.2, 0.2), "detector"),
    ],
)
def test_spacing_and_its_provenance(tmp_path, tags, spacing, source):
    radiograph = films.read(write_dicom(tmp_path / "film.dcm", picture(), **tags))
    assert radiograph.spacing == (pytest.approx(spacing) if spacing else None)
    assert radiograph.spacing_source.value == source


def test_errors_are_one_sentence_that_says_what_to_do(tmp_path):
    def refused(name, content=None, match=""):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FilmError, match=match) as error:
            films.read(path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 200

    refused("missing.png", match="cannot open")
    refused("empty.png", b"", "empty")
    refused("text.png", b"hello world", "cannot be read")
    refused("text.dcm", b"hello world" * 100, "DICOM")
    whole = write_itk(tmp_path / "whole.png", picture()).read_bytes()
    refused("cut.png", whole[: len(whole) // 2], "cut short")
    (tmp_path / "folder").mkdir()
    refused("folder", match="directory")
    np_blank = np.full((90, 120), 7, np.uint16)
    refused(write_itk(tmp_path / "blank.png", np_blank).name, match="same value")
    refused(write_itk(tmp_path / "tiny.png", picture(16, (20, 20))).name, match="20 x 20")
    refused(write_itk(tmp_path / "nan.nrrd", np.full((90, 120), np.nan, np.float32)).name, match="not finite")
    refused(write_dicom(tmp_path / "frames.dcm", picture(), NumberOfFrames=2).name, match="2 frames")
    dataset = pydicom.dcmread(write_dicom(tmp_path / "report.dcm", picture()))
    del dataset.PixelData
    dataset.save_as(tmp_path / "report.dcm")
    refused("report.dcm", match="no pixel data")
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(np.stack([picture()] * 5)), str(tmp_path / "ct.nii.gz"))
    refused("ct.nii.gz", match="120 x 90 x 5")


@pytest.mark.parametrize("name", [seed for seed in ("grey8.png", "grey8.jpg", "grey8.tif", "grey8.bmp", "grey8.nrrd", "grey8.nii.gz", "grey16.nii",
                                                    "packed.nrrd", "cmyk.jpg", "raw.dcm", "JPEG.dcm", "JPEG2000.dcm")])
@pytest.mark.parametrize("share", [0.97, 0.5, 0.1])
def test_a_file_cut_short_is_never_half_a_film(tmp_path, name, share):
    from .fuzz import seeds

    (whole,) = [path for path in seeds(tmp_path) if path.name == name]
    films.read(whole)
    data = whole.read_bytes()
    whole.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FilmError):
        films.read(whole)


def test_bombs_animations_and_other_odd_files(tmp_path):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(*chunks):
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")

    def header(width, height):
        return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))

    (tmp_path / "bomb.png").write_bytes(png(header(60000, 60000), chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9))))
    (tmp_path / "moving.png").write_bytes(png(header(90, 90), chunk(b"acTL", bytes(8)), chunk(b"IDAT", zlib.compress(bytes(91 * 90)))))
    (tmp_path / "bad.nrrd").write_bytes(b"NRRD0004\n\x80\xff rubbish without any field\n\n" + bytes(100))
    (tmp_path / "locked.dcm").write_bytes(bytes(128) + b"DICM" + np.random.default_rng(0).bytes(5000))
    write_dicom(tmp_path / "huge.dcm", picture(), Rows=65535, Columns=65535)
    for name, match in (("bomb.png", "more than any film"), ("moving.png", "animation"), ("bad.nrrd", "NRRD header"),
                        ("locked.dcm", "DICOM"), ("huge.dcm", "more than any film")):
        with pytest.raises(FilmError, match=match):
            films.read(tmp_path / name)
    Image.fromarray(picture(8) > 100).save(tmp_path / "bit.png")
    assert set(np.unique(films.read(tmp_path / "bit.png").pixels)) <= {0, 1, 255}
    write_itk(tmp_path / "negative.nrrd", picture(16).astype(np.int32) - 40000)
    assert films.read(tmp_path / "negative.nrrd").pixels.min() < 0


def test_four_hundred_broken_files_of_every_kind():
    """The short version of ``python -m Testing.fuzz --cases 10000``."""
    from .fuzz import fuzz

    outcomes = fuzz(400, seed=20)
    assert not [outcome for outcome in outcomes if outcome.startswith("FAILED")], outcomes
    assert outcomes["refused"] > 100 and outcomes["read"] > 20
