"""Curves of several runs in one picture, from metrics.jsonl and from text logs."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from src.config.errors import UserError
from src.engine.curves import _limit, curve, epoch_steps, smooth
from src.engine.plot_curves import main
from src.engine.run_records import parse_log, read_run, run_names
from src.runtime.entry import run

ZOO = """\
epoch: 1 step: 2, loss is 1.5
epoch: 1 step: 4, loss is 1.25e0
epoch time: 2414.764 ms, per step time: 603.691 ms
epoch: 2 step: 2, loss is nan
epoch: 2 step: 4, loss is 0.75
Train epoch time: 800.0 ms, per step time: 200.0 ms
=========== Validation Result ===========
===> mIoU: 0.80
===> IoU array:
epoch: 3 step: 4, loss is 0.5
===> mIoU: 0.85
"""
OURS = """\
2026-11-21 22:54:04,214 training: 8 pictures, 4 steps per epoch, to epoch 8
2026-11-21 22:54:04,215 batch: 2 per device x 3 ranks x 2 accumulated = 12 pictures per update
2026-11-21 22:54:24,126 epoch: 1 step: 2, loss is 3.5282814502716064
2026-11-21 22:54:24,126 epoch: 1 step: 3, loss is 9
2026-11-21 22:54:24,200 epoch time: 300.000 ms, per step time: 100.000 ms (3 of 4 steps measured)
2026-11-21 22:54:24,126 epoch: 1 step: 3, loss is 2
"""


def _write_metrics(folder: Path, records: int = 60) -> Path:
    folder.mkdir(parents=True)
    lines = [{"kind": "train", "step": step, "epoch": (step - 1) // 10 + 1, "loss": 2 / step, "lr": 0.1} for step in range(1, records + 1)]
    lines.append({"kind": "eval", "step": records, "epoch": records // 10, "miou": 0.5})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_model_zoo_log_gives_loss_speed_and_miou() -> None:
    records = parse_log(ZOO)
    assert [array.tolist() for array in curve(records, "train", "loss")] == [[2, 4, 8, 12], [1.5, 1.25, 0.75, 0.5]]
    assert [array.tolist() for array in curve(records, "eval", "miou")] == [[8, 12], [0.8, 0.85]]
    assert [array.tolist() for array in curve(records, "train", "step_ms")] == [[4, 8], [603.691, 200.0]]
    assert curve(records, "train", "lr")[0].size == curve(records, "train", "images_per_second")[0].size == 0
    assert epoch_steps(records) == 4


def test_own_log_gives_pictures_per_second_and_repeated_steps_count_once() -> None:
    records = parse_log(OURS)
    assert [array.tolist() for array in curve(records, "train", "loss")] == [[2, 3], [3.5282814502716064, 2]]
    assert epoch_steps(records) is None  # the first epoch has no end yet
    once = parse_log(OURS.rsplit("\n", 2)[0])
    assert curve(once, "train", "images_per_second")[1].tolist() == [60]  # 2 x 3 pictures in 0.1 s


def test_own_log_gives_learning_rate_and_speed_between_the_ends_of_epochs() -> None:
    line = "2026-11-21 22:54:24,126 step time: 612.3 ms (waiting for data: 0.6 ms), 9.80 img/s, lr: 0.0246"
    (record,) = parse_log(f"epoch: 1 step: 2, loss is 3.5\n{line}\n")
    assert record == {"kind": "train", "step": 2, "epoch": 1, "loss": 3.5, "step_ms": 612.3, "images_per_second": 9.8, "lr": 0.0246}


def test_smoothing_is_a_centred_mean_over_what_there_is() -> None:
    np.testing.assert_allclose(smooth(np.array([0.0, 3.0, 6.0, 0.0])), [1.5, 3, 3, 3])
    np.testing.assert_allclose(smooth(np.full(100, 7.0)), 7)
    spike = np.zeros(125)
    spike[60] = 5
    np.testing.assert_allclose(smooth(spike)[57:64], [0, 1, 1, 1, 1, 1, 0])


def test_names_have_as_many_folders_as_tell_runs_apart(tmp_path: Path) -> None:
    a, b = _write_metrics(tmp_path / "a" / "run", 1), _write_metrics(tmp_path / "b" / "run", 1)
    log = tmp_path / "zoo.v1.log"
    log.write_text(ZOO)
    assert run_names([a, log]) == ["run", "zoo.v1"]
    assert run_names([a / "metrics.jsonl", b, log]) == ["a/run", "b/run", f"{tmp_path.name}/zoo.v1"]


def test_what_follows_a_point_in_a_name_is_kept_unless_it_says_log(tmp_path: Path) -> None:
    for name in ("train_lr0.1", "train_lr0.2", "a.log", "a.txt", "b.v1.jsonl"):
        (tmp_path / name).write_text(ZOO)
    runs = {name: tmp_path / name for name in ("train_lr0.1", "train_lr0.2", "a.log", "a.txt", "b.v1.jsonl")}
    assert run_names([runs["train_lr0.1"], runs["train_lr0.2"], runs["b.v1.jsonl"]]) == ["train_lr0.1", "train_lr0.2", "b.v1"]
    assert run_names([runs["a.log"], runs["a.txt"]]) == ["a.log", "a.txt"]


def test_numbers_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "train", "step": 1, "loss": NaN, "note": "text"}\n{"kind": "train", "step": 2, "loss": 3}\n')
    assert [array.tolist() for array in curve(read_run(path), "train", "loss")] == [[2], [3]]


@pytest.mark.parametrize("value", ['"loss": "high"', '"loss": [1]', '"epoch": "two"', '"miou": {}', '"loss": 1, "step": Infinity'])
def test_values_that_are_no_numbers_are_one_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "train", "step": 1, "epoch": 1, ' + value + "}\n")
    with pytest.raises(UserError, match="metrics.jsonl: its lines are no records of training"):
        read_run(path)


def test_runs_of_all_kinds_are_drawn_into_one_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _write_metrics(tmp_path / "a run"), tmp_path / "second"
    second.mkdir()
    (second / "train.log").write_text(OURS)
    log = tmp_path / "zoo.log"
    log.write_text(ZOO)
    alone, together = tmp_path / "alone.png", tmp_path / "all runs.png"
    assert run(main, [str(first), "--output", str(alone)]) == 0
    assert run(main, [str(first), str(second), str(log), "--output", str(together)]) == 0
    assert "a run (to step 60, 60 records, 1 evaluation), second (to step 3, 2 records, 0 evaluations), zoo (" in capsys.readouterr().out
    pictures = [cv2.imread(str(path)) for path in (alone, together)]
    assert pictures[0].shape == pictures[1].shape == (675, 1170, 3)
    # The second and third colour of the runs are in the picture of three alone.
    for color, where in (((180, 119, 31), 2), ((14, 127, 255), 1), ((44, 160, 44), 1)):
        assert sum(bool((picture == color).all(2).any()) for picture in pictures) == where


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing: no such file or folder"),
        (["empty"], "empty: neither metrics.jsonl nor train.log"),
        (["notes.txt"], "notes.txt: no step and no evaluation"),
        (["a.bin"], "a.bin: no step and no evaluation"),
        (["other/metrics.jsonl"], "other/metrics.jsonl: its lines are no records"),
        (["run", "run/metrics.jsonl"], "run/metrics.jsonl: this run is given twice"),
        (["run", "--output", "curves.jpg"], "--output curves.jpg: the picture is a PNG"),
        (["run", "--output", "no/where.png"], "there is no folder no"),
        (["run", "--output", "dir.png"], "this is a folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _write_metrics(Path("run"), 3)
    for folder in ("empty", "other", "dir.png"):
        Path(folder).mkdir()
    Path("notes.txt").write_text("nothing of training\n")
    Path("a.bin").write_bytes(bytes(range(256)))
    Path("other/metrics.jsonl").write_text('{"a": 1}\n[2]\n')
    before = sorted(tmp_path.rglob("*"))
    assert run(main, arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_no_curve_touches_the_upper_edge_unless_it_is_cut_off() -> None:
    def top(values: list[float], name: str) -> float:
        panel = Figure().subplots()
        panel.plot(values)
        _limit(panel, name)
        return panel.get_ylim()[1]

    assert top([7.0, 6.9, 7.2], "images_per_second") == pytest.approx(1.06 * 7.2)  # Matplotlib's own would be 7.215
    assert top([0.01, 0.0101], "lr") == pytest.approx(1.06 * 0.0101)
    assert top([1000.0] + [1.0] * 200, "loss") == pytest.approx(1.15)
    assert top([0.0, 0.0], "lr") > 0
