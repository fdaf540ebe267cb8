"""What a data set's name and its file of classes say of the configuration."""

import json
import logging

import pytest

from src.config import UserError, load_config, save_config
from src.config.facts import report_facts

THREE = "classes: [{name: a}, {name: b, values: [7]}, {name: c, mirror: a}]\nignore_label: 9\n"


@pytest.fixture
def classes_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(THREE)
    return path


def custom(path, *words, preset="camvid_w18_small"):
    return load_config(preset, words=["dataset.name=custom", f"dataset.classes_file={path}", *words])


def test_the_name_says_how_many_classes():
    numbers = {name: load_config(words=[f"dataset.name={name}"]).dataset.num_classes for name in ("Cityscapes", "ADE20K", "LIP", "VOC")}
    assert numbers == {"Cityscapes": 19, "ADE20K": 150, "LIP": 20, "VOC": 21}
    assert load_config(words=["dataset.num_classes=5", "dataset.name=ADE20K"]).dataset.num_classes == 5  # weights of another kind


def test_classes_of_a_file(classes_file):
    config = custom(classes_file)
    assert (config.dataset.num_classes, config.dataset.ignore_label, config.dataset.classes.classes[1]["values"]) == (3, 9, [7])
    assert config.loss.class_weights is None  # the preset's are CamVid's


def test_a_configuration_that_was_written_needs_no_file(classes_file, tmp_path):
    config = custom(classes_file, "loss.class_weights=[1.0,2.0,3.0]")
    save_config(config, tmp_path / "config.yaml")
    classes_file.unlink()
    assert load_config(str(tmp_path / "config.yaml")) == config


def test_another_file_replaces_the_classes_that_were_written(classes_file, tmp_path):
    save_config(custom(classes_file), tmp_path / "config.yaml")
    other = tmp_path / "d.yaml"
    other.write_text("classes: [{name: x}, {name: y}]")
    config = load_config(str(tmp_path / "config.yaml"), words=[f"dataset.classes_file={other}"])
    assert (config.dataset.num_classes, config.dataset.ignore_label) == (2, 255)
    assert dict(config.dataset.classes) == {"classes": [{"name": "x"}, {"name": "y"}]}  # and nothing of the first file


def test_another_data_set_drops_the_classes_that_were_written(classes_file, tmp_path):
    save_config(custom(classes_file), tmp_path / "config.yaml")
    config = load_config(str(tmp_path / "config.yaml"), words=["dataset.name=LIP"])
    assert (config.dataset.num_classes, config.dataset.classes, config.dataset.classes_file) == (20, None, None)


def test_weights_of_custom_classes_bring_them_along(classes_file, tmp_path):
    (tmp_path / "best.ckpt").touch()
    save_config(custom(classes_file), tmp_path / "best.yaml")
    classes_file.unlink()
    flags = {"checkpoint_path": str(tmp_path / "best.ckpt")}
    config = load_config(flags=flags)
    assert (config.dataset.name, config.dataset.num_classes, config.dataset.classes.ignore_label) == ("custom", 3, 9)
    config = load_config(flags=flags, words=["dataset.name=CamVid"])  # fine-tuned on another data set
    assert (config.dataset.name, config.dataset.num_classes, config.dataset.classes) == ("CamVid", 11, None)


