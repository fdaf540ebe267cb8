import pytest

from src.config import UserError, load_config


@pytest.mark.parametrize(
    ("words", "weights"),
    [
        ([], [0.4, 1.0]),
        (["model.name=seg_hrnet"], [1.0]),
        (["model.name=seg_resnet"], [0.4, 1.0]),
        (["loss.balance_weights=[0.7,1.0]", "model.name=seg_hrnet_isa"], [0.7, 1.0]),
        (["model.name=seg_hrnet", "loss.balance_weights=[2.0]"], [2.0]),
    ],
)
def test_loss_weights_follow_the_network(words, weights):
    assert list(load_config("demo", words=words).loss.balance_weights) == weights


def test_loss_weights_of_a_file_follow_another_network_on_the_command_line(tmp_path):
    path = tmp_path / "plain.yaml"
    path.write_text("preset: demo\nmodel: {name: seg_hrnet}\nloss: {balance_weights: [3.0]}\n")
    assert list(load_config(str(path)).loss.balance_weights) == [3.0]
    assert list(load_config(str(path), words=["model.name=seg_hrnet_ocr"]).loss.balance_weights) == [0.4, 1.0]


def test_wrong_loss_weights_of_ones_own_are_refused():
    with pytest.raises(UserError, match="balance_weights needs 1 values for model.name seg_hrnet"):
        load_config("demo", words=["model.name=seg_hrnet", "loss.balance_weights=[0.4,1.0]"])


def test_a_key_of_another_section_is_found_by_its_name():
    with pytest.raises(UserError, match=r"did you mean eval.batch_size or batchsize\?"):
        load_config("demo", words=["train.batch_size=4"])
