from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.config.errors import UserError
from src.data.camvid import INFO, CamVid
from src.data.label_check import check_labels
from src.data.label_values import ranges
from tests.data.make_data import SIZE_HW, make_camvid, write_png


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_camvid(tmp_path / "camvid")


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_reads_rgb_and_train_ids(root):
    write_png(root / "train/p0.png", np.full((*SIZE_HW, 3), (250, 20, 30), np.uint8))
    image, label = CamVid(root, "train.txt", "train").read(0)
    assert image.shape == (*SIZE_HW, 3) and image.dtype == np.uint8
    assert image[0, 0].tolist() == [250, 20, 30]
    assert label.dtype == np.uint8
    assert label[0, :13].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255, 0]


def test_another_ignore_label(root):
    _, label = CamVid(root, "train.txt", "train", ignore_label=200).read(0)
    assert label[0, 11] == 200 and label.max() == 200


def test_info_is_complete():
    assert len(INFO.class_names) == len(INFO.palette) == len(INFO.class_weights) == 11
    assert INFO.class_names[3] == "road" and INFO.palette[3].tolist() == [128, 64, 128]


@pytest.mark.parametrize("separator", ["\t", ",", " ", ", ", "   "])
def test_separators_blank_lines_crlf_and_byte_order_mark(root, separator):
    line = separator.join(["train/p1.png", "trainannot/p1.png"])
    (root / "train.txt").write_bytes(f"\ufeff\r\n{line}\r\n\r\n".encode())
    dataset = CamVid(root, "train.txt", "train")
    assert len(dataset) == 1 and dataset.image_path(0) == root / "train/p1.png"


def test_segnet_absolute_and_leading_slash_names(root):
    (root / "train.txt").write_text(
        f"/SegNet/CamVid/train/p1.png /SegNet/CamVid/trainannot/p1.png\n{root}/train/p2.png {root}/trainannot/p2.png\n"
        "/train/p3.png /trainannot/p3.png\n"
    )
    dataset = CamVid(root, "/train.txt", "train")
    assert [dataset.image_path(k).name for k in range(3)] == ["p1.png", "p2.png", "p3.png"]


def test_tab_allows_spaces_in_names(root):
    write_png(root / "my train/p 0.png", np.zeros((*SIZE_HW, 3), np.uint8))
    (root / "train.txt").write_text("my train/p 0.png\ttrainannot/p0.png\n")
    assert CamVid(root, "train.txt", "train").sample_name(0) == "p 0"


def test_num_samples_and_unique_names(root):
    write_png(root / "other/p0.png", np.zeros((*SIZE_HW, 3), np.uint8))
    names = ["train/p0", "other/p0", "train/p1", "train/p1", "train/p2"]
    (root / "train.txt").write_text("".join(f"{name}.png trainannot/p0.png\n" for name in names))
    dataset = CamVid(root, "train.txt", "train", num_samples=4)
    assert [dataset.sample_name(k) for k in range(len(dataset))] == ["train_p0", "other_p0", "train_p1", "train_p1_2"]


def test_palette_png_gives_indices(root):
    picture = Image.fromarray(np.full(SIZE_HW, 7, np.uint8), "P")
    picture.putpalette(list(INFO.palette.ravel()))
    picture.save(root / "trainannot/p0.png")
    assert (CamVid(root, "train.txt", "train").read_label(0) == 7).all()


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such data folder"):
        CamVid(tmp_path / "nowhere", "train.txt", "train")


def test_missing_list(root):
    with pytest.raises(UserError, match="absent.txt: no such list"):
        CamVid(root, "absent.txt", "train")


def test_empty_list(root):
    (root / "train.txt").write_text("\n \r\n")
    with pytest.raises(UserError, match="train.txt: the list is empty"):
        CamVid(root, "train.txt", "train")


@pytest.mark.parametrize("line", ["train/p0.png", "a b c", "train/p0.png,", "a\tb\tc"])
def test_malformed_line(root, line):
    (root / "train.txt").write_text(f"train/p0.png trainannot/p0.png\n{line}\n")
    with pytest.raises(UserError, match="train.txt:2: expected 'image label'") as error:
        CamVid(root, "train.txt", "train")
    one_line(error)


