"""Samples per second of the training input at 2048x1024, against a straightforward version of it and against mmsegmentation's transforms.

    python benchmarks/input_pipeline.py [--image FRAME.png] [--samples 24] [--workers 1 2] [--turns 7]

All sides take turns, so that whatever else the machine does meets all of them; medians. The augmentation is that of preset hrnetv2_w48
(scale 0.5-2.1 of 2048x1024, crop 512x1024, mirror). The first table has each side in processes of its own, without MindSpore; the second
one reads through the MindSpore dataset that training uses. Without --image the pictures are synthetic street scenes of that size.
mmsegmentation is taken from .venv/references, where scripts/run_tests.sh puts it, or from OCRNET_REFERENCES.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.input_sides import BATCHSIZE, CROP_ONLY, FILES, MMSEG, PACKED, PLAIN, open_source  # noqa: E402
from src.data.loader import batches  # noqa: E402
from src.data.pack import main as pack  # noqa: E402
from src.data.synthetic import write_street_scenes  # noqa: E402

SIZE_HW = (1024, 2048)
TITLES = {
    PLAIN: PLAIN,
    CROP_ONLY: CROP_ONLY,
    MMSEG: "mmsegmentation 1.2.2's transforms",
    FILES: "this pipeline, PNG",
    PACKED: "this pipeline, packed",
}


def make_data(folder: Path, image: Path | None) -> None:
    """Write 6 synthetic scenes, or 6 links to the given picture with synthetic labels, as files and packed."""
    files = folder / "files"
    files.mkdir()
    write_street_scenes(files, 6, 1, SIZE_HW)
    if image is not None:
        with Image.open(image) as picture:
            if picture.size != SIZE_HW[::-1] or picture.format != "PNG":
                raise SystemExit(f"error: {image}: expected a PNG of {SIZE_HW[1]}x{SIZE_HW[0]} pixels, got {picture.format} {picture.size}")
        for path in sorted((files / "leftImg8bit" / "train").glob("*/*.png")):
            path.unlink()
            os.symlink(image.resolve(), path)
    pack(["--data_path", str(files), "--output_path", str(folder / PACKED), "--splits", "train"])


class Processes:
    """Processes of one side that wait until samples are asked for."""

    def __init__(self, side: str, number: int, folder: Path) -> None:
        environment = dict(os.environ)
        if side == MMSEG:
            environment["PYTHONPATH"] = str(references())
        command = [sys.executable, str(ROOT / "benchmarks/input_sides.py"), side, str(folder)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self._processes = [subprocess.Popen(command, env=environment, **pipes) for _ in range(number)]
        for process in self._processes:
            if process.stdout.readline().strip() != "ready":
                raise SystemExit(f"error: {side}: {' '.join(command)} did not start")

    def measure(self, first: int, samples: int) -> tuple[float, float]:
        """Return seconds of the clock, and of the processor, for a sample of one process, while all of them work."""
        for number, process in enumerate(self._processes):
            process.stdin.write(f"{first + number * samples} {samples}\n")
            process.stdin.flush()
        answers = [tuple(map(float, process.stdout.readline().split())) for process in self._processes]
        seconds, cpu = (statistics.mean(values) / samples for values in zip(*answers, strict=True))
        return seconds, cpu

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            process.stdin.close()
            process.wait()


def references() -> Path:
    """Return the folder that mmsegmentation is looked for in."""
    return Path(os.environ.get("OCRNET_REFERENCES") or Path(sys.prefix) / "references")


def compare_processes(sides: Sequence[str], number: int, folder: Path, samples: int, turns: int) -> None:
    """Print rows of the first table: every side in so many processes at once."""
    processes = {side: Processes(side, number, folder) for side in sides}
    try:
        # The same positions for all sides in a turn, others in the next one: a crop at a small scale costs more.
        taken = [{side: processes[side].measure(1 + turn * samples * number, samples) for side in sides} for turn in range(turns)]
    finally:
        for side in sides:
            processes[side].close()
    for side in sides:
        seconds, cpu = (statistics.median(turn[side][k] for turn in taken) for k in (0, 1))
        gains = [statistics.median(turn[base][1] / turn[side][1] for turn in taken) for base in (PLAIN, FILES)]
        print(f"| {TITLES[side]} | {number} | {1 / seconds:.1f} | {1000 * cpu:.1f} ms | {gains[0]:.2f} | {gains[1]:.2f} |", flush=True)


def samples_per_second(source: Any, workers: int) -> float:
    """Return the rate of a warm pipeline: the time from the first batch to the last, over the samples between."""
    times = [time.perf_counter() for _ in batches(source, BATCHSIZE, workers).create_tuple_iterator(num_epochs=1, output_numpy=True)]
    warm = len(times) // 3  # worker processes start, queues fill, files enter the page cache
    return (len(times) - 1 - warm) * BATCHSIZE / (times[-1] - times[warm])


def compare_datasets(sources: Mapping[str, Any], workers: int, turns: int) -> None:
    """Print rows of the second table: every side through MindSpore's dataset."""
    taken = [{side: samples_per_second(source, workers) for side, source in sources.items()} for _ in range(turns)]
    for side in sources:
        rate = statistics.median(turn[side] for turn in taken)
        gains = [statistics.median(turn[side] / turn[base] for turn in taken) for base in (PLAIN, FILES)]
        print(f"| {TITLES[side]} | {workers} | {rate:.1f} | {1000 * workers / rate:.0f} ms | {gains[0]:.2f} | {gains[1]:.2f} |", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison and print two tables; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a real 2048x1024 PNG in place of synthetic pictures")
    parser.add_argument("--samples", type=int, default=24, help="samples of a process in a turn (default 24)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of processes (default 1 2)")
    parser.add_argument("--turns", type=int, default=7, help="turns, of which the median counts (default 7)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder, args.image)
        sides = [side for side in TITLES if side != MMSEG or (references() / "mmseg").is_dir()]
        print(f"crop [512, 1024] of {list(SIZE_HW)}, {os.cpu_count()} cores, median of {args.turns} turns\n\nIn processes of their own:")
        print("| sample | processes | samples/s of each | CPU time of a sample | of straightforward, by CPU time | of PNG, by CPU time |")
        print("| --- | --- | --- | --- | --- | --- |")
        for workers in args.workers:
            compare_processes(sides, workers, folder, args.samples, args.turns)
        print("\nThrough MindSpore's dataset:")
        print("| sample | workers | samples/s | a sample and worker | of straightforward | of PNG |\n| --- | --- | --- | --- | --- | --- |")
        # More samples than a turn above: worker processes take a third of them to start.
        sources = {side: open_source(side, folder, 2 * args.samples) for side in sides if side != MMSEG}
        for workers in args.workers:
            compare_datasets(sources, workers, args.turns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
