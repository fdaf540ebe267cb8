"""Mean and spread over seeds, by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from src.engine.seeds import Spread, main, most_spread
from src.runtime.entry import run

IOU = {
    1: {"road": 0.9, "sky": 0.8, "train": 0.1, "bus": 0.50, "tram": None},
    2: {"road": 0.9, "sky": 0.8, "train": 0.4, "bus": 0.52, "tram": None},
    5: {"road": 0.9, "sky": 0.8, "train": 0.7, "bus": 0.54, "tram": None},
}
MIOU = {1: 0.5, 2: 0.6, 5: 0.7}


def write(folder: Path, seed: int, **other: Any) -> Path:
    path = folder / f"seed_{seed}" / "eval_last" / "eval.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"miou": MIOU[seed], "iou": IOU[seed], "pixels": {"road": 5}, "images": 3, "protocol": {"flip": False}, "seconds": seed}
    path.write_text(json.dumps(content | other))
    return path


def test_three_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in IOU:
        write(tmp_path, seed)
    assert run(main, [str(tmp_path), "1", "2", "5"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for line in (["1", "0.5000"], ["5", "0.7000"], ["road", "0.9000", "0.0000"], ["bus", "0.5200", "0.0200"], ["tram", "absent", "-"]):
        assert line in lines
    assert ["train", "0.4000", "0.3000", "<-", "among", "the", "largest"] in lines
    # The deviations from 0.6 are -0.1, 0 and 0.1; over N - 1 = 2 their squares give 0.01.
    assert "mIoU 0.6000 +- 0.1000: mean and sample standard deviation of 3 seeds".split() in lines
    content = json.loads((tmp_path / "seeds.json").read_text())
    assert content["seeds"] == [1, 2, 5] and content["miou"]["values"] == [0.5, 0.6, 0.7]
    assert (content["miou"]["mean"], content["miou"]["std"]) == pytest.approx((0.6, 0.1))
    assert content["iou"]["train"]["std"] == pytest.approx(0.3)
    assert content["iou"]["tram"] == {"values": [None, None, None], "mean": None, "std": None}
    assert (content["images"], content["protocol"]) == (3, {"flip": False})


def test_one_seed_has_no_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, 2)
    assert run(main, [str(tmp_path), "2"]) == 0
    out = capsys.readouterr().out
    assert "mIoU 0.6000 of one seed: a standard deviation needs two or more" in out and "largest" not in out
    assert json.loads((tmp_path / "seeds.json").read_text())["miou"] == {"values": [0.6], "mean": 0.6, "std": None}


def test_three_classes_at_most_are_marked() -> None:
    spreads = {f"class {number}": Spread.of([0.0, number / 100]) for number in range(10)}
    assert most_spread(spreads) == {"class 7", "class 8", "class 9"}
    assert most_spread({"a": Spread.of([0.1, 0.2]), "b": Spread.of([0.1, 0.3]), "c": Spread.of([0.1, 0.1])}) == {"b"}


def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write(tmp_path, 1), write(tmp_path, 2)
    cases = {
        "differs from": lambda: write(tmp_path, 2, protocol={"flip": True}),
        "in 'pixels'": lambda: write(tmp_path, 2, pixels={"road": 6}),
        "no evaluation of eval.py": lambda: second.write_text("{"),
        "KeyError": lambda: second.write_text("{}"),
        "no class has labels": lambda: write(tmp_path, 2, miou=None),
        "no such file": lambda: second.unlink(),
    }
    for message, spoil in cases.items():
        spoil()
        assert run(main, [str(tmp_path), "1", "2"]) == 2
        error = capsys.readouterr().err.strip()
        assert message in error and str(second) in error and "\n" not in error
    with pytest.raises(SystemExit):
        run(main, [str(tmp_path), "1", "1"])
    assert "seed 1 is given twice" in capsys.readouterr().err
    assert first.is_file() and not (tmp_path / "seeds.json").exists()