def test_binary_list(root):
    (root / "train.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="train.txt: the list cannot be read"):
        CamVid(root, "train.txt", "train")


@pytest.mark.parametrize("name", ["train/p2.png", "trainannot/p2.png"])
def test_missing_file_names_the_line(root, name):
    (root / name).unlink()
    with pytest.raises(UserError, match=rf"train.txt:3: .*{name}: no such file; correct the list or the data folder {root}$"):
        CamVid(root, "train.txt", "train").refuse_missing_files()
    (root / "train/p4.png").unlink()
    with pytest.raises(UserError, match=rf"train.txt:3: .*{name}: no such file; .*; 2 files are missing$"):
        CamVid(root, "train.txt", "train").refuse_missing_files()


@pytest.mark.parametrize(("name", "what"), [("train/p1.png", "picture"), ("trainannot/p1.png", "label")])
def test_truncated_png(root, name, what):
    data = (root / name).read_bytes()
    (root / name).write_bytes(data[:-20])
    with pytest.raises(UserError, match=rf"train.txt:2: .*{name}: the {what} cannot be read: .*truncated") as error:
        CamVid(root, "train.txt", "train").read(1)
    one_line(error)


def test_truncated_jpeg(root):
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), np.uint8)
    path = root / "train/p1.jpg"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    (root / "train.txt").write_text("train/p1.jpg trainannot/p1.png\n")
    with pytest.raises(UserError, match="p1.jpg: the picture cannot be read: .*truncated"):
        CamVid(root, "train.txt", "train").read(0)


@pytest.mark.parametrize("name", ["train/p1.png", "trainannot/p1.png"])
def test_no_picture_at_all(root, name):
    (root / name).write_text("<html>404</html>")
    with pytest.raises(UserError, match=f"{name}: not a readable picture: cannot identify its format"):
        CamVid(root, "train.txt", "train").read(1)


def test_jpeg_label(root):
    Image.fromarray(np.zeros(SIZE_HW, np.uint8)).save(root / "trainannot/p1.png", "JPEG")  # by content, not by name
    with pytest.raises(UserError, match="p1.png: a JPEG label"):
        CamVid(root, "train.txt", "train").read(1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_label_of_other_mode(root, mode):
    Image.new(mode, SIZE_HW[::-1]).save(root / "trainannot/p1.png")
    with pytest.raises(UserError, match=f"p1.png: a label of mode {mode}; expected a single-channel index PNG"):
        CamVid(root, "train.txt", "train").read(1)


def test_size_mismatch_names_both_sizes(root):
    write_png(root / "trainannot/p1.png", np.zeros((20, 30), np.uint8))
    with pytest.raises(UserError, match=r"train.txt:2: .* is 32x24 pixels but its label .* is 30x20"):
        CamVid(root, "train.txt", "train").read(1)


def test_values_out_of_range_are_counted(root):
    label = np.zeros(SIZE_HW, np.uint8)
    label[0, :5], label[1, :3] = 77, 12
    write_png(root / "trainannot/p1.png", label)
    with pytest.raises(UserError, match=r"txt:2: .*p1.png: label values 12 \(3 pixels\), 77 \(5 pixels\) are none of 0..11, 255; map"):
        CamVid(root, "train.txt", "train").read(1)


def test_cityscapes_labels_are_recognised(root):
    write_png(root / "trainannot/p1.png", np.resize(np.arange(34, dtype=np.uint8), SIZE_HW))
    with pytest.raises(UserError, match="look like Cityscapes labelIds: set dataset.name=Cityscapes"):
        CamVid(root, "train.txt", "train").read(1)


def test_check_labels_looks_at_each_index(root):
    dataset = CamVid(root, "train.txt", "train")
    seen = []
    check_labels(dataset, range(6), progress=seen.append)
    assert seen == [1] * 6
    write_png(root / "trainannot/p5.png", np.full(SIZE_HW, 99, np.uint8))
    with pytest.raises(UserError, match="1 of 6 pictures and labels are wrong: .*p5.png"):
        check_labels(dataset, range(6))
    check_labels(dataset, range(0, 6, 2))  # another rank's share


def test_check_labels_lists_five_in_one_line(tmp_path):
    root = make_camvid(tmp_path, num=8)
    for k in range(7):
        write_png(root / f"trainannot/p{k}.png", np.full(SIZE_HW, 50 + k, np.uint8))
    with pytest.raises(UserError, match="7 of 8 pictures and labels are wrong") as error:
        check_labels(CamVid(root, "train.txt", "train"), range(8))
    text = one_line(error)
    assert "p4.png" in text and "p5.png" not in text and text.endswith("and 2 more")


def test_check_labels_refuses_binary_masks(root):
    for k in range(6):
        write_png(root / f"trainannot/p{k}.png", np.resize(np.array([0, 255], np.uint8), SIZE_HW))
    with pytest.raises(UserError, match=r"only 0 and 255: these look like binary masks, .* give the second class `values: \[255\]`"):
        check_labels(CamVid(root, "train.txt", "train"), range(6))


def testranges():
    assert ranges([0, 1, 2, 5, 255]) == "0..2, 5, 255"
