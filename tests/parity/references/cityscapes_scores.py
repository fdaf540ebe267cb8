"""cityscapesScripts' scores of label pictures, found as it finds them for the benchmark. Run in a process of its own.

    python -m tests.parity.references.cityscapes_scores RESULTS LABEL ...

prints, as JSON, the mean IoU and the IoU of each class. RESULTS is searched for <city>_<sequence>_<frame>*.png of each LABEL.
"""

import json
import math
import sys

from tests.parity.references.stand_ins import stand_in

stand_in("pyquaternion")  # for boxes in space

from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluation  # noqa: E402, N813


def main() -> None:
    """Evaluate, print."""
    args, truths = evaluation.args, sys.argv[2:]
    args.predictionPath, args.quiet, args.JSONOutput = sys.argv[1], True, False
    args.evalInstLevelScore = False  # needs instanceIds
    result = evaluation.evaluateImgLists([evaluation.getPrediction(args, path) for path in truths], truths, args)
    classes = {name: None if math.isnan(iou) else iou for name, iou in result["classScores"].items()}
    print(json.dumps({"mean": result["averageScoreClasses"], "classes": classes}))


if __name__ == "__main__":
    main()
