"""Stands in for ModelArts' module: obs://BUCKET/x is the file $MOXING_STANDIN/BUCKET/x.

$MOXING_STANDIN/rules.json may hold a list of {"call": NAME, "match": part of the source or target, "fail": message or "sleep": seconds,
"times": how often, by default always}; $MOXING_STANDIN/calls.txt gets a line for each call: name, source, target, process id.
"""

from moxing import file

__all__ = ["file"]
