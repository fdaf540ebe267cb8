"""Conversion of ResNets: names and values of OCNet's, openseg's and ImageNet's files, the facts beside them, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from src.checkpoint.weights import load_weights, read_checkpoint
from src.config import load_config
from src.models.builder import assemble_network
from tests.checkpoint.conversion.foreign_files import command, prefixed, save_mindspore, save_torch

torch = pytest.importorskip("torch", reason="conversion from .pth files needs torch")

from tests.parity.references.ocnet_torch import OCNet, Openseg, Size  # noqa: E402

Arrays = dict[str, np.ndarray]
TINY = Size(blocks=(1, 2, 1, 1), width=2, stem=(3, 4, 5), middle=8, key=4)
CAFFE_MEAN, CAFFE_STD = [102.9801 / 255, 115.9465 / 255, 122.7717 / 255], [1 / 255] * 3


def weights_of(source: str, head: str, classes: int = 5) -> Arrays:
    """Return a file's arrays; factors of norms have either sign, as in-place ones may."""
    torch.manual_seed(1)
    model = OCNet(head, classes, TINY) if source == "ocnet" else Openseg(head, classes, TINY, inplace=source == "openseg_inplace")
    names = model.file_names()
    arrays = {names[name]: value.numpy().copy() for name, value in model.state_dict().items()}
    rng = np.random.default_rng(3)
    return {
        name: rng.normal(size=value.shape).astype(np.float32) if value.ndim == 1 and "f_query" not in name else value
        for name, value in arrays.items()
    } | (
        {}
        if source != "ocnet"
        else {name: value for name, value in arrays.items() if ".f_query." in name or ".f_key." in name}  # one layer under two names
    )


def resnet(stem: dict[str, tuple[int, ...]], prefix: str = "", blocks: tuple[int, ...] = (1, 2, 1, 1), width: int = 2) -> Arrays:
    """Return a backbone's arrays under torchvision's names behind a stem: layer name -> shape of a convolution or of a norm."""
    shapes, before = dict(stem), next(shape[0] for shape in reversed(stem.values()) if len(shape) == 4)
    for stage, count in enumerate(blocks):
        middle = width * 2**stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            convs = {"conv1": (middle, before, 1, 1), "conv2": (middle, middle, 3, 3), "conv3": (4 * middle, middle, 1, 1)}
            for layer, shape in convs.items():
                shapes |= {f"{name}.{layer}": shape, f"{name}.{layer.replace('conv', 'bn')}": shape[:1]}
            if block == 0:
                shapes |= {f"{name}.downsample.0": (4 * middle, before, 1, 1), f"{name}.downsample.1": (4 * middle,)}
            before = 4 * middle
    rng = np.random.default_rng(5)
    leaves = {4: ("weight",), 1: ("weight", "bias", "running_mean", "running_var")}
    names = [(f"{prefix}{layer}.{leaf}", shape) for layer, shape in shapes.items() for leaf in leaves[len(shape)]]
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in names}


def stem(convs: tuple[str, ...], norms: tuple[str, ...], sizes: tuple[int, ...] = (3, 4, 5), side: int = 3) -> dict[str, tuple[int, ...]]:
    rows: dict[str, tuple[int, ...]] = {}
    for conv, norm, before, after in zip(convs, norms, (3, *sizes), sizes, strict=False):
        rows |= {conv: (after, before, side, side), norm: (after,)}
    return rows


SEVEN = stem(("conv1",), ("bn1",), (4,), 7)
DEEP = stem(("conv1", "conv2", "conv3"), ("bn1", "bn2", "bn3"))
FC = {"fc.weight": np.ones((10, 64), np.float32), "fc.bias": np.ones(10, np.float32)}


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., tuple[Arrays, dict[str, Any]]]:
    """Convert arrays; return what was written, and the file beside it."""

    def run(arrays: Arrays, *more: str) -> tuple[Arrays, dict[str, Any]]:
        path = save_torch(tmp_path / "in.pth", arrays, None)
        assert command(path, tmp_path / "out.ckpt", *more) == 0
        return read_checkpoint(tmp_path / "out.ckpt"), yaml.safe_load((tmp_path / "out.yaml").read_text())

    return run


