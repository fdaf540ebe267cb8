"""How many pixels the C++ runner labels as eval.py does, and both mIoU.

    OUTPUT_PATH=OUT bash scripts/run_cpp_infer.sh MODEL.mindir DATA CPU
    python benchmarks/cpp_agreement.py --checkpoint_path WEIGHTS.ckpt --data_path DATA --results OUT [key.sub=value]

OUT holds preprocess_Result/ and result_Files/; the configuration is the one beside the weights, as in eval.py.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.config import load_config
from src.runtime.environment import prepare_environment

prepare_environment("CPU")

from src.checkpoint.run_folder import config_for_checkpoint  # noqa: E402
from src.checkpoint.weights import load_weights  # noqa: E402
from src.data.loader import build_dataset, iterate_eval  # noqa: E402
from src.inference.predictor import Predictor  # noqa: E402
from src.metrics.confusion import ConfusionMatrix  # noqa: E402
from src.models.builder import assemble_network  # noqa: E402
from src.runtime.device import setup_runtime  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    """Predict every picture in Python, compare with the runner's labels, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint_path", required=True, help="weights that were exported (.ckpt)")
    parser.add_argument("--data_path", required=True, help="folder of the data set")
    parser.add_argument("--results", type=Path, required=True, help="folder in which run_cpp_infer.sh worked")
    parser.add_argument("words", nargs="*", metavar="key=value", help="overrides of the configuration")
    args = parser.parse_args(argv)
    flags = {"checkpoint_path": args.checkpoint_path, "data_path": args.data_path, "run_distribute": False, "device_target": "CPU"}
    config = load_config(config_for_checkpoint(Path(args.checkpoint_path)), flags, args.words)
    setup_runtime(config)
    network = assemble_network(config)
    load_weights(network, Path(args.checkpoint_path), complete=True)
    predictor = Predictor.from_config(network, config)
    sides = {name: ConfusionMatrix(config.dataset.num_classes, config.dataset.ignore_label) for name in ("Python", "C++")}
    pixels = different = 0
    for sample in iterate_eval(build_dataset(config, "val"), config):
        ours = predictor.predict([sample.image])[0]
        theirs = np.fromfile(args.results / "result_Files" / f"{sample.name}.bin", np.uint8).reshape(ours.shape)
        sides["Python"].update(ours, sample.label)
        sides["C++"].update(theirs, sample.label)
        pixels, different = pixels + ours.size, different + int((ours != theirs).sum())
    mious = {name: side.compute().miou for name, side in sides.items()}
    print(f"{different} of {pixels} pixels differ ({100 * (1 - different / pixels):.5f} % equal)")
    print(f"mIoU {mious['Python']:.7f} in Python, {mious['C++']:.7f} in C++, {abs(mious['Python'] - mious['C++']):.1e} apart")
    return 0


if __name__ == "__main__":
    sys.exit(main())
