"""Jobs from their flags to their last upload; moxing is the stand-in."""

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import eval as eval_script
import train
from src.checkpoint.lock import try_lock
from src.config import UserError
from src.engine import evaluate_weights, evaluator, trainer
from src.runtime.entry import WorkError, run, split_arguments
from src.runtime.modelarts import results
from src.runtime.modelarts.inputs import choose_weights
from src.runtime.modelarts.job import Job, open_job
from src.runtime.modelarts.results import Results, list_files
from src.runtime.stopping import Stopped, StopSignals
from tests.runtime.modelarts.test_archive import make_tar, make_zip
from tests.runtime.modelarts.test_results import signal_while_sending
from tests.runtime.standin import Storage, forget_moxing, open_storage
from tests.tiny import TINY_WORDS, write_camvid


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(results, "_PAUSES_SECONDS", (0.0, 0.0))
    return open_storage(tmp_path / "storage", monkeypatch)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def parse(cache: Path, *words: str) -> argparse.Namespace:
    return train.make_parser().parse_args(["--modelarts", "True", "--cache_path", str(cache), *words])


def job(cache: Path, *words: str, only: tuple[str, ...] = ()) -> AbstractContextManager[Job]:
    arguments = parse(cache, *words)
    return open_job(arguments, split_arguments(arguments)[0], only)


def flags(cache: Path, *words: str) -> dict[str, str]:
    with job(cache, *words) as opened:
        return opened.flags


def test_resume_auto_goes_on_where_results_lie_and_starts_where_none_do(storage: Storage, cache: Path) -> None:
    words = ["--resume", "auto", "--config", "demo", "--train_url", "obs://b/out/", "--checkpoint_url", "obs://b/w.ckpt"]
    before = parse(cache, *words)
    train.settle_resume(before)
    assert (before.resume, before.config, before.checkpoint_url) == (None, "demo", "obs://b/w.ckpt")
    storage.write("b/out/last.state")
    after = parse(cache, *words)
    train.settle_resume(after)
    assert (after.resume, after.config, hasattr(after, "checkpoint_url")) == ("obs://b/out", None, False)


def test_resume_auto_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = train.make_parser()
    words = ["--resume", "auto", "--output_path", str(tmp_path), "--begin_epoch", "2", "--lr", "0.1"]
    arguments = parser.parse_args(words)
    train.settle_resume(arguments)
    assert (arguments.resume, arguments.begin_epoch) == (None, 2)
    (tmp_path / "last.state").touch()
    arguments = parser.parse_args(words)
    train.settle_resume(arguments)
    assert arguments.resume == str(tmp_path)
    assert split_arguments(arguments)[0] == {"lr": 0.1}
    assert "by its own configuration, without --output_path, --begin_epoch" in capsys.readouterr().out
    with pytest.raises(UserError, match="--resume auto looks for a run in --output_path"):
        train.settle_resume(parser.parse_args(["--resume", "auto"]))


def test_without_the_flag_nothing_changes() -> None:
    with open_job(argparse.Namespace(resume="OUT", words=[]), {"lr": 1.0}) as opened:
        assert (opened.flags, opened.resume) == ({"lr": 1.0}, "OUT")
        opened.start_sending()


@pytest.mark.parametrize("flag", ["data_url", "train_url", "checkpoint_url", "cache_path"])
@pytest.mark.parametrize("more", [[], ["--modelarts", "False"]])
def test_urls_need_the_flag(flag: str, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train.main, [f"--{flag}", "obs://b/x", *more]) == 2
    assert_one_line(capsys, f"--{flag} is for jobs of ModelArts: add --modelarts True")


def assert_one_line(capsys: pytest.CaptureFixture[str], message: str) -> None:
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [["--data_path", "/x"], ["data_path=/x"]])
def test_a_path_beside_its_url(words: list[str], cache: Path) -> None:
    with pytest.raises(UserError, match="--data_url and --data_path say the same"):
        flags(cache, "--data_url", "obs://b/x", *words)