# A layer of each kind: its name there and here, read in the sources' module definitions.
NAMES = {
    ("ocnet", "base_oc"): {
        "context.0.bias": "context.0.bias",
        "context.2.stages.0.f_key.0.weight": "context.3.stages.0.f_key.0.weight",
        "context.2.conv_bn_dropout.1.running_var": "context.3.conv_bn_dropout.1.moving_variance",
        "dsn.1.bias": "aux_head.1.beta",
        "dsn.3.bias": "aux_head.3.bias",
        "cls.weight": "cls_head.weight",
        "layer1.0.downsample.1.running_mean": "layer1.0.downsample.1.moving_mean",
        "conv3.weight": "conv3.weight",
    },
    ("ocnet", "pyramid_oc"): {
        "layer5.0.weight": "context.0.weight",
        "layer5.1.running_mean": "context.1.moving_mean",
        "context.stages.3.W.bias": "context.3.stages.3.W.bias",
        "context.up_dr.1.bias": "context.3.up_dr.1.beta",
    },
    ("ocnet", "asp_oc"): {
        "context.2.context.0.bias": "context.3.context.0.bias",
        "context.2.context.2.stages.0.f_value.weight": "context.3.context.3.stages.0.f_value.weight",
        "context.2.context.2.conv_bn_dropout.0.bias": "context.3.context.3.conv_bn_dropout.0.bias",
        "context.2.conv5.1.bias": "context.3.conv5.1.beta",
    },
    ("openseg", "ocr"): {
        "module.backbone.resinit.bn2.weight": "bn2.gamma",
        "module.backbone.layer2.1.conv3.weight": "layer2.1.conv3.weight",
        "module.conv_3x3.1.0.weight": "conv3x3_ocr.1.gamma",
        "module.spatial_ocr_head.object_context_block.f_pixel.3.0.bias": "ocr_distri_head.object_context_block.f_pixel.3.0.beta",
        "module.spatial_ocr_head.conv_bn_dropout.0.weight": "ocr_distri_head.conv_bn_dropout.0.weight",
        "module.dsn_head.3.weight": "aux_head.3.weight",
        "module.head.weight": "cls_head.weight",
    },
    ("openseg", "isa"): {
        "module.isa_head.1.0.weight": "context.1.gamma",
        "module.isa_head.2.stages.0.short_range_sa.f_query.3.0.running_var": "context.3.stages.0.short_range_sa.f_query.4.moving_variance",
        "module.isa_head.2.stages.0.long_range_sa.f_key.2.weight": "context.3.stages.0.long_range_sa.f_key.3.weight",
        "module.isa_head.2.stages.0.long_range_sa.W.1.0.bias": "context.3.stages.0.long_range_sa.W.1.beta",
        "module.isa_head.2.conv_bn.0.weight": "context.3.conv_bn.0.weight",
        "module.cls_head.bias": "cls_head.bias",
    },
    ("openseg", "base_oc"): {
        "module.oc_module_pre.0.weight": "context.0.weight",
        "module.oc_module.stages.0.f_key.2.weight": "context.3.stages.0.f_key.3.weight",
        "module.dsn.2.weight": "aux_head.3.weight",
    },
    ("openseg", "asp_oc"): {"module.context.2.context.2.conv_bn_dropout.0.0.weight": "context.3.context.3.conv_bn_dropout.1.gamma"},
    ("openseg_inplace", "asp_oc"): {"module.context.2.context.2.conv_bn_dropout.0.bias": "context.3.context.3.conv_bn_dropout.1.beta"},
    ("openseg_inplace", "isa"): {
        "module.isa_head.2.stages.0.long_range_sa.f_query.3.bias": "context.3.stages.0.long_range_sa.f_query.4.beta"
    },
}
# first_dilation, negative_slope, color_order, entry_activation
FACTS = {
    "ocnet": ("full", 0.01, "RGB"),
    "openseg": ("half", 0.0, "BGR"),
    "openseg_inplace": ("half", 0.01, "BGR"),
}


