"""Networks that cannot be, refused in a line, and the ResNet presets' recipe."""

import pytest

from src.config import load_config
from src.config.errors import UserError
from src.config.loading import preset_names
from src.config.networks import HEADS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.name=seg_resnet101_ocr"], "must be one of seg_hrnet_ocr"),
        (["model.resnet.stem_channels=[64,64]"], "one value (7x7) or three (3x3 each); got [64, 64]"),
        (["model.stride2_padding=same"], "HRNet alone; seg_resnet_base_oc needs symmetric"),
        (["model.oc.dropout=1"], "model.oc.dropout must be below 1"),
        (["model.oc.block=-1"], "at least 0"),
        (["model.name=seg_resnet_asp_oc", "model.oc.key_channels=5"], "key_channels must be a multiple of 2"),
        (
            ["model.name=seg_resnet_asp_oc", "model.oc.mid_channels=6", "model.oc.separate_query=True"],
            "mid_channels must be a multiple of 4",
        ),
        (["model.name=seg_resnet_pyramid_oc", "train.image_size=[769,40]"], "[769, 40] is too small for the cells"),
        (["model.name=seg_hrnet_pyramid_oc", "model.oc.grids=[194]"], "773 pixels each way"),
        (
            ["model.name=seg_resnet_pyramid_oc", "eval.slide=True", "eval.window=[40,60]", "eval.stride=[9,9]"],
            "eval.window [40, 60] is too",
        ),
    ],
)
def test_impossible_networks_are_refused_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config("resnet101_base_oc", {}, words)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_small_crops_suffice_without_a_grid() -> None:
    assert load_config("resnet101_base_oc", {}, ["train.image_size=[33,40]", "eval.window=[40,40]", "eval.stride=[20,20]"])
    assert load_config("resnet101_pyramid_oc", {}, ["eval.window=[40,40]", "eval.stride=[20,20]"])  # without eval.slide no window


def test_presets_have_ocnets_recipe() -> None:
    names = [name for name in preset_names() if name.startswith("resnet101_")]
    assert {name.removeprefix("resnet101_") for name in names} == set(HEADS) - {"plain"}
    for name in names:
        config = load_config(name)
        assert config.model.name == f"seg_resnet_{name.removeprefix('resnet101_')}"
        assert list(config.model.resnet.blocks) == [3, 4, 23, 3] and list(config.model.resnet.stem_channels) == [64, 64, 128]
        # 40k steps of 8 of the 2975 pictures on 4 devices: whole batches of every epoch.
        assert 40_000 <= config.total_epoch * (2975 // (4 * config.batchsize)) < 40_000 + 371
        assert [255 * value for value in config.dataset.mean] == pytest.approx([102.9801, 115.9465, 122.7717])
        assert [255 * value for value in config.dataset.std] == pytest.approx([1, 1, 1])
        assert (config.lr, config.train.wd, config.train.schedule, config.lr_power) == (0.01, 0.0005, "poly", 0.9)
        assert not config.loss.use_ohem and (config.loss.ohem_threshold, config.loss.ohem_keep) == (0.7, 100_000)