def test_weights_with_resume(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train.main, ["--modelarts", "True", "--resume", "obs://b/out", "--checkpoint_url", "obs://b/w.ckpt"]) == 2
    assert_one_line(capsys, "--checkpoint_url cannot be combined with --resume")


def test_evaluation_needs_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(eval_script.main, ["--modelarts", "True", "--data_url", "obs://b/x"]) == 2
    assert_one_line(capsys, "--checkpoint_path is needed")


def test_missing_moxing(monkeypatch: pytest.MonkeyPatch, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forget_moxing(monkeypatch)
    assert run(train.main, ["--modelarts", "True", "--data_url", "obs://b/x", "--cache_path", str(cache)]) == 2
    assert_one_line(capsys, "'moxing'")
    assert not cache.exists()


def test_local_paths_are_used_as_they_are(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_moxing(monkeypatch)
    for name in ("data", "out", "weights"):
        (tmp_path / name).mkdir()
    for name in ("best.ckpt", "last.ckpt"):
        (tmp_path / "weights" / name).touch()
    urls = [f"--{flag}_url={tmp_path / name}/" for flag, name in (("data", "data"), ("train", "out"), ("checkpoint", "weights"))]
    with job(cache, *urls) as opened:
        assert opened.flags == {
            "data_path": str(tmp_path / "data"),
            "output_path": str(tmp_path / "out"),
            "checkpoint_path": str(tmp_path / "weights/best.ckpt"),
        }
        assert opened.results is None
    assert not cache.exists() and "moxing" not in sys.modules


def test_a_local_archive_is_unpacked(tmp_path: Path, cache: Path) -> None:
    make_tar(tmp_path / "d.tar.gz", {"camvid/train.txt": "list"})
    assert flags(cache, "--data_url", str(tmp_path / "d.tar.gz"))["data_path"] == str(cache / "copies/data/camvid")


def test_an_archive_in_object_storage(storage: Storage, cache: Path) -> None:
    (storage.root / "b").mkdir()
    make_zip(storage.root / "b/d.zip", {"train.txt": "list", "a/0.png": "x"})
    assert flags(cache, "--data_url", "s3://b/d.zip")["data_path"] == str(cache / "copies/data")
    assert set(list_files(cache / "copies")) == {"data/train.txt", "data/a/0.png"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("obs://b/nothing", "--data_url obs://b/nothing: no such folder or archive"),
        ("obs://b/list.txt", "--data_url obs://b/list.txt: expected a folder, or an archive"),
        ("obs://b/empty", "--data_url obs://b/empty: the folder is empty"),
        ("obs://b/nothing.zip", "--data_url obs://b/nothing.zip: no such file"),
    ],
)
def test_wrong_data(url: str, message: str, storage: Storage, cache: Path) -> None:
    storage.write("b/list.txt")
    (storage.root / "b/empty").mkdir()
    with pytest.raises(UserError, match=message):
        flags(cache, "--data_url", url)


def test_weights_come_with_what_lies_beside_them(storage: Storage, cache: Path) -> None:
    for name in ("best.ckpt", "best.yaml", "last.ckpt", "last.yaml", "last.state"):
        storage.write(f"b/run/{name}", name)
    path = cache / "copies/checkpoint/best.ckpt"
    assert flags(cache, "--checkpoint_url", "obs://b/run/")["checkpoint_path"] == str(path)
    assert (path.read_text(), path.with_suffix(".yaml").read_text()) == ("best.ckpt", "best.yaml")
    assert flags(cache, "--checkpoint_url", "obs://b/run/last.ckpt")["checkpoint_path"] == str(path.with_name("last.ckpt"))
    assert set(list_files(cache / "copies")) == {"checkpoint/last.ckpt", "checkpoint/last.yaml"}


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["epoch_0001.ckpt", "last.ckpt", "best.ckpt"], "best.ckpt"),
        (["epoch_0001.ckpt", "last.ckpt", "other.ckpt"], "last.ckpt"),
        (["w.ckpt", "w.yaml", ".3.x.ckpt"], "w.ckpt"),
        (["epoch_0009.ckpt", "epoch_10000.ckpt", "epoch_0010.ckpt", "other.ckpt"], "epoch_10000.ckpt"),
    ],
)
def test_weights_of_a_folder(names: list[str], chosen: str) -> None:
    assert choose_weights(names, "obs://b/w") == chosen


