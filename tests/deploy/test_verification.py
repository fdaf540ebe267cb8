"""Comparing outputs, and calling the C++ runner: a stand-in for it shows what it would be given."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.config.errors import UserError
from src.deploy import lite_runner
from src.deploy.manifest import InputSpec, Manifest, OutputSpec, manifest_path, read_manifest
from src.deploy.verification import compare, example_image
from src.runtime.entry import WorkError

LOGITS = OutputSpec("logits", (2, 3, 8, 10), "float32", True, False)


def manifest(output: OutputSpec = LOGITS) -> Manifest:
    spec = InputSpec((2, 3, 32, 40), "uint8", "BGR", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    colors = ((0, 0, 0), (1, 1, 1), (2, 2, 2))
    return Manifest("m_lite2.mindir", "ab", "lite2", spec, output, ("a", "b", "c"), colors, 255, {}, {}, {})


def test_logits_are_judged_by_the_largest_difference_and_labels_by_agreement() -> None:
    expected = np.zeros((1, 2, 1, 4), np.float32)
    expected[0, 0] = [-4, 1, 2, 3]
    near, far = expected + np.float32(0.003), expected.copy()
    far[0, 1, 0, 3] = 3.5  # turns a class
    assert compare(expected, near).is_good and compare(expected, near).difference == pytest.approx(0.003 / 4, rel=1e-4)
    judged = compare(expected, far)
    assert (judged.is_good, judged.difference, judged.agreement) == (False, 3.5 / 4, 0.75)
    assert not compare(expected, np.full_like(expected, np.nan)).is_good
    labels = np.zeros((1, 40, 50), np.uint8)
    one, three = labels.copy(), labels.copy()
    one[0, 0, 0], three[0, 0, :3] = 1, 1
    assert compare(labels, one).is_good and not compare(labels, three).is_good
    for other in (expected[:, :1], expected.astype(np.float64)):
        with pytest.raises(WorkError, match="instead of"):
            compare(expected, other)


def test_the_example_is_the_graphs_input() -> None:
    spec = manifest().input
    bytes_of = example_image(spec)
    values = example_image(replace(spec, dtype="float32", std=(0.5, 0.5, 0.5)))
    assert bytes_of.shape == values.shape == (2, 3, 32, 40) and (bytes_of.dtype, values.dtype) == (np.uint8, np.float32)
    assert np.allclose(values, (bytes_of / 255 - np.reshape([0.1, 0.2, 0.3], (3, 1, 1))) / 0.5, atol=1e-6)
    assert bytes_of.std() > 30 and not np.array_equal(bytes_of[0], bytes_of[1])


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that keeps its arguments and its data, and answers with a folder made before."""
    path = tmp_path / "main"
    path.write_text(
        '#!/usr/bin/env bash\nset -e\n[ "$1" != --version ] || exit 0\nprintf "%s\\n" "$@" "home $MS_LITE_HOME" >"$(dirname "$0")/said"\n'
        "while [ $# -gt 0 ]; do case $1 in --dataset_path) data=$2 ;; --result_path) result=$2 ;; esac; shift; done\n"
        'cp -r "$data" "$(dirname "$0")/data"; cp -r "$(dirname "$0")/answer" "$result"\n'
    )
    path.chmod(0o755)
    (tmp_path / "build.sh").write_text('echo "$MS_LITE_HOME" >>"$(dirname "$0")/built"\n')
    use(monkeypatch, tmp_path)
    (tmp_path / "answer").mkdir()
    return path


