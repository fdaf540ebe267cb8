"""The predictor against straightforward numpy: resizing, scales, flip, windows; modes, sizes and what it refuses."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.config.errors import UserError
from src.inference.predictor import Predictor
from src.inference.segmenter import Segmenter
from src.inference.sliding import window_starts

NUM_CLASSES = 5
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
EPS = 1e-5


class TinyNet(nn.Cell):
    """A 1x1 convolution with stride 4 and a batch norm; returns (auxiliary, main) as the real networks do."""

    def __init__(self, gain=1.0):
        super().__init__()
        rng = np.random.default_rng(3)
        self.kernel = rng.normal(0, gain, (NUM_CLASSES, 3)).astype(np.float32)
        self.mean = rng.normal(0, 1, NUM_CLASSES).astype(np.float32)
        self.conv = nn.Conv2d(3, NUM_CLASSES, 1, stride=4, pad_mode="valid", weight_init=Tensor(self.kernel[..., None, None]))
        self.bn = nn.BatchNorm2d(NUM_CLASSES, eps=EPS, momentum=0.9, moving_mean_init=Tensor(self.mean))

    def construct(self, x):
        logits = self.bn(self.conv(x))
        return -logits, logits

    def in_numpy(self, x):
        logits = np.einsum("kc,bchw->bkhw", self.kernel.astype(np.float64), x[:, :, ::4, ::4])
        return (logits - self.mean[:, None, None]) / np.sqrt(1 + EPS)


RULES = {
    "corners": {"align_corners": True},
    "centres": {"align_corners": False},
    "upper left": {"align_corners": False, "half_pixel_centers": False},
}


def resize_axis(x, axis, size, rule):
    length = x.shape[axis]
    if rule == "corners":
        positions = np.arange(size) * ((length - 1) / (size - 1) if size > 1 else 0)
    elif rule == "centres":
        positions = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, None)
    else:
        positions = np.arange(size) * length / size
    low = np.minimum(np.floor(positions).astype(int), length - 1)
    high = np.minimum(low + 1, length - 1)
    weight = (positions - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return x.take(low, axis) * (1 - weight) + x.take(high, axis) * weight


def resize(x, size_hw, rule):
    return resize_axis(resize_axis(x, 2, size_hw[0], rule), 3, size_hw[1], rule)


def oracle_logits(net, image, scale, size_hw, rule, base_hw=None, window=None, stride=None):
    """Logits of one picture at one scale, (1, K, *size_hw) float64."""
    height, width = (round(side * scale) for side in base_hw or image.shape[:2])
    x = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64) / 255
    x = ((x - MEAN) / STD).transpose(2, 0, 1)[None]
    if window is None:
        return resize(net.in_numpy(x), size_hw, rule)
    padded = np.zeros((1, 3, max(height, window[0]), max(width, window[1])))
    padded[:, :, :height, :width] = x
    total, count = np.zeros((1, NUM_CLASSES, *padded.shape[2:])), np.zeros(padded.shape[2:])
    for top in window_starts(padded.shape[2], window[0], stride[0]):
        for left in window_starts(padded.shape[3], window[1], stride[1]):
            place = np.s_[..., top : top + window[0], left : left + window[1]]
            total[place] += resize(net.in_numpy(padded[place]), window, rule)
            count[place] += 1
    return resize((total / count)[:, :, :height, :width], size_hw, rule)


def predictor_of(net, **options):
    return Predictor(net, **{"num_classes": NUM_CLASSES, "mean": MEAN, "std": STD, "align_corners": True, **options})


def pictures(count, *size_hw, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 5, 7, 3)).astype(np.uint8)
    return np.stack([cv2.resize(picture, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for picture in coarse])


@pytest.fixture(scope="module")
def net():
    return TinyNet()


@pytest.fixture(params=["GRAPH", "PYNATIVE"])
def mode(request):
    ms.set_context(mode=getattr(ms, f"{request.param}_MODE"))
    yield request.param
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.mark.parametrize("rule", RULES)
def test_whole_picture_equals_numpy_at_any_size(net, mode, rule):
    predictor = predictor_of(net, **RULES[rule])
    for size_hw in ((33, 47), (64, 32), (5, 7), (1, 1)):
        images = pictures(2, *size_hw)
        expected = np.concatenate([oracle_logits(net, image, 1, size_hw, rule) for image in images])
        np.testing.assert_allclose(predictor.scores(images), expected, atol=1e-4)
        labels = predictor.predict(list(images))
        assert labels.dtype == np.uint8 and labels.shape == (2, *size_hw)
        assert np.array_equal(labels, predictor.scores(images).argmax(axis=1))


def test_the_main_head_is_used(net):
    images = pictures(1, 16, 16)
    main = predictor_of(net).scores(images)
    auxiliary_would_be = -main
    assert not np.array_equal(predictor_of(net).predict(images), auxiliary_would_be.argmax(axis=1))


def test_a_network_of_bgr_pictures_sees_the_channels_turned(net):
    images = pictures(1, 16, 20)
    turned = predictor_of(net).scores(images[..., ::-1])
    np.testing.assert_array_equal(predictor_of(net, color_order="BGR").scores(images), turned)
    assert np.abs(turned - predictor_of(net).scores(images)).max() > 0.1


def test_one_compile_serves_all_sizes_and_batches(net):
    predictor = predictor_of(net, flip=True, scales=(0.5, 1.0, 1.25))
    for count, size_hw in ((1, (33, 47)), (2, (64, 32)), (3, (9, 70))):
        predictor.predict(pictures(count, *size_hw))
        net.set_train(count % 2 == 0)
    assert len(predictor._logits.compile_cache) == 1
    net.set_train(False)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("fusion", ["exp", "logits", "softmax"])
def test_scales_and_flip_equal_numpy(net, mode, fusion, rule):
    size_hw, scales = (31, 45), (0.5, 1.0, 1.75)
    image = pictures(1, *size_hw)[0]
    plain = [oracle_logits(net, image, scale, size_hw, rule) for scale in scales]
    mirrored = [oracle_logits(net, image[:, ::-1].copy(), scale, size_hw, rule)[..., ::-1] for scale in scales]
    if fusion == "exp":
        expected = np.log(sum(np.exp((a + b) / 2) for a, b in zip(plain, mirrored, strict=True)))
    elif fusion == "logits":
        expected = np.mean(plain + mirrored, axis=0)
    else:
        expected = np.mean([np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in plain + mirrored], axis=0)
    predictor = predictor_of(net, **RULES[rule], flip=True, scales=scales, fusion=fusion)
    np.testing.assert_allclose(predictor.scores([image]), expected, atol=2e-4)
    assert (predictor.predict([image]) == expected.argmax(axis=1)).mean() > 0.999


def test_a_mirrored_picture_gets_the_mirrored_answer_with_flip():
    """33 = 4 * 8 + 1 columns: the strided convolution looks at mirrored pixels of a mirrored picture."""
    predictor = predictor_of(TinyNet(), flip=True)
    images = pictures(1, 17, 33)
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    np.testing.assert_allclose(predictor.scores(mirrored), predictor.scores(images)[..., ::-1], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(("size_hw", "scale"), [((40, 61), 1.0), ((12, 50), 1.0), ((30, 41), 1.5)])
def test_sliding_window_equals_numpy(net, size_hw, scale, batch_size):
    window, stride = (16, 24), (10, 17)
    images = pictures(2, *size_hw)
    expected = np.concatenate([oracle_logits(net, image, scale, size_hw, "corners", None, window, stride) for image in images])
    predictor = predictor_of(net, scales=(scale,), window=window, stride=stride, batch_size=batch_size)
    np.testing.assert_allclose(predictor.scores(images), expected, atol=1e-4)
    assert predictor.predict(images).shape == (2, *size_hw)


def test_image_size_changes_what_the_network_sees_not_the_answers_size(net):
    image = pictures(1, 37, 50)[0]
    expected = oracle_logits(net, image, 1, (37, 50), "corners", base_hw=(64, 48))
    predictor = predictor_of(net, image_size=(64, 48))
    np.testing.assert_allclose(predictor.scores([image]), expected, atol=1e-4)
    assert not np.allclose(expected, predictor_of(net).scores([image]), atol=1e-2)


def test_logits_too_large_for_exp_still_give_finite_scores_and_the_same_classes():
    big = TinyNet(gain=300.0)
    image = pictures(1, 24, 24)[0]
    plain = [oracle_logits(big, image, scale, (24, 24), "corners") for scale in (1.0, 1.5)]
    assert max(x.max() for x in plain) > 100
    expected = np.logaddexp(*plain)
    predictor = predictor_of(big, scales=(1.0, 1.5))
    assert np.isfinite(predictor.scores([image])).all()
    assert (predictor.predict([image]) == expected.argmax(axis=1)).mean() > 0.99


def test_a_network_in_training_is_evaluated_with_its_moving_statistics_and_left_in_training():
    net = TinyNet()
    image = pictures(1, 20, 28)[0]
    expected = predictor_of(net).scores([image])
    predictor = predictor_of(net)
    net.set_train(True)
    net.conv.set_train(False)
    np.testing.assert_allclose(predictor.scores([image]), expected, atol=1e-6)
    assert (net.training, net.conv.training, net.bn.training) == (True, False, True)
    assert np.array_equal(net.bn.moving_mean.asnumpy(), net.mean)


def test_training_mode_comes_back_after_an_error():
    net = TinyNet().set_train(True)
    predictor = predictor_of(net)
    predictor._logits = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        predictor.predict(pictures(1, 8, 8))
    assert net.training and net.bn.training


def test_new_weights_are_seen_and_parameters_keep_their_names():
    net = TinyNet()
    names = [parameter.name for parameter in net.get_parameters()]
    predictor = predictor_of(net)
    before = predictor.scores(pictures(1, 12, 12))
    net.bn.beta.set_data(Tensor(np.arange(NUM_CLASSES), ms.float32))
    after = predictor.scores(pictures(1, 12, 12))
    np.testing.assert_allclose(after - before, np.broadcast_to(np.arange(NUM_CLASSES)[:, None, None], after.shape[1:])[None], atol=1e-4)
    assert [parameter.name for parameter in net.get_parameters()] == names


def config_of(**evaluation):
    protocol = {
        "image_size": None,
        "flip": True,
        "multi_scale": True,
        "scale_list": [0.5, 1.0],
        "fusion": "softmax",
        "slide": True,
        "window": [16, 24],
        "stride": [8, 12],
        "batch_size": 3,
    }
    return SimpleNamespace(
        dataset=SimpleNamespace(name="CamVid", classes=None, num_classes=NUM_CLASSES, color_order="BGR", mean=list(MEAN), std=list(STD)),
        eval=SimpleNamespace(**{**protocol, **evaluation}),
        model=SimpleNamespace(name="seg_hrnet", align_corners=False, half_pixel_centers=False),
    )


def test_from_config_reads_the_protocol(net):
    assert Predictor.from_config(net, config_of()).protocol == {
        "image_size": None,
        "align_corners": False,
        "half_pixel_centers": False,
        "flip": True,
        "scales": [0.5, 1.0],
        "fusion": "softmax",
        "window": [16, 24],
        "stride": [8, 12],
    }
    single = Predictor.from_config(net, config_of(multi_scale=False, slide=False, image_size=[32, 64])).protocol
    assert (single["scales"], single["window"], single["stride"], single["image_size"]) == ([1.0], None, None, [32, 64])


def test_pictures_too_small_for_the_networks_grids_are_refused(net):
    config = config_of(slide=False, flip=False, scale_list=[1.0, 0.5])
    config.model.name, config.model.oc = "seg_resnet_pyramid_oc", SimpleNamespace(grids=[1, 3])
    predictor = Predictor.from_config(net, config)
    message = (
        r"a picture of \(33, 41\) \(height, width\) reaches the network as \(16, 20\), which needs 17 pixels each way.*eval.scale_list"
    )
    with pytest.raises(UserError, match=message):
        predictor.predict(pictures(1, 33, 41))
    assert predictor.predict(pictures(1, 34, 41)).shape == (1, 34, 41)


def test_from_config_predicts_as_the_options_say(net):
    image = pictures(1, 30, 41)[0]
    options = {"flip": True, "scales": (0.5, 1.0), "fusion": "softmax", "window": (16, 24), "stride": (8, 12), **RULES["upper left"]}
    options["color_order"] = "BGR"
    expected = predictor_of(net, **options).scores([image])
    # Not to the last bit: sums over threads may be taken in another order from call to call.
    np.testing.assert_allclose(Predictor.from_config(net, config_of()).scores([image]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "no picture"),
        ([np.zeros((4, 4, 3), np.float32)], "float32; expected"),
        ([None], r"a picture is None \(as cv2.imread gives for a file that it cannot read\); expected its pixels, an array \(H, W, 3\)"),
        ([Path("a.png")], r"a picture is PosixPath 'a.png'; expected its pixels"),
        (["a.png"], r"a picture is str 'a.png'; expected its pixels"),
        ([np.zeros((0, 4, 3), np.uint8)], r"shape \(0, 4, 3\) .* H and W 1 or more"),
        ([np.zeros((4, 4), np.uint8)], r"shape \(4, 4\)"),
        ([np.zeros((4, 4, 4), np.uint8)], r"shape \(4, 4, 4\)"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)], "differ in size"),
    ],
)
def test_wrong_pictures_are_refused(net, images, message):
    with pytest.raises(ValueError, match=message):
        predictor_of(net).predict(images)
    with pytest.raises(ValueError, match=message):
        predictor_of(net).scores(images)


def test_an_exported_model_is_for_predict_py():
    with pytest.raises(UserError, match=r"model.mindir: an exported model is for predict.py; give the .ckpt"):
        Segmenter.from_checkpoint("model.mindir")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "median"}, "eval.fusion is 'median'; choose one of exp, logits, softmax"),
        ({"scales": ()}, "eval.scale_list"),
        ({"scales": (1.0, 0.0)}, "eval.scale_list"),
        ({"window": (8, 8)}, "eval.stride is None"),
        ({"window": (8, 8), "stride": (4, 9)}, r"eval.stride is \(4, 9\)"),
        ({"window": (8, 8), "stride": (0, 4)}, r"eval.stride is \(0, 4\)"),
    ],
)
def test_wrong_options_are_refused(net, options, message):
    with pytest.raises(UserError, match=message):
        predictor_of(net, **options)


def test_more_classes_than_a_label_holds_are_refused(net):
    with pytest.raises(ValueError, match="num_classes is 300"):
        predictor_of(net, num_classes=300)
