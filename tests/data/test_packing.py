"""Packing: all of it or nothing, whatever stops it."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from src.config import UserError, load_config
from src.data import packing
from src.data.check.__main__ import main as check
from src.data.loader import build_dataset
from src.data.pack import main as pack
from src.data.pack import run
from src.data.packed_manifest import MANIFEST
from tests.data.make_data import make_camvid, write_png

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path):
    return make_camvid(tmp_path / "data")


def flags(root, *more):
    return ["--config", "camvid_w18_small", "--data_path", str(root), "--output_path", str(root.parent / "packed"), *more]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_says_what_was_written(root, capsys):
    assert pack(flags(root)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("train: 6 pictures of train.txt in 1 file, ") and "0.05 MB of pictures and labels" in lines[0]
    room = float(re.search(r"([\d.]+) MB on the disk", lines[0])[1])
    assert room < 1 < (root.parent / "packed/train-000.mindrecord").stat().st_size / 1e6  # a page of 4 MiB that is nearly empty
    assert lines[2].startswith("12 pictures packed in ") and lines[2].endswith(str(root.parent / "packed"))
    assert names(root.parent) == ["data", "packed"]
    assert all(os.access(path, os.R_OK) and path.stat().st_mode & 0o777 == 0o644 for path in (root.parent / "packed").glob("*.mindrecord*"))


def test_what_is_there_is_kept_or_replaced(root):
    packed = root.parent / "packed"
    packed.mkdir()
    assert pack(flags(root)) == 0  # an empty folder
    with pytest.raises(UserError, match="holds packed data; --force replaces them"):
        pack(flags(root))
    before = (packed / MANIFEST).read_bytes()
    write_png(root / "trainannot/p5.png", np.full((24, 32), 60, np.uint8))
    with pytest.raises(UserError, match=r"train.txt:6: .*p5.png: label values 60 \(768 pixels\) are none of 0..11"):
        pack(flags(root, "--force"))
    assert (packed / MANIFEST).read_bytes() == before and names(root.parent) == ["data", "packed"]
    assert pack(flags(root, "--force", "train.num_samples=5", "eval.num_samples=5")) == 0
    assert (packed / MANIFEST).read_bytes() != before and names(root.parent) == ["data", "packed"]


def test_what_is_packed_is_not_packed_again(root):
    (root / MANIFEST).write_text("{}")
    for look, message in ((pack, "is packed already: train on it with --data_format"), (check, "packed data were looked at when")):
        with pytest.raises(UserError, match=f"{root}: {message}"):
            look(flags(root))
    assert names(root.parent) == ["data"]


def test_other_things_are_never_replaced(root, tmp_path):
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/thesis.txt").write_text("years")
    with pytest.raises(UserError, match="holds other things; name a new or empty folder"):
        pack(flags(root, "--force"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        pack([*flags(root)[:-1], str(tmp_path / "file")])
    with pytest.raises(UserError, match="--output_path is needed"):
        pack(flags(root)[:-2])


def test_force_loses_nothing_that_is_not_packed_anew(root):
    packed = root.parent / "packed"
    assert pack(flags(root)) == 0
    with pytest.raises(UserError, match="holds a packed val split too, which would be lost"):
        pack(flags(root, "--force", "--splits", "train"))
    (packed / "thesis.txt").write_text("years")
    with pytest.raises(UserError, match="holds thesis.txt too, which was not packed"):
        pack(flags(root, "--force"))
    assert (packed / "thesis.txt").read_text() == "years" and (packed / "val-000.mindrecord").is_file()


def test_a_mount_point_is_refused_before_anything_is_packed(root, monkeypatch, tmp_path):
    mounted = tmp_path / "a mount\\point"
    mounted.mkdir()
    lists = {"/proc/self/mountinfo": f"1 2 0:1 / {tmp_path}/a\\040mount\\134point rw - ext4 /dev/x rw\n"}
    read_text = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *a, **k: lists.get(str(path)) or read_text(path, *a, **k))
    monkeypatch.setattr(packing, "pack_samples", None)
    with pytest.raises(UserError, match="is a mount point, which cannot be replaced; name a folder in it"):
        pack([*flags(root)[:-1], str(mounted)])
    assert names(root.parent) == ["a mount\\point", "data"]


@pytest.mark.parametrize("part", ["train", "trainannot"])
def test_a_damaged_file_is_named_and_nothing_is_left(root, part):
    path = root / part / "p3.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"train.txt:4: .*p3.png: the (picture|label) cannot be read: the file is truncated"):
        pack(flags(root))
    assert names(root.parent) == ["data"]


def test_binary_masks_are_refused(root):
    for k in range(6):
        write_png(root / f"trainannot/p{k}.png", np.resize(np.array([0, 255], np.uint8), (24, 32)))
    words = ["dataset.name=custom", "dataset.classes_file=c.yaml", "train.train_list=train.txt", "eval.eval_list=val.txt"]
    (root / "c.yaml").write_text("classes: [{name: a}, {name: b}]\n")
    with pytest.raises(UserError, match="and 5 more: the labels hold only 0 and 255"):
        pack(["--data_path", str(root), "--output_path", str(root.parent / "packed"), *words])
    assert names(root.parent) == ["data"]


def test_a_full_disk(root, monkeypatch, capsys):
    usage = packing.shutil.disk_usage(root)
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    assert run(pack, flags(root)) == 2
    assert f"{root.parent}: the disk is full, nothing is packed; free room" in capsys.readouterr().err
    assert names(root.parent) == ["data"]


def test_what_mindspore_cannot_write_is_one_line(root, monkeypatch, capsys):
    monkeypatch.setattr(packing, "_page_bytes", lambda size: 1 << 40)  # it takes 256 MB at most
    assert run(pack, flags(root)) == 1
    error = capsys.readouterr().err
    assert "train-000.mindrecord: MindSpore could not write it: " in error and len(error.splitlines()) == 1
    assert names(root.parent) == ["data"]


def test_killed_between_the_two_renames(root, monkeypatch):
    packed = root.parent / "packed"
    assert pack(flags(root)) == 0
    packed.rename(root.parent / ".packed.packing.old")
    (root / "train/p2.png").write_bytes(b"")
    with pytest.raises(UserError, match="p2.png"):
        pack(flags(root, "--force"))
    assert (packed / MANIFEST).is_file() or (root.parent / ".packed.packing.old" / MANIFEST).is_file()  # nothing was lost
    make_camvid(root)
    assert pack(flags(root, "--force")) == 0 and names(root.parent) == ["data", "packed"]


def test_two_at_once(root, tmp_path):
    with open(tmp_path / ".packed.packing.lock", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process packs into it"):
            pack(flags(root))
    assert pack(flags(root)) == 0


def test_killed_while_it_writes(root):
    # Slow enough to be met at work: every sample waits.
    code = "import time; from src.data import pack, packing; encode = packing._encode\n"
    code += "packing._encode = lambda *a: (time.sleep(0.2), encode(*a))[1]; pack.main(__import__('sys').argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, *flags(root, "workers=1")], cwd=ROOT)
    staged = root.parent / ".packed.packing"
    while not any(staged.glob("*.mindrecord")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (root.parent / "packed").exists() and staged.is_dir() and not (staged / MANIFEST).exists()
    assert pack(flags(root)) == 0
    assert names(root.parent) == ["data", "packed"]
    config = load_config("camvid_w18_small", {"data_path": str(root.parent / "packed"), "data_format": "mindrecord"})
    assert build_dataset(config, "train").read(5)[0][0, 0, 0] == 50