@pytest.mark.parametrize(("names", "found"), [(["b.ckpt", "a.ckpt"], "a.ckpt, b.ckpt"), (["x.txt"], "x.txt"), ([], "nothing")])
def test_weights_that_cannot_be_told(names: list[str], found: str) -> None:
    with pytest.raises(UserError, match=f"--checkpoint_url obs://b/w: .* the folder holds {found};"):
        choose_weights(names, "obs://b/w")


@pytest.mark.parametrize(("url", "message"), [("obs://b/w.ckpt", "no such file"), ("obs://b/w.pth", "expected a .ckpt file")])
def test_wrong_weights(url: str, message: str, storage: Storage, cache: Path) -> None:
    with pytest.raises(UserError, match=f"--checkpoint_url {url}: {message}"):
        flags(cache, "--checkpoint_url", url)


def test_what_an_earlier_job_left(storage: Storage, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage.write("b/data/a.txt", "old")
    storage.write("b/data/b.txt")
    for number in range(3):
        with job(cache, "--data_url", "obs://b/data", "--train_url", "obs://b/out") as opened:
            output = Path(opened.flags["output_path"])
            assert not output.exists()
            output.mkdir()
            (output / "last.state").write_text(f"of job {number}")
        storage.write("b/data/a.txt", "new")
        (storage.root / "b/data/b.txt").unlink(missing_ok=True)
    assert {path.name: path.read_text() for path in (cache / "copies/data").iterdir()} == {"a.txt": "new"}
    assert [(cache / f"output{end}/last.state").read_text()[-1] for end in ("", ".1", ".2")] == ["2", "0", "1"]
    assert f"are in {cache / 'output.2'} now" in capsys.readouterr().out


def test_a_cache_with_somebody_elses_folder(storage: Storage, cache: Path) -> None:
    (cache / "copies").mkdir(parents=True)
    with pytest.raises(UserError, match="copies was not made by this program"):
        flags(cache, "--data_url", "obs://b/data")


def test_another_run_is_not_overwritten(storage: Storage, cache: Path) -> None:
    for name in ("last.state", "config.yaml"):
        storage.write(f"b/first/{name}")
        storage.write(f"b/second/{name}")
    with pytest.raises(UserError, match="--train_url obs://b/first holds a run already: continue it with --resume obs://b/first"):
        flags(cache, "--train_url", "obs://b/first")
    with pytest.raises(UserError, match="--train_url obs://b/second holds a run already"):
        flags(cache, "--resume", "obs://b/first", "--train_url", "obs://b/second")


@pytest.mark.parametrize("missing", ["last.state", "config.yaml"])
def test_nothing_to_resume(missing: str, storage: Storage, cache: Path) -> None:
    for name in {"last.state", "config.yaml"} - {missing}:
        storage.write(f"b/run/{name}")
    with pytest.raises(UserError, match=f"--resume obs://b/run: no {missing} in this folder"):
        flags(cache, "--resume", "obs://b/run")


@pytest.mark.parametrize(
    ("train_url", "sent"), [(None, {"last.state"}), ("obs://b/new", {"last.state", "config.yaml", "checkpoints/e.ckpt"})]
)
def test_resuming(train_url: str | None, sent: set[str], storage: Storage, cache: Path) -> None:
    for name in ("last.state", "config.yaml", "checkpoints/e.ckpt"):
        storage.write(f"b/run/{name}", "old")
    with job(cache, "--resume", "obs://b/run", *(["--train_url", train_url] if train_url else [])) as opened:
        assert opened.resume == str(cache / "output")
        assert "output_path" not in opened.flags
        assert (cache / "output/checkpoints/e.ckpt").read_text() == "old"
        opened.start_sending()
        (cache / "output/last.state").write_text("newer")
    target = train_url or "obs://b/run"
    assert {target_url for _, target_url, _ in storage.calls("copy")} == {f"{target}/{name}" for name in sent}


def test_resuming_a_local_run(storage: Storage, cache: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "last.state").touch()
    with job(cache, "--resume", str(run_folder)) as opened:
        assert (opened.resume, opened.results) == (str(run_folder), None)
    for train_url in ("obs://b/new", str(tmp_path / "mounted")):
        (tmp_path / "mounted").mkdir(exist_ok=True)
        with job(cache, "--resume", str(run_folder), "--train_url", train_url) as opened:
            opened.start_sending()
    assert (storage.root / "b/new/last.state").is_file() and (tmp_path / "mounted/last.state").is_file()


def test_results_of_a_failing_run_are_sent_and_its_error_wins(storage: Storage, cache: Path) -> None:
    with pytest.raises(WorkError, match="the loss is nan"), job(cache, "--train_url", "obs://b/out") as opened:
        fill(cache / "output", opened)
        raise WorkError("the loss is nan")
    assert (storage.root / "b/out/last.state").is_file()
    storage.rule("copy", "b/other", fail="status 503")
    with pytest.raises(KeyboardInterrupt), job(cache, "--train_url", "obs://b/other") as opened:
        fill(cache / "output", opened)
        raise KeyboardInterrupt


def test_results_that_cannot_be_sent(storage: Storage, cache: Path) -> None:
    storage.rule("copy", "b/out", fail="status 503")
    with pytest.raises(WorkError, match=f"the results in {cache / 'output'} could not be sent in 3 tries: obs://b/out/"):
        with job(cache, "--train_url", "obs://b/out") as opened:
            fill(cache / "output", opened)
            opened.send()


@pytest.mark.parametrize(("num_signals", "is_stopped"), [(1, False), (2, True)])
def test_the_last_sending_takes_two_signals_to_cut_short(
    num_signals: int, is_stopped: bool, storage: Storage, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_while_sending(monkeypatch, "last.state", num_signals)
    stopped = False
    try:
        with StopSignals(), job(cache, "--train_url", "obs://b/out") as opened:
            fill(cache / "output", opened)
    except Stopped:  # would end pytest
        stopped = True
    assert stopped == is_stopped
    assert (storage.root / "b/out/last.state").exists() == (not is_stopped)


def fill(output: Path, opened: Job) -> None:
    output.mkdir()
    opened.start_sending()
    for name in ("last.state", "train.log"):
        (output / name).write_text("x")


def test_other_ranks_send_nothing(storage: Storage, cache: Path) -> None:
    with job(cache, "--train_url", "obs://b/out") as opened:
        (cache / "output").mkdir()
        (cache / "output/last.state").touch()
        opened.send()
    assert not storage.calls("copy")


def test_errors_about_a_copy_name_its_url(storage: Storage, cache: Path) -> None:
    storage.write("b/data/x.txt")
    with pytest.raises(UserError, match="data/train.txt: no such list .*copies/data is a copy of obs://b/data"):
        with job(cache, "--data_url", "obs://b/data") as opened:
            raise UserError(f"{opened.flags['data_path']}/train.txt: no such list")


SMALL = ("--config", "camvid_w18_small", *TINY_WORDS, "mode=PYNATIVE", "eval_callback=False", "device_target=CPU")


def test_training_and_a_resumed_one_that_fails(
    storage: Storage, cache: Path, pynative: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = []

    def look_and(function: Callable[..., Any]) -> Callable[..., Any]:
        def look_and_call(*arguments: Any) -> Any:
            with open(cache / "output" / "train.log") as log:
                locked.append(not try_lock(log))
            return function(*arguments)

        return look_and_call

    monkeypatch.setattr(Results, "send_while_training", look_and(Results.send_while_training))
    monkeypatch.setattr(trainer, "load_state", look_and(trainer.load_state))
    write_camvid(storage.root / "b/data", num_train=2, num_val=1)  # a step per epoch
    urls = ["--modelarts", "True", "--cache_path", str(cache), "--data_url", "obs://b/data"]
    words = ["--train_url", "obs://b/out", "total_epoch=3", "end_epoch=1", "keep_checkpoint_max=1"]
    assert run(train.main, [*SMALL, *urls, *words]) == 0
    out, output = storage.root / "b/out", cache / "output"
    there = list_files(out)
    assert {"config.yaml", "train.log", "last.state", "last.ckpt", "last.yaml", "checkpoints/epoch_0001.ckpt"} <= set(there)
    assert there.keys() == list_files(output).keys()
    assert "training finished" in (out / "train.log").read_text()
    state = (out / "last.state").read_bytes()

    assert run(train.main, [*urls, "--resume", "obs://b/out", "end_epoch=3", "lr=1e30", "train.warmup_steps=0"]) == 1
    told = capsys.readouterr()
    assert "at epoch 3 step 1" in told.err and told.err not in told.out
    assert told.err in (out / "train.log").read_text(), "the reason is sent as well"
    assert len(locked) >= 5 and all(locked), "no other process may train into this folder"
    assert state != (out / "last.state").read_bytes() == (output / "last.state").read_bytes()
    log = (output / "train.log").read_bytes()
    assert log.startswith((out / "train.log").read_bytes()) and b"epoch: 2 step: 1" in (out / "train.log").read_bytes()
    assert [path.name for path in (out / "checkpoints").glob("*.ckpt")] == ["epoch_0002.ckpt"]


def test_data_that_are_no_data_set(storage: Storage, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage.write("b/data/readme.txt")
    words = [*SMALL, "--modelarts", "True", "--cache_path", str(cache), "--data_url", "obs://b/data", "--train_url", "obs://b/out"]
    assert run(train.main, words) == 2
    error = capsys.readouterr().err
    assert "no such list" in error and f"{cache}/copies/data is a copy of obs://b/data" in error
    assert not (storage.root / "b/out").exists()


def test_evaluation(storage: Storage, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write("b/run/best.ckpt")
    storage.write("b/run/best.yaml", "preset: camvid_w18_small\ndevice_target: CPU\n")
    storage.write("b/run/last.state")  # results may lie beside the run
    storage.write("b/data/val.txt")
    (cache / "output/eval").mkdir(parents=True)
    (cache / "output/eval/of_an_earlier_one.png").touch()
    (cache / "output/last.state").touch()

    def evaluate(config: object, runtime: object, checkpoint: Path, folder: Path, observer: object) -> SimpleNamespace:
        assert checkpoint == cache / "copies/checkpoint/best.ckpt" and folder == cache / "output" and observer is None
        (folder / "eval.json").write_text("{}")
        (folder / "report.html").write_text("as --report writes it")
        (folder / "eval/0.png").write_text("picture")
        return SimpleNamespace()

    monkeypatch.setattr(evaluate_weights, "evaluate_weights", evaluate)
    monkeypatch.setattr(evaluator, "format_table", str)
    urls = ["--checkpoint_url", "obs://b/run", "--data_url", "obs://b/data", "--train_url", "obs://b/run"]
    assert run(eval_script.main, ["--modelarts", "true", "--cache_path", str(cache), *urls, "dataset.name=CamVid"]) == 0
    assert set(list_files(storage.root / "b/run")) == {"best.ckpt", "best.yaml", "last.state", "eval.json", "report.html", "eval/0.png"}