@pytest.mark.parametrize(("source", "head"), NAMES)
def test_segmentation_networks(source: str, head: str, convert: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = weights_of(source, head)
    written, _ = convert(arrays)
    report = capsys.readouterr().out
    assert f"{source.split('_')[0]} (recognised by its names)" in report and "5 classes" in report
    for there, here in NAMES[source, head].items():
        np.testing.assert_array_equal(written[here], arrays[there], err_msg=here)
    copies = sum(".f_query." in name for name in arrays) if source == "ocnet" else 0
    counters = sum(name.endswith("num_batches_tracked") for name in arrays if source != "ocnet" or ".f_query." not in name)
    assert len(written) + copies + counters == len(arrays)

    config = load_config(str(tmp_path / "out.yaml"))
    resnet, data = config.model.resnet, config.dataset
    assert config.model.name == f"seg_resnet_{head}"
    assert (resnet.blocks, resnet.channels, resnet.stem_channels) == (list(TINY.blocks), TINY.width, list(TINY.stem))
    assert resnet.ceil_pool and config.model.align_corners and config.eval.fusion == "logits"
    assert (resnet.first_dilation, config.model.ocr.negative_slope, data.color_order) == FACTS[source]
    assert (data.mean, data.std, data.num_classes) == (CAFFE_MEAN, CAFFE_STD, 5)
    assert config.model.oc.entry_activation == ((source, head) != ("ocnet", "pyramid_oc"))
    report = load_weights(assemble_network(config), tmp_path / "out.ckpt", complete=True)
    assert not report.unexpected


def test_in_place_factors_are_positive(convert: Callable) -> None:
    arrays = weights_of("ocnet", "base_oc")
    written, _ = convert(arrays)
    for there, here in (
        ("bn1.weight", "bn1.gamma"),
        ("layer4.0.bn3.weight", "layer4.0.bn3.gamma"),
        ("context.1.weight", "context.1.gamma"),
    ):
        assert (arrays[there] < 0).any()
        np.testing.assert_array_equal(written[here], np.abs(arrays[there]) + np.float32(1e-5))


def test_only_keys_of_the_network_are_beside_it(convert: Callable) -> None:
    _, side = convert(weights_of("ocnet", "asp_oc"))
    assert set(side["model"]) == {"align_corners", "half_pixel_centers", "head_bias", "resnet", "oc", "ocr"}
    assert {"dilations", "pool"} <= set(side["model"]["oc"]) and not {"grids", "down_factors"} & set(side["model"]["oc"])
    assert set(side["model"]["ocr"]) == {"negative_slope"}


@pytest.mark.parametrize("kept", [".f_key.", ".f_query."])
def test_a_shared_layer_stored_once(kept: str, convert: Callable) -> None:
    arrays = weights_of("ocnet", "base_oc")
    lost = {".f_key.": ".f_query.", ".f_query.": ".f_key."}[kept]
    written, _ = convert({name: value for name, value in arrays.items() if lost not in name})
    expected = arrays["context.2.stages.0.f_key.0.weight"]
    np.testing.assert_array_equal(written["context.3.stages.0.f_key.0.weight"], expected)


def test_a_network_without_auxiliary_head(convert: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = weights_of("ocnet", "plain")
    written, _ = convert(arrays)
    report = capsys.readouterr().out
    assert "aux_head is new" in report and "reinitialised     8" in report
    np.testing.assert_array_equal(written["cls_head.weight"], arrays["layer6.weight"])
    config = load_config(str(tmp_path / "out.yaml"))
    assert config.model.name == "seg_resnet"
    load_weights(assemble_network(config), tmp_path / "out.ckpt", complete=True)


def test_classifiers_without_biases(convert: Callable) -> None:
    written, _ = convert(weights_of("openseg", "plain"))
    assert not written["cls_head.bias"].any() and not written["aux_head.3.bias"].any() and len(written["cls_head.bias"]) == 5


def test_other_classes(convert: Callable) -> None:
    written, side = convert(weights_of("openseg", "isa"), "--num_classes", "7")
    assert len(written["cls_head.weight"]) == len(written["aux_head.3.weight"]) == side["dataset"]["num_classes"] == 7


STEMS = {
    "torchvision": (SEVEN, "", {"conv1.weight": "conv1.weight", "bn1.bias": "bn1.beta"}),
    "torchvision_segmentation": (SEVEN, "backbone.", {"backbone.conv1.weight": "conv1.weight"}),
    "ocnet": (DEEP, "", {"conv3.weight": "conv3.weight", "bn3.weight": "bn3.gamma"}),
    "timm": (
        stem(("conv1.0", "conv1.3", "conv1.6"), ("conv1.1", "conv1.4", "bn1")),
        "",
        {"conv1.0.weight": "conv1.weight", "conv1.1.weight": "bn1.gamma", "conv1.6.weight": "conv3.weight", "bn1.weight": "bn3.gamma"},
    ),
    "mmseg": (
        stem(("stem.0", "stem.3", "stem.6"), ("stem.1", "stem.4", "stem.7")),
        "",
        {"stem.3.weight": "conv2.weight", "stem.4.running_mean": "bn2.moving_mean", "stem.7.bias": "bn3.beta"},
    ),
    "mmseg_backbone": (
        stem(("stem.0", "stem.3", "stem.6"), ("stem.1", "stem.4", "stem.7")),
        "backbone.",
        {"backbone.stem.0.weight": "conv1.weight", "backbone.layer3.0.bn2.weight": "layer3.0.bn2.gamma"},
    ),
}


@pytest.mark.parametrize("kind", STEMS)
def test_imagenet_files(kind: str, convert: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers, prefix, names = STEMS[kind]
    arrays = resnet(layers, prefix)
    written, side = convert(arrays | FC)
    report = capsys.readouterr().out
    assert "imagenet" in report and "fc.weight" in report and "ResNet [1, 2, 1, 1] backbone" in report
    assert len(written) == len(arrays)
    for there, here in names.items():
        np.testing.assert_array_equal(written[here], arrays[there])
    # Normalisation, pooling and dilation are the recipe's choice; the stem and the blocks are not.
    channels = [4] if layers is SEVEN else [3, 4, 5]
    assert side == {"preset": "resnet101_base_oc", "model": {"resnet": {"blocks": [1, 2, 1, 1], "channels": 2, "stem_channels": channels}}}
    config = load_config("resnet101_base_oc", {"checkpoint_path": str(tmp_path / "out.ckpt")}, ["model.oc.mid_channels=8"])
    report = load_weights(assemble_network(config), tmp_path / "out.ckpt", complete=False)
    assert len(report.matched) == len(arrays) and not report.unexpected


def test_mindcv(tmp_path: Path) -> None:
    arrays = resnet(SEVEN)
    ends = {"running_mean": "moving_mean", "running_var": "moving_variance", "weight": "gamma", "bias": "beta"}
    there: Arrays = {}
    for name, value in arrays.items():
        layer, leaf = name.replace("downsample", "down_sample").rsplit(".", 1)
        there[f"{layer}.{ends[leaf] if value.ndim == 1 else leaf}"] = value
    path = save_mindspore(tmp_path / "in.ckpt", there | {"classifier.weight": np.ones((10, 64), np.float32)})
    assert command(path, tmp_path / "out.ckpt") == 0
    written = read_checkpoint(tmp_path / "out.ckpt")
    np.testing.assert_array_equal(written["layer3.0.downsample.1.gamma"], arrays["layer3.0.downsample.1.weight"])
    assert len(written) == len(arrays)


def refused(arrays: Arrays, tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str, flags: tuple[str, ...] = ()) -> None:
    path = save_torch(tmp_path / "in.pth", arrays, None)
    assert command(path, tmp_path / "out.ckpt", *flags) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err
    assert {file.name for file in tmp_path.iterdir()} == {"in.pth"}


def test_relatives_with_other_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = resnet(SEVEN)
    basic = {name: value for name, value in plain.items() if ".conv3" not in name and ".bn3" not in name}
    refused(basic, tmp_path, capsys, "ResNet-18", "layer1.0.conv3")
    grouped = plain | {"layer1.0.conv2.weight": np.ones((2, 1, 3, 3), np.float32)}
    refused(grouped, tmp_path, capsys, "ResNeXt", "layer1.0.conv2")
    wide = plain | {"layer1.0.conv3.weight": np.ones((4, 2, 1, 1), np.float32)}
    refused(wide, tmp_path, capsys, "wide ResNet", "widens 2 channels to 4")
    pooled = {name.replace("downsample.1", "downsample.2").replace("downsample.0", "downsample.1"): value for name, value in plain.items()}
    refused(pooled, tmp_path, capsys, "ResNet-D", "downsample.1")
    squeezed = plain | {"layer1.0.se.fc1.weight": np.ones((2, 2, 1, 1), np.float32)}
    refused(squeezed, tmp_path, capsys, "layer1.0.se.fc1.weight", "another network")


def test_files_that_lack_or_mix_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, isa = weights_of("ocnet", "base_oc"), weights_of("openseg", "isa")
    refused({name: value for name, value in base.items() if name != "dsn.1.running_var"}, tmp_path, capsys, "aux_head.1.moving_variance")
    without_end = {name: value for name, value in weights_of("openseg", "ocr").items() if "dsn_head.3" not in name}
    refused(without_end, tmp_path, capsys, "aux_head.3")
    refused({name: value for name, value in base.items() if not name.startswith("dsn.3")}, tmp_path, capsys, "aux_head.3")
    refused({name: value for name, value in base.items() if not name.startswith("layer3")}, tmp_path, capsys, "layer3 is missing")
    refused({name: value for name, value in isa.items() if "isa_head.2" not in name}, tmp_path, capsys, "docs/WEIGHTS.md")
    refused(base | prefixed(base, "module."), tmp_path, capsys, "two networks")
    refused(base | {"context.2.conv9.weight": base["cls.weight"]}, tmp_path, capsys, "context.2.conv9.weight", "another network")
    refused(base | {"context.2.stages.0.f_query.0.bias": base["context.2.stages.0.f_key.0.bias"] + 1}, tmp_path, capsys, "differ", "share")
    refused(base, tmp_path, capsys, "--source openseg", "those of ocnet", flags=("--source", "openseg"))
    refused(base, tmp_path, capsys, "in the file", "in the network", flags=("--config", "hrnetv2_w18"))
    decoder = prefixed(resnet(SEVEN), "backbone.") | {"decode_head.conv_seg.weight": base["cls.weight"]}
    refused(decoder, tmp_path, capsys, "decode_head.conv_seg.weight", "docs/WEIGHTS.md")
    refused({"layer4.0.conv1.weight": base["layer4.0.conv1.weight"], **FC}, tmp_path, capsys, "no HRNet or ResNet")


def test_leftovers_of_synchronised_norms(convert: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = weights_of("openseg", "isa")
    convert(arrays | {f"module.backbone.resinit.bn1.{name}": np.ones(3, np.float32) for name in ("_tmp_running_mean", "_running_iter")})
    assert "unexpected     0" in capsys.readouterr().out


def test_a_way_back_of_a_plain_resnet(convert: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(weights_of("openseg", "plain"))
    assert command(tmp_path / "back.pth", tmp_path / "out.ckpt", "--reverse", "--source", "official") == 2
    assert "; ResNet [1, 2, 1, 1] has no way back yet" in capsys.readouterr().err


def test_no_way_back(convert: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(weights_of("ocnet", "base_oc"))
    capsys.readouterr()
    for source in ("official", "mmseg"):
        assert command(tmp_path / "back.pth", tmp_path / "out.ckpt", "--reverse", "--source", source) == 2
        err = capsys.readouterr().err
        assert "no way back" in err and "Base-OC" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "back.pth").exists()
