"""Order of strength, wrong keys and values, and repeating a run from its config.yaml."""

from pathlib import Path

import pytest
import yaml

from src.config import UserError, load_config, preset_names, save_config
from src.config.hrnet import HRNET_W18_SMALL_V1, HRNET_W48
from src.config.schema import flatten, last_epoch


def test_default_preset_is_the_model_zoo_table() -> None:
    config = load_config()
    assert config.preset == "hrnetv2_w48"
    assert (config.lr, config.lr_power, config.total_epoch, config.batchsize) == (0.0013, 4e-10, 1000, 4)
    assert (config.train.wd, config.loss.loss_scale, config.loss.balance_weights) == (0.0005, 10, [0.4, 1])
    assert config.model.extra.STAGE4.NUM_CHANNELS == [48, 96, 192, 384]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_documented(name: str) -> None:
    import importlib

    config = load_config(name)
    assert last_epoch(config) == config.total_epoch
    doc = importlib.import_module(f"src.config.presets.{name}").__doc__ or ""
    for word in ("Expected", "Device and time", "Command", "arXiv"):
        assert word in doc, f"preset {name} does not say {word}"


def test_order_of_strength(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("preset: demo\nlr: 1e-3\nbatchsize: 2\ntrain:\n  wd: 0.1\n")
    config = load_config(str(path), {"batchsize": 3}, ["train.wd=0.2", "batchsize=5"])
    assert config.preset == "demo"
    assert config.lr == pytest.approx(1e-3)  # 1e-3 is text in YAML 1.1
    assert config.batchsize == 5
    assert config.train.wd == 0.2
    assert config.model.extra.STAGE1.NUM_CHANNELS == HRNET_W18_SMALL_V1["STAGE1"]["NUM_CHANNELS"]


def test_saved_config_repeats_the_run(tmp_path: Path) -> None:
    config = load_config("camvid_w18_small", {"seed": 9}, ["eval.flip=True"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config(str(tmp_path / "config.yaml")) == config
    assert set(flatten()) == set(_dotted(yaml.safe_load((tmp_path / "config.yaml").read_text())))


def _dotted(tree: dict, prefix: str = "") -> list[str]:
    return [
        name for key, value in tree.items() for name in (_dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key])
    ]


def test_config_is_read_only() -> None:
    from omegaconf.errors import ReadonlyConfigError

    with pytest.raises(ReadonlyConfigError):
        load_config().lr = 1


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trian.wd=1", "unknown key 'trian' (did you mean train?)"),
        ("train.wdd=1", "did you mean train.wd?"),
        ("learning=1", "unknown key 'learning'"),
        ("lr=fast", "'lr' must be float; got 'fast'"),
        ("batchsize=2.5", "'batchsize' must be int; got 2.5"),
        ("batchsize=True", "'batchsize' must be int; got True"),
        ("batchsize=0", "at least 1"),
        ("lr=.nan", "must be a finite number"),
        ("lr=.inf", "must be a finite number"),
        ("train.opt_momentum=3", "at most 1"),
        ("train.color.probability=7", "at most 1"),
        ("train.min_lr=1", "train.min_lr 1 is above lr"),
        ("model.extra.STAGE1.NUM_MODULES=5", "STAGE1.NUM_MODULES must be 1"),
        ("train.flip=1", "'train.flip' must be bool"),
        ("train.image_size=[512]", "must have 2 elements"),
        ("train.image_size=512", "must be a list of int"),
        ("train.image_size=[512,-1]", "at least 1"),
        ("train=3", "'train' is a section"),
        ("device_target=TPU", "must be one of Ascend, GPU, CPU"),
        ("end_epoch=2000", "begin_epoch < end_epoch <= total_epoch"),
        ("dataset.ignore_label=18", "must lie above the 19 classes"),
        ("dataset.ignore_label=256", "fit a byte"),
        ("loss.class_weights=[1,2]", "2 values for dataset.num_classes 19"),
        ("loss.balance_weights=[1]", "needs 2 values"),
        ("loss.terms=[lovas]", "'loss.terms' must be one of cross_entropy, focal, dice, lovasz, rmi; got 'lovas'"),
        ("loss.terms=cross_entropy", "'loss.terms' must be a list of str"),
        (
            "loss.terms=[cross_entropy,dice]",
            "loss.term_weights needs 2 values, one for each of loss.terms ['cross_entropy', 'dice']; got [1.0]",
        ),
        ("loss.terms=[dice,dice]", "must name each term once"),
        ("loss.term_weights=[-1]", "at least 0"),
        ("loss.term_weights=[0]", "must not all be 0"),
        ("loss.terms=[rmi]", "use [cross_entropy, rmi]"),
        ("model.ocr.dropout=1", "below 1"),
        ("train.scale_range=[2,1]", "[smallest, largest]"),
        ("eval.stride=[600,600]", "pixels would be skipped"),
        ("model.extra.STAGE3.NUM_BLOCKS=[4]", "STAGE3.NUM_BLOCKS needs 3 values"),
        ("model.extra.STAGE2.NUM_BRANCHES=3", "NUM_BRANCHES must be 2"),
        ("words", "overrides look like"),
        ("lr=[", "cannot be read"),
    ],
)
def test_wrong_word(word: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(None, {}, [word])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_end_epoch_follows_total_epoch_in_a_saved_configuration(tmp_path: Path) -> None:
    save_config(load_config("demo"), tmp_path / "config.yaml")
    assert last_epoch(load_config(str(tmp_path / "config.yaml"), {"total_epoch": 3})) == 3
    assert last_epoch(load_config("demo", {"total_epoch": 3, "end_epoch": 2})) == 2


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(UserError, match="train.opt_momentum above 0"):
        load_config("demo", {}, ["train.nesterov=True", "train.opt_momentum=0"])


def test_hard_examples_are_those_of_cross_entropy() -> None:
    with pytest.raises(UserError, match="loss.use_ohem is a way to take cross_entropy"):
        load_config("demo", {}, ["loss.terms=[focal]", "loss.use_ohem=True"])


def test_rmi_needs_squares_of_labels() -> None:
    words = ["loss.terms=[focal,rmi]", "loss.term_weights=[1,1]", "train.downsample_rate=4"]
    load_config("demo", {}, [*words, "train.image_size=[28,64]"])
    with pytest.raises(UserError, match=r"7 pixels or more each way.* give \[6, 16\]"):
        load_config("demo", {}, [*words, "train.image_size=[27,64]"])


def test_cpu_has_no_device_queue() -> None:
    with pytest.raises(UserError, match="sink_mode on"):
        load_config("demo", {"sink_mode": "on"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "cannot be read as YAML"),
        ("- 1", "expected 'key: value' lines, found a list"),
        ("", "expected 'key: value' lines, found nothing"),
        ("preset: 3", "there is no preset '3'"),
        ("preset: null", "there is no preset 'None'"),
        ("lr: ${foo}", "cannot be read"),
        ("lr: 1\nlr: 2", "cannot be read"),
        ("preset: dmo", "no preset 'dmo' (did you mean demo?)"),
        ("lrr: 1", "(did you mean lr?)"),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_config(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_preset() -> None:
    with pytest.raises(UserError, match="no such file"):
        load_config("nowhere.yaml")
    with pytest.raises(UserError, match="no preset 'hrnet_w48'"):
        load_config("hrnet_w48")


def test_stage_tables() -> None:
    assert HRNET_W48["STAGE3"] == {
        "NUM_MODULES": 4,
        "NUM_BRANCHES": 3,
        "BLOCK": "BASIC",
        "NUM_BLOCKS": [4, 4, 4],
        "NUM_CHANNELS": [48, 96, 192],
        "FUSE_METHOD": "SUM",
    }
    assert HRNET_W18_SMALL_V1["STAGE1"]["NUM_CHANNELS"] == [32]
    assert HRNET_W18_SMALL_V1["STAGE4"]["NUM_CHANNELS"] == [16, 32, 64, 128]
