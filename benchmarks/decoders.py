"""Time to decode a PNG, whole and down to a row, with the decoders that there are.

    python benchmarks/decoders.py FRAME.png [MORE.png ...] [--turns 15]

Down to a row: the height in the header is lowered, so that a decoder which trusts it stops early (src/data/png.py). The decoders take
turns; processor time of one thread, medians. Each one's pixels are compared with Pillow's.
"""

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from src.data import png  # noqa: E402

PARTS = (1.0, 0.75, 0.5, 0.25)


def opencv(data: bytes) -> np.ndarray:
    """Return the pixels as Pillow orders them."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


DECODERS: dict[str, Callable[[bytes], np.ndarray]] = {
    f"Pillow {Image.__version__}": lambda data: np.asarray(Image.open(io.BytesIO(data))),
    f"OpenCV {cv2.__version__}": opencv,
    f"imagecodecs {imagecodecs.__version__}, libpng": imagecodecs.png_decode,
    f"imagecodecs {imagecodecs.__version__}, libspng": imagecodecs.spng_decode,
}


@contextmanager
def quiet():
    """Drop what C libraries write to stderr: libpng warns at each picture that more data follows."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def measure(data: bytes, expected: np.ndarray, turns: int) -> list[str]:
    """Return each decoder's milliseconds, as text; what differs from the expected pixels is marked."""
    times: dict[str, list[float]] = {name: [] for name in DECODERS}
    same = dict.fromkeys(DECODERS, True)
    with quiet():
        for _ in range(turns):
            for name, decode in DECODERS.items():
                start = time.process_time()
                pixels = decode(data)
                times[name].append(time.process_time() - start)
                same[name] &= np.array_equal(pixels, expected)
    return [f"{1000 * statistics.median(times[name]):.1f}" + ("" if same[name] else " (other pixels)") for name in DECODERS]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each file and print a table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="PNG files")
    parser.add_argument("--turns", type=int, default=15, help="turns, of which the median counts (default 15)")
    args = parser.parse_args(argv)
    cv2.setNumThreads(0)
    for path in args.files:
        data = path.read_bytes()
        whole = np.asarray(Image.open(io.BytesIO(data)))
        print(f"\n{path.name}: {whole.shape[1]}x{whole.shape[0]}, {len(data) / 1e6:.2f} MB; milliseconds")
        rows = [round(part * whole.shape[0]) for part in PARTS]
        columns = [measure(png.first_rows(data, number), whole[:number], args.turns) for number in rows]
        print("| decoder | " + " | ".join(f"{number} rows" for number in rows) + " |\n|" + " --- |" * (1 + len(rows)))
        for k, name in enumerate(DECODERS):
            print(f"| {name} | " + " | ".join(column[k] for column in columns) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
