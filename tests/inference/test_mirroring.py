"""Test-time flip of classes that have sides: logits of a mirrored left arm are a right arm's."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from src.config import load_config
from src.inference.predictor import Predictor

HEIGHT, WIDTH = 4, 8


class Sides(nn.Cell):
    """Knows left and right by the place alone: class 1 in the left half of what it sees, class 2 in the right half, by the red channel."""

    def construct(self, image):
        red = image[:, :1]
        columns = ops.arange(WIDTH).reshape(1, 1, 1, WIDTH)
        is_left = (columns < WIDTH // 2).astype(ms.float32)
        return (ops.concat([ops.zeros_like(red) + 0.25, red * is_left, red * (1 - is_left)], axis=1),)


def predictor(**options):
    return Predictor(Sides(), num_classes=3, mean=(0.0,) * 3, std=(1.0,) * 3, align_corners=True, fusion="logits", flip=True, **options)


@pytest.fixture
def image():
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, 1:3] = 255  # a left arm, nothing on the right
    return picture


def test_logits_of_the_mirrored_picture_change_places(pynative, image):
    # By hand: mirrored, the arm lies in columns 5..6, where the network says class 2; mirrored back, and renamed, it is class 1 again.
    scores = predictor(mirrored_classes=np.array([0, 2, 1])).scores([image])[0, :, 0]
    assert np.argmax(scores, axis=0).tolist() == [0, 1, 1, 0, 0, 0, 0, 0]
    single = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(scores[1] / scores[1].max(), single, atol=1e-6)
    np.testing.assert_allclose(scores[2], 0, atol=1e-6)


def test_without_pairs_the_sides_blend(pynative, image):
    scores = predictor().scores([image])[0, :, 0]
    np.testing.assert_allclose(scores[1], scores[2], atol=1e-6)  # half of each: which is what pairs are for


def test_the_configuration_knows_the_pairs():
    config = load_config("hrnetv2_w18", words=["dataset.name=LIP", "eval.flip=True"])
    classes = Predictor.from_config(Sides(), config)._mirrored_classes
    assert classes.tolist() == [*range(14), 15, 14, 17, 16, 19, 18]
