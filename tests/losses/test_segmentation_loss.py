import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.config import load_config
from src.losses.cross_entropy import CrossEntropy, OhemCrossEntropy
from src.losses.dice import Dice
from src.losses.focal import Focal
from src.losses.lovasz import LovaszSoftmax
from src.losses.rmi import RegionMutualInformation
from src.losses.segmentation import SegmentationLoss, WeightedTerms, build_loss


class MeanOfLogits(nn.Cell):
    """A criterion whose value shows how the logits were resized."""

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        return (logits * label.astype(ms.float32).expand_dims(1)).sum()


@pytest.mark.parametrize(("rule", "at_second_column"), [((True, True), 1.0), ((False, True), 0.75), ((False, False), 1.5)])
def test_logits_are_resized_to_the_label(rule, at_second_column):
    # A ramp 0..3 resized to 4 columns; the label picks the second one.
    logits = Tensor(np.array([[[[0.0, 3.0]]]], np.float32))
    label = Tensor(np.array([[[0, 1, 0, 0]]], np.int32))
    loss = SegmentationLoss([MeanOfLogits()], [1.0], *rule)
    assert loss((logits,), label).asnumpy() == pytest.approx(at_second_column)


def test_outputs_are_weighted_and_summed_in_their_order():
    logits = [Tensor(np.full((1, 1, 2, 2), value, np.float16)) for value in (1.0, 10.0)]
    label = Tensor(np.ones((1, 2, 2), np.int32))
    total = SegmentationLoss([MeanOfLogits(), MeanOfLogits()], [0.5, 2.0], True)(tuple(logits), label)
    assert total.dtype == ms.float32
    assert total.asnumpy() == 4 * (0.5 * 1 + 2.0 * 10)


def test_one_weight_per_output():
    with pytest.raises(ValueError, match="needs 1 values"):
        SegmentationLoss([MeanOfLogits()], [0.4, 1.0], True)


@pytest.mark.parametrize(
    ("align_corners", "half_pixel_centers", "rule"),
    [(True, True, (True, False)), (False, True, (False, True)), (False, False, (False, False))],
)
def test_the_resizing_is_the_networks(align_corners, half_pixel_centers, rule):
    words = [f"model.align_corners={align_corners}", f"model.half_pixel_centers={half_pixel_centers}"]
    resize = build_loss(load_config("hrnetv2_w48", words=words)).resize
    assert (resize.align_corners, resize.half_pixel_centers) == rule


def table(criterion: nn.Cell) -> list[float]:
    return criterion.pixel_losses.weights.asnumpy().ravel().tolist()


def test_ohem_is_for_the_main_output_alone():
    auxiliary, main = build_loss(load_config("demo", words=["loss.use_ohem=True", "loss.ohem_keep=7", "loss.ohem_threshold=0.6"])).criteria
    assert isinstance(auxiliary, CrossEntropy)
    assert isinstance(main, OhemCrossEntropy)
    assert (main.keep, main.threshold) == (7, 0.6)
    assert all(isinstance(criterion, CrossEntropy) for criterion in build_loss(load_config("demo")).criteria)


TERMS = {
    "cross_entropy": OhemCrossEntropy,
    "focal": Focal,
    "dice": Dice,
    "lovasz": LovaszSoftmax,
    "rmi": RegionMutualInformation,
}


def test_terms_are_for_the_main_output_alone():
    words = [f"loss.terms=[{','.join(TERMS)}]", "loss.term_weights=[1,2,3,4,0.5]", "loss.use_ohem=True", "loss.focal_gamma=3"]
    auxiliary, main = build_loss(load_config("hrnetv2_w48", words=["dataset.num_classes=2", *words]), [2.0, 3.0]).criteria
    assert isinstance(auxiliary, CrossEntropy)
    assert [type(term) for term in main.terms] == list(TERMS.values())
    assert main.weights == (1, 2, 3, 4, 0.5)
    assert main.terms[1].gamma == 3
    assert [table(main.terms[0]), table(main.terms[1])] == [[2.0, 3.0], [2.0, 3.0]]


def test_a_single_term_has_its_weight():
    main = build_loss(load_config("demo", words=["loss.terms=[dice]", "loss.term_weights=[0.5]"])).criteria[1]
    assert main.weights == (0.5,)
    assert isinstance(build_loss(load_config("demo", words=["loss.terms=[dice]"])).criteria[1], Dice)


def test_terms_are_weighted_and_summed(mode):
    logits, label = Tensor(np.full((1, 1, 2, 2), 3.0, np.float32)), Tensor(np.ones((1, 2, 2), np.int32))
    assert WeightedTerms([MeanOfLogits(), MeanOfLogits()], [0.5, 2.0])(logits, label).asnumpy() == 12 * 2.5
    with pytest.raises(ValueError, match="needs 2 values, one per term"):
        WeightedTerms([MeanOfLogits(), MeanOfLogits()], [1.0])


def test_a_plain_network_has_one_criterion():
    loss = build_loss(load_config("demo", words=["model.name=seg_hrnet", "loss.balance_weights=[1.0]"]))
    assert len(loss.criteria) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["loss.use_weights=True"], [2.0, 3.0]),
        (["loss.use_weights=True", "loss.class_weights=[5,6]"], [5.0, 6.0]),
        (["loss.use_weights=False", "loss.class_weights=[5,6]"], [1.0, 1.0]),
    ],
)
def test_which_class_weights_count(words, expected):
    loss = build_loss(load_config("hrnetv2_w48", words=["dataset.num_classes=2", *words]), [2.0, 3.0])
    assert [table(criterion) for criterion in loss.criteria] == [expected, expected]


def test_without_a_table_all_classes_weigh_alike():
    assert table(build_loss(load_config("hrnetv2_w48", words=["dataset.num_classes=2"])).criteria[1]) == [1.0, 1.0]
