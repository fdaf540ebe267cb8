"""Print what the parity tests measured as a table for docs/PARITY.md.

bash scripts/run_tests.sh tests/parity --junitxml=parity.xml && python -m tests.parity.table parity.xml
"""

import argparse
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def rows(report: Path) -> list[str]:
    """Return one line of a Markdown table for each test that recorded something, in the order of the tests' names."""
    lines = []
    for case in ElementTree.parse(report).iter("testcase"):
        recorded = {entry.attrib["name"]: entry.attrib["value"] for entry in case.iter("property")}
        if recorded:
            module = case.attrib["classname"].rsplit(".", 1)[-1].removeprefix("test_")
            values = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in recorded.items())
            lines.append(f"| {module} | `{case.attrib['name'].removeprefix('test_')}` | {values} |")
    return sorted(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what the parity tests measured as a table.")
    parser.add_argument("report", type=Path, help="what pytest --junitxml wrote")
    print("| reference | case | measured |", "| --- | --- | --- |", *rows(parser.parse_args().report), sep="\n")
