"""cityscapesScripts' label pictures of polygon files. Run in a process of its own.

    python -m tests.parity.references.cityscapes_labels FOLDER

writes, for each FOLDER/NAME_polygons.json, NAME_labelIds.png, NAME_labelTrainIds.png and NAME_color.png beside it.
"""

import sys
from pathlib import Path

from tests.parity.references.stand_ins import stand_in

stand_in("pyquaternion")  # for boxes in space

from cityscapesscripts.preparation.json2labelImg import json2labelImg  # noqa: E402

ENCODINGS = {"ids": "labelIds", "trainIds": "labelTrainIds", "color": "color"}


def main() -> None:
    """Convert every file of the folder."""
    for path in Path(sys.argv[1]).glob("*_polygons.json"):
        for encoding, name in ENCODINGS.items():
            json2labelImg(str(path), str(path).replace("_polygons.json", f"_{name}.png"), encoding)


if __name__ == "__main__":
    main()
