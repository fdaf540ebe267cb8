"""What an OCR head's answer comes from: the maps are those of the network's own computation."""

from pathlib import Path
from typing import Any

import cv2
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.config import UserError
from src.data.registry import dataset_info
from src.inference.explain import Explainer, Explanation, choose_points
from src.inference.explanation_picture import draw_explanation
from src.inference.predictor import Predictor
from src.models.builder import build_network
from src.models.ocr_maps import OCRMaps
from tests.tiny import tiny_config

IMAGE = np.random.default_rng(3).standard_normal((2, 3, 48, 72), np.float32)


def _network(*words: str) -> tuple[Any, Any]:
    config = tiny_config(None, "train.param_initializer=HeNormal", *words)
    ms.set_seed(5)
    return build_network(config).set_train(False), config


def _softmax(x: np.ndarray, axis: int) -> np.ndarray:
    raised = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return raised / raised.sum(axis, keepdims=True)


@pytest.mark.parametrize("mode_name", ["PYNATIVE", pytest.param("GRAPH", marks=pytest.mark.slow)])
def test_maps_belong_to_the_networks_own_logits(mode_name: str, pynative: None) -> None:
    ms.set_context(mode=getattr(ms, f"{mode_name}_MODE"))
    network, _ = _network()
    aux, out = (logits.asnumpy() for logits in network(Tensor(IMAGE)))
    logits, regions, relation = (value.asnumpy() for value in OCRMaps(network).set_train(False)(Tensor(IMAGE)))
    np.testing.assert_array_equal(logits, out)
    np.testing.assert_allclose(regions, _softmax(aux.reshape(2, 11, -1), 2).reshape(aux.shape), rtol=1e-5)
    np.testing.assert_allclose(regions.sum((2, 3)), 1, rtol=1e-6)
    np.testing.assert_allclose(relation.sum(1), 1, rtol=1e-6)
    assert np.ptp(relation, 1).max() > 1e-4, "weights that are all alike would show nothing"


def test_relation_gives_the_heads_object_context(pynative: None) -> None:
    network, _ = _network("model.ocr.scale=2")
    head = network.head
    _, _, relation = OCRMaps(network).set_train(False)(Tensor(IMAGE))
    aux_features, features = network.backbone(Tensor(IMAGE))
    pixels = head.conv3x3_ocr(features)
    regions = head.ocr_gather_head(pixels, head.aux_head(aux_features))
    block = head.ocr_distri_head.object_context_block
    values = block.f_down(regions).asnumpy()[..., 0]  # (B, D, K)
    context = np.einsum("bdk,bkhw->bdhw", values, relation.asnumpy())
    assert context.shape[2:] == (6, 9)
    expected = block.pool.restore(block.f_up(Tensor(context)), pixels).asnumpy()
    np.testing.assert_allclose(block(pixels, regions).asnumpy(), expected, rtol=1e-4, atol=1e-6)


def test_explaining_leaves_a_network_in_training_as_it_was(pynative: None) -> None:
    network, config = _network()
    network.set_train(True)
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    explanation = Explainer(Predictor.from_config(network, config))(picture)
    assert explanation.size_hw == (50, 70)
    assert explanation.regions.shape == explanation.relation.shape == (11, 72, 96)  # a quarter of eval.image_size
    assert network.training and network.head.training


def test_weights_and_context_of_a_pixel_by_hand() -> None:
    regions = np.array([[[0.5, 0.5]], [[1.0, 0.0]]], np.float32)  # two classes, two columns
    relation = np.array([[[0.25, 1.0]], [[0.75, 0.0]]], np.float32)
    explanation = Explanation((10, 20), regions, relation)
    np.testing.assert_array_equal(explanation.weights((9, 9)), [0.25, 0.75])
    np.testing.assert_array_equal(explanation.weights((10, 0)), [1.0, 0.0])
    np.testing.assert_array_equal(explanation.context((0, 0)), [[0.875, 0.125]])
    np.testing.assert_array_equal(explanation.context((19, 9)), [[0.5, 0.5]])
    for point in ((20, 0), (0, 10), (-1, 0)):
        with pytest.raises(UserError, match=r"--explain_at .*columns 0..19 and rows 0..9"):
            explanation.weights(point)


def test_points_lie_inside_the_largest_parts() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 3
    labels[10:15, 5:10] = 7  # 25 pixels
    labels[0, 0] = 5  # too small to be chosen
    points = choose_points(labels)
    assert [labels[y, x] for x, y in points] == [3, 0, 7]
    assert points[2] == (7, 12)  # the square's centre
    assert 40 <= points[0][0] < 50 and points[0][1] in range(14, 26)
    assert len(choose_points(labels, most=1)) == 1
    assert choose_points(np.zeros((1, 1), np.uint8)) == [(0, 0)]


def test_picture_is_drawn_for_any_shape_and_refused_outside(tmp_path: Path) -> None:
    info = dataset_info(tiny_config())
    picture = np.random.default_rng(0).integers(0, 256, (90, 40, 3), np.uint8)
    labels = np.repeat(np.arange(9, dtype=np.uint8), 10)[:, None].repeat(40, 1)
    maps = _softmax(np.random.default_rng(1).standard_normal((11, 23, 10)), 0).astype(np.float32)
    explanation = Explanation((90, 40), maps / maps.sum((1, 2), keepdims=True), maps)
    path = tmp_path / "explained.png"
    with pytest.raises(UserError, match="--explain_at 40 2"):
        draw_explanation(path, picture, labels, explanation, [(40, 2)], info)
    assert not list(tmp_path.iterdir())
    draw_explanation(path, picture, labels, explanation, [(3, 4), (39, 89)], info)
    height, width, _ = cv2.imread(str(path)).shape
    assert 1000 < width < 2000 and 1000 < height < 6000


def test_a_picture_that_is_very_tall_is_drawn_small(tmp_path: Path) -> None:
    picture, maps = np.zeros((30_000, 2, 3), np.uint8), np.full((11, 40, 2), 1 / 80, np.float32)
    labels = np.zeros((30_000, 2), np.uint8)
    explanation = Explanation((30_000, 2), maps, maps)
    draw_explanation(tmp_path / "tall.png", picture, labels, explanation, [(1, 29_999)], dataset_info(tiny_config()))
    height, width, _ = cv2.imread(str(tmp_path / "tall.png")).shape
    assert height < 3000 and 1000 < width < 2000  # titles have room


@pytest.mark.parametrize("name", ["seg_hrnet", "seg_hrnet_isa"])
def test_networks_without_regions_are_refused(pynative: None, name: str) -> None:
    words = ["loss.balance_weights=[1.0]"] if name == "seg_hrnet" else []
    network, config = _network(f"model.name={name}", "model.oc.mid_channels=8", "model.oc.key_channels=4", *words)
    with pytest.raises(UserError, match="has none"):
        Explainer(Predictor.from_config(network, config))
