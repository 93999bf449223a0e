import json

import pytest

from SpineLandmarksLib.model import weights


def test_shipped_weights_are_small_and_described():
    manifest = weights.read_manifest()
    assert {"version", "licence", "training_data", "attribution", "networks"} <= manifest.keys()
    for entry in manifest["networks"].values():
        assert (weights.FOLDER / entry["file"]).stat().st_size < 16 * 2**20


def test_changed_weights_are_refused(copy):
    path = copy / "refine.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(weights.WeightsError, match="SHA-256"):
        weights.load(copy)


def test_truncated_and_missing_weights_are_refused(copy):
    path = copy / "locate.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(weights.WeightsError, match="cut short"):
        weights.load(copy)
    path.unlink()
    with pytest.raises(weights.WeightsError, match="missing"):
        weights.load(copy)


def test_broken_manifest_is_refused(copy):
    (copy / "manifest.json").write_text(json.dumps([])[:-1])
    with pytest.raises(weights.WeightsError, match="manifest"):
        weights.load(copy)


@pytest.mark.parametrize("lost", ["version", "sd_scale.S1", "networks.locate.sha256", "networks.refine.crop_span", "ranges.file"])
def test_incomplete_manifest_is_refused(copy, lost):
    manifest = json.loads((copy / "manifest.json").read_text())
    *path, last = lost.split(".")
    place = manifest
    for key in path:
        place = place[key]
    del place[last]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(weights.WeightsError, match=f"has no {lost}: name a whole folder"):
        weights.load(copy)


@pytest.mark.parametrize("content", ["5", "null", "[]", '"text"'])
def test_a_manifest_that_is_no_dictionary_is_refused(copy, content):
    (copy / "manifest.json").write_text(content)
    with pytest.raises(weights.WeightsError, match="has no version"):
        weights.load(copy)


def test_a_folder_that_is_not_there_asks_for_another(tmp_path):
    with pytest.raises(weights.WeightsError, match="name a whole folder"):
        weights.load(tmp_path / "nowhere")


def test_weights_of_another_network_are_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["networks"]["locate"] |= {key: manifest["networks"]["refine"][key] for key in ("file", "sha256")}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(weights.WeightsError, match="another version"):
        weights.load(copy)