@pytest.mark.parametrize("name", ["classes.yaml", "sub/mine.yaml"])
def test_the_file_may_lie_in_the_data_folder(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(THREE)
    words = ["dataset.name=custom", *([f"dataset.classes_file={name}"] if "/" in name else [])]
    config = load_config("demo", {"data_path": str(tmp_path)}, words)
    assert config.dataset.num_classes == 3 and config.dataset.classes_file == str(path)


def test_mapillary_says_its_classes_itself(tmp_path):
    labels = [
        {"name": f"x--{k}", "readable": name, "color": [k, k, k], "instances": True, "evaluate": name != "Void"}
        for k, name in enumerate(("Bird", "Void", "Curb"))
    ]
    (tmp_path / "config.json").write_text(json.dumps({"labels": labels}))
    config = load_config("demo", {"data_path": str(tmp_path)}, ["dataset.name=Mapillary"])
    assert config.dataset.num_classes == 2
    assert config.dataset.classes.classes == [
        {"name": "Bird", "color": [0, 0, 0], "values": [0]},
        {"name": "Curb", "color": [2, 2, 2], "values": [2]},
    ]
    assert config.dataset.classes.ignored["values"] == [1]


@pytest.mark.parametrize(
    "words, message",
    [
        (["dataset.name=custom"], "dataset.name=custom needs classes: classes.yaml in --data_path, or dataset.classes_file=FILE"),
        (["dataset.name=Mapillary"], "needs classes: config_v2.0.json or config_v1.2.json or config.json in --data_path"),
        (
            ["dataset.classes_file={file}"],
            "dataset.classes_file is for dataset.name VOC, Mapillary, custom; Cityscapes has classes of its own",
        ),
        (["dataset.name=custom", "dataset.classes_file=gone.yaml"], "gone.yaml: no such file; it lists the classes"),
        (["dataset.num_classes=4", "dataset.name=custom", "dataset.classes_file={file}"], "dataset.num_classes is 4 but {file} says 3"),
        (["dataset.name=custom", "dataset.classes_file={file}", "dataset.ignore_label=10"], "dataset.ignore_label is 10 but {file} says 9"),
        (["dataset.name=custom", "dataset.classes=3"], "'dataset.classes' must be dict; got 3"),
        (["dataset.name=custom", "dataset.classes={{classes: []}}"], "dataset.classes: 'classes' must be a list of 1 to 255 entries"),
        (["dataset.name=custom", "dataset.classes={{classes: [{{name: a}}]}}"], "'dataset.num_classes' must be at least 2; got 1"),
        (["dataset.name=custom", "dataset.classes_file={folder}/config.json"], "is no config.json of Mapillary Vistas"),
        (["dataset.name=custom", "dataset.classes_file={folder}"], "cannot be read as YAML"),
    ],
)
def test_refusals(classes_file, words, message):
    (classes_file.parent / "config.json").write_text("[]")
    names = {"file": classes_file, "folder": classes_file.parent}
    with pytest.raises(UserError) as error:
        load_config("demo", words=[word.format(**names) for word in words])
    assert message.format(**names) in str(error.value) and "\n" not in str(error.value)


def lists_of(config):
    return config.train.train_list, config.eval.eval_list


def test_lists_of_another_data_set_fall_away(classes_file, tmp_path):
    assert lists_of(load_config("camvid_w18_small")) == ("train.txt", "val.txt")
    assert lists_of(custom(classes_file)) == ("train.lst", "val.lst")
    assert lists_of(custom(classes_file, "train.train_list=mine.txt")) == ("mine.txt", "val.lst")
    path = tmp_path / "mine.yaml"
    path.write_text("train: {train_list: mine.txt}")  # says of which data set neither
    assert lists_of(custom(classes_file, preset=str(path))) == ("mine.txt", "val.lst")
    save_config(load_config("camvid_w18_small"), path)
    assert lists_of(load_config(str(path), words=["dataset.name=CamVid"])) == ("train.txt", "val.txt")
    assert lists_of(load_config(str(path), words=["dataset.name=LIP"])) == ("train.lst", "val.lst")


def test_the_same_classes_keep_their_weights_and_others_do_not(classes_file, tmp_path):
    run = tmp_path / "config.yaml"
    save_config(custom(classes_file, "loss.class_weights=[1.0,2.0,3.0]"), run)
    (tmp_path / "copy.yaml").write_text(THREE)
    for name, weights in (("c.yaml", [1.0, 2.0, 3.0]), ("copy.yaml", [1.0, 2.0, 3.0])):
        assert load_config(str(run), words=["dataset.name=custom", f"dataset.classes_file={tmp_path / name}"]).loss.class_weights == weights
    (tmp_path / "copy.yaml").write_text(THREE.replace("7", "8"))
    assert load_config(str(run), words=[f"dataset.classes_file={tmp_path / 'copy.yaml'}"]).loss.class_weights is None


def test_another_name_drops_classes_and_ignore_label(classes_file, tmp_path):
    save_config(custom(classes_file), tmp_path / "config.yaml")
    voc = load_config(str(tmp_path / "config.yaml"), words=["dataset.name=VOC"])
    assert (voc.dataset.num_classes, voc.dataset.classes, voc.dataset.ignore_label) == (21, None, 255)
    camvid = load_config(str(tmp_path / "config.yaml"), words=["dataset.name=CamVid"])
    assert (camvid.dataset.num_classes, camvid.dataset.ignore_label, camvid.loss.class_weights[0]) == (11, 255, 0.51)
    with pytest.raises(UserError, match="dataset.name=Mapillary needs classes"):
        load_config(str(tmp_path / "config.yaml"), words=["dataset.name=Mapillary"])


def test_classes_of_weights_stay_on_other_data_and_are_named(classes_file, tmp_path, caplog):
    data, weights = tmp_path / "data", tmp_path / "best.ckpt"
    data.mkdir()
    weights.touch()
    save_config(custom(classes_file), weights.with_suffix(".yaml"))
    flags = {"checkpoint_path": str(weights), "data_path": str(data)}

    def warnings(*words):
        caplog.clear()
        config = load_config(str(weights.with_suffix(".yaml")), flags, words)
        report_facts(config, logging.getLogger("test"))
        return config.dataset.num_classes, [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    assert warnings() == (3, [])
    (data / "classes.yaml").write_text(THREE)
    assert warnings() == (3, [])
    (data / "classes.yaml").write_text("classes: [{name: x}, {name: y}]")
    number, (line,) = warnings("dataset.name=custom")
    assert number == 3 and f"those of {classes_file}, as the configuration keeps them; {data}/classes.yaml lists others" in line
    assert warnings(f"dataset.classes_file={data}/classes.yaml")[0] == 2