def use(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the project's runner and its build script be those of a folder; both may be absent."""
    for name, path in (("ROOT", folder), ("RUNNER", folder / "main"), ("BUILD_SCRIPT", folder / "build.sh")):
        patch.setattr(lite_runner, name, path)
    patch.setattr(lite_runner, "_BUILD_TOOLS", (("no-such-tool", "bash"),))


def test_the_runner_gets_one_sample_per_picture_of_the_batch(runner: Path, tmp_path: Path) -> None:
    logits = np.random.default_rng(1).normal(size=LOGITS.shape).astype(np.float32)
    for index in range(2):
        logits[index].tofile(tmp_path / "answer" / f"{index}.bin")
    image = example_image(manifest().input)
    given = lite_runner.run_in_cpp(Path("/lite"), Path("m_lite2.mindir"), manifest(), image)
    assert given is not None and np.array_equal(given, logits)
    said = (tmp_path / "said").read_text()
    assert "--mindir_path\nm_lite2.mindir\n" in said and "--batch\n2\n" in said and "--outputs\nlogits\n" in said and "home /lite" in said
    assert (tmp_path / "built").read_text() == "/lite\n", "built anew for this library, though a runner was there"
    index = json.loads((tmp_path / "data" / "index.json").read_text())
    assert (index["format"], index["num_classes"], index["ignore_label"], index["class_names"]) == (1, 3, 255, ["a", "b", "c"])
    assert index["input"] == {"shape": [3, 32, 40], "dtype": "uint8", "color_order": "BGR", "mean": [0.1, 0.2, 0.3], "std": [1.0] * 3}
    assert [sample["name"] for sample in index["samples"]] == ["0", "1"] and index["samples"][1]["width"] == 40
    stored = np.fromfile(tmp_path / "data" / index["samples"][1]["input"], np.uint8)
    assert np.array_equal(stored.reshape(3, 32, 40), image[1])
    assert (tmp_path / "data" / index["samples"][1]["label"]).stat().st_size == 32 * 40


def test_a_runner_that_fails_or_answers_too_little_is_work_that_failed(runner: Path, tmp_path: Path) -> None:
    image = example_image(manifest().input)
    for index in range(2):
        np.zeros(7, np.float32).tofile(tmp_path / "answer" / f"{index}.bin")
    with pytest.raises(WorkError, match=r"gives outputs of \[7\] values; expected \(2, 3, 8, 10\)"):
        lite_runner.run_in_cpp(Path("/lite"), Path("m.mindir"), manifest(), image)
    runner.write_text("#!/bin/sh\n[ $1 = --version ] && exit; echo 'much' >&2; echo 'no such device' >&2; exit 2\n")
    with pytest.raises(WorkError, match="status 2: no such device"):
        lite_runner.run_in_cpp(Path("/lite"), Path("m.mindir"), manifest(), image)


def test_lite_is_found_by_the_environment_or_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MS_LITE_HOME", raising=False)
    monkeypatch.setenv("OCRNET_CACHE", str(tmp_path))
    assert lite_runner.find_lite_home() is None
    home = tmp_path / "mindspore_lite-2.0.0"
    for part in ("include", "lib"):
        (home / part).mkdir(parents=True)
    assert lite_runner.find_lite_home() == home
    monkeypatch.setenv("MS_LITE_HOME", str(tmp_path))
    assert lite_runner.find_lite_home() == tmp_path
    monkeypatch.setenv("MS_LITE_HOME", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="MS_LITE_HOME .*absent: no such folder"):
        lite_runner.find_lite_home()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    for level in ("info", "warning"):
        monkeypatch.setattr(lite_runner.logger, level, lambda text, *values: lines.append(text % values))
    return lines


def run_stub() -> np.ndarray | None:
    return lite_runner.run_in_cpp(Path("/lite"), Path("m.mindir"), manifest(), example_image(manifest().input))


def test_a_runner_that_cannot_be_built_is_said_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    use(monkeypatch, tmp_path)
    assert run_stub() is None
    assert "no build.sh to build it" in said[-1]
    (tmp_path / "build.sh").write_text("echo libpng-dev is missing >&2; exit 2")
    assert run_stub() is None
    assert "m.mindir was not run in C++" in said[-1] and "libpng-dev is missing" in said[-1]
    monkeypatch.setattr(lite_runner, "_BUILD_TOOLS", (("bash",), ("no-such-tool", "nor-this")))
    assert run_stub() is None
    assert "there is no no-such-tool or nor-this to build it" in said[-1]


@pytest.mark.parametrize("text", ["#!/bin/sh\necho 'cannot open libmindspore.so' >&2; exit 127\n", "no program"])
def test_a_runner_that_cannot_start_says_nothing_of_the_model(text: str, runner: Path, said: list[str]) -> None:
    runner.write_text(text)
    assert run_stub() is None
    assert "warning: m.mindir was not run in C++" in said[-1]


def test_without_the_tools_the_runner_that_is_there_is_used(runner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite_runner, "_BUILD_TOOLS", (("no-such-tool",),))
    for index in range(2):
        np.ones(LOGITS.shape[1:], np.float32).tofile(tmp_path / "answer" / f"{index}.bin")
    given = run_stub()
    assert given is not None and (given == 1).all() and not (tmp_path / "built").exists()


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


def test_a_manifest_that_no_export_writes_is_refused_in_one_line(tmp_path: Path) -> None:
    path = manifest().write(tmp_path / "m_lite2.mindir")
    assert path == manifest_path(tmp_path / "m_lite2.mindir") and read_manifest(path) == manifest()
    content = json.loads(path.read_text())
    wrong = {
        "no manifest of format 1": {**content, "format": 2},
        "'output'": {name: value for name, value in content.items() if name != "output"},
        "input.dtype: 'float16'": {**content, "input": {**content["input"], "dtype": "float16"}},
        "dimensions of input.shape": {**content, "input": {**content["input"], "shape": [3, 32, 40]}},
        "smallest side": {**content, "input": {**content["input"], "shape": [2, 3, -32, 40]}},
        "output.kind and dtype": {**content, "output": {**content["output"], "dtype": "uint8"}},
        "colours of classes.palette": {**content, "classes": {**content["classes"], "palette": [[0, 0, 0]]}},
        "a list": [content],
        "config: ['demo'], expected dict": {**content, "config": ["demo"]},
        "versions: None, expected dict": {**content, "versions": None},
        "output: 'logits', expected dict": {**content, "output": "logits"},
        "input.mean: '0.1', expected a finite number": {**content, "input": {**content["input"], "mean": ["0.1"] * 3}},
        "input.mean: nan": {**content, "input": {**content["input"], "mean": [float("nan")] * 3}},
        "input.std, all of it above 0: False": {**content, "input": {**content["input"], "std": [1, 0, 1]}},
        "int too large": {**content, "input": {**content["input"], "std": [1, 10**400, 1]}},
        "input.std: inf": {**content, "input": {**content["input"], "std": [1, float("inf"), 1]}},
        "input.shape: 32.5, expected int": {**content, "input": {**content["input"], "shape": [2, 3, 32.5, 40]}},
        "input.shape: True, expected int": {**content, "input": {**content["input"], "shape": [True, 3, 32, 40]}},
        "output.align_corners: 1, expected bool": {**content, "output": {**content["output"], "align_corners": 1}},
        "classes.names: 'abc', expected list": {**content, "classes": {**content["classes"], "names": "abc"}},
        "colour of classes.palette: '0', expected int": {**content, "classes": {**content["classes"], "palette": [["0", 0, 0]] * 3}},
        "lengths of the colours": {**content, "classes": {**content["classes"], "palette": [[0, 0]] * 3}},
        "ignore_label: None": {**content, "classes": {**content["classes"], "ignore_label": None}},
        "model.sha256: 7, expected str": {**content, "model": {**content["model"], "sha256": 7}},
        "config: [[[[[[[...]]]]]]], expected dict": {**content, "config": nested(200)},
    }
    for message, values in wrong.items():
        path.write_text(json.dumps(values))
        with pytest.raises(UserError) as caught:
            read_manifest(path)
        text = str(caught.value)
        assert str(path) in text and "\n" not in text and (message in text or message == "a list"), text
    for text in (b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(text)
        with pytest.raises(UserError, match="no manifest: "):
            read_manifest(path)
    with pytest.raises(UserError, match="no manifest: .*directory"):
        read_manifest(tmp_path)
