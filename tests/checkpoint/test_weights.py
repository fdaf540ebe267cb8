"""Which weights were loaded: matched, dropped, missing, other classes, other networks, broken files."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from src.checkpoint.weights import load_weights, network_weights, read_checkpoint, save_weights
from src.config import UserError, load_config
from src.models.builder import build_network
from tests.tiny import tiny_config


def network(seed: int = 1, *words: str) -> nn.Cell:
    ms.set_seed(seed)
    return build_network(tiny_config(None, *words))


def arrays(net: nn.Cell) -> dict[str, np.ndarray]:
    return {name: parameter.asnumpy().copy() for name, parameter in network_weights(net).items()}


def write(path: Path, values: dict[str, np.ndarray]) -> Path:
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in values.items()], str(path))
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "a.ckpt"
    save_weights(network(1), path, tiny_config())
    return path


def test_round_trip_with_the_configuration_beside(saved: Path) -> None:
    other = network(2)
    report = load_weights(other, saved, complete=True)
    assert (report.missing, report.unexpected, report.reinitialised, report.dropped) == ([], [], [], [])
    loaded = arrays(other)
    for name, value in arrays(network(1)).items():
        assert (loaded[name] == value).all(), name
    assert load_config(str(saved.with_suffix(".yaml"))) == tiny_config()
    assert sorted(path.name for path in saved.parent.iterdir()) == ["a.ckpt", "a.yaml"]
    assert saved.stat().st_mode & 0o777 == 0o644


def test_counters_stay_out_of_the_file(saved: Path) -> None:
    names = set(read_checkpoint(saved))
    assert names == set(network_weights(network()))
    assert not any("dropout_calls" in name for name in names)


def test_imagenet_backbone_starts_training_but_is_not_enough_to_evaluate(tmp_path: Path) -> None:
    heads = ("aux_head", "cls_head", "ocr_distri_head", "conv3x3_ocr")
    values = {name: value for name, value in arrays(network(1)).items() if not name.startswith(heads)}
    values |= {"classifier.weight": np.zeros((1000, 8), np.float32), "incre_modules.0.0.conv1.weight": np.zeros((2, 2), np.float32)}
    path = write(tmp_path / "imagenet.ckpt", values)
    net = network(2)
    before = arrays(net)
    report = load_weights(net, path, complete=False)
    assert sorted(report.dropped) == ["classifier.weight", "incre_modules.0.0.conv1.weight"]
    assert report.unexpected == []
    assert all(name.startswith(heads) for name in report.missing) and report.missing
    assert (arrays(net)["cls_head.weight"] == before["cls_head.weight"]).all()
    assert (arrays(net)["conv1.weight"] == values["conv1.weight"]).all()
    with pytest.raises(UserError, match="a backbone alone"):
        load_weights(net, path, complete=True)


def test_prefixes_of_other_writers(tmp_path: Path) -> None:
    path = write(tmp_path / "p.ckpt", {f"network.model.{name}": value for name, value in arrays(network(1)).items()})
    assert load_weights(network(2), path, complete=True).unexpected == []


def test_other_number_of_classes_leaves_the_classifiers(tmp_path: Path) -> None:
    values = arrays(network(1))
    for name in ("cls_head.weight", "cls_head.bias", "aux_head.3.weight", "aux_head.3.bias"):
        values[name] = np.zeros((19, *values[name].shape[1:]), np.float32)
    path = write(tmp_path / "k19.ckpt", values)
    net = network(2)
    before = arrays(net)
    report = load_weights(net, path, complete=False)
    assert sorted(report.reinitialised) == ["aux_head.3.bias", "aux_head.3.weight", "cls_head.bias", "cls_head.weight"]
    assert (arrays(net)["cls_head.weight"] == before["cls_head.weight"]).all()
    with pytest.raises(UserError, match="tells 19 classes apart and the configuration 11"):
        load_weights(net, path, complete=True)


@pytest.mark.parametrize("complete", [True, False])
def test_another_architecture_changes_nothing(tmp_path: Path, complete: bool) -> None:
    path = tmp_path / "wide.ckpt"
    save_weights(network(1, "model.extra.STAGE4.NUM_CHANNELS=[4,8,16,64]"), path, tiny_config())
    net = network(2)
    before = arrays(net)
    with pytest.raises(UserError, match="belongs to another network") as caught:
        load_weights(net, path, complete=complete)
    assert "\n" not in str(caught.value)
    after = arrays(net)
    assert all((after[name] == value).all() for name, value in before.items())


def test_too_little_of_the_backbone(tmp_path: Path) -> None:
    values = {name: value for name, value in arrays(network(1)).items() if name.startswith(("conv1", "bn1", "layer1"))}
    with pytest.raises(UserError, match="backbone parameters are in the file"):
        load_weights(network(2), write(tmp_path / "part.ckpt", values), complete=False)


@pytest.mark.parametrize("cut", [0.5, 0.0])
def test_broken_file(saved: Path, cut: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(UserError, match="cut off|in the file"):
        load_weights(network(), saved, complete=True)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_weights(network(), tmp_path / "no.ckpt", complete=True)
    (tmp_path / "w.pth").write_bytes(b"x")
    with pytest.raises(UserError, match="expected a MindSpore .ckpt"):
        load_weights(network(), tmp_path / "w.pth", complete=True)


def test_failed_write_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def fail(_: object, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(ms, "save_checkpoint", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(network(2), saved, tiny_config())
    assert saved.read_bytes() == before
    assert sorted(path.name for path in saved.parent.iterdir()) == ["a.ckpt", "a.yaml"]
