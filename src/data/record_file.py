"""Rows of a MindRecord file by their number, a part of a field at a time.

MindSpore's own readers go through a file in an order, and hand out whole rows; a training crop needs some strips of one picture. The file
stays MindSpore's: FileReader and MindDataset read it too (tests/data/test_packed.py compares).

Source: files that MindSpore 2.8 wrote. A file is a header (its length in 8 bytes, then JSON) in `header_size` bytes, then pages of
`page_size` bytes; the SQLite database beside it names page and place of each row's blob, which holds its length, then its bytes
fields, each behind its length in 8 bytes, the highest first.
"""

import json
import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import numpy as np

from src.config.errors import UserError

INDEX_SUFFIX = ".db"
_LENGTH, _FIELD_LENGTH = struct.Struct("<Q"), struct.Struct(">Q")
_PLACES = "SELECT PAGE_ID_BLOB, PAGE_OFFSET_BLOB, PAGE_OFFSET_BLOB_END FROM INDEXES ORDER BY ROW_ID"


class RecordFile:
    """A MindRecord file of one schema with several bytes fields.

    Safe for threads and forked processes: nothing is remembered between reads.

    Args:
        path: the file; its index lies beside it.

    Raises:
        UserError: if it is no MindRecord file, its index is missing, or the file is shorter than its index says.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self._stream = open(path, "rb", buffering=0)  # closed with the object
            header = self._header()
            self._fields: list[str] = header["schema"][0]["blob_fields"]
            self._bounds = self._places(header["header_size"], header["page_size"])
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; pack the data set again") from None
        except (OSError, ValueError, KeyError, IndexError, struct.error, sqlite3.Error) as error:
            raise UserError(f"{path}: not a readable MindRecord file ({' '.join(str(error).split())}); pack the data set again") from None
        if len(self) and int(self._bounds[-1, 1]) > os.fstat(self._stream.fileno()).st_size:
            raise UserError(f"{path}: the file is truncated; pack the data set again")

    def __len__(self) -> int:
        return len(self._bounds)

    def reader(self, row: int, field: str) -> Callable[[int, int], bytes]:
        """Return a function that takes a start and a number of bytes, and returns those of a row's field, or fewer where it ends."""
        start, end = self._bounds[row].tolist()
        start += _LENGTH.size
        for name in self._fields:
            length = _FIELD_LENGTH.unpack(os.pread(self._stream.fileno(), _FIELD_LENGTH.size, start))[0]
            start += _FIELD_LENGTH.size
            if name == field:
                break
            start += length
        end = min(start + length, end)
        return lambda first, number: os.pread(self._stream.fileno(), max(0, min(number, end - start - first)), start + first)

    def _header(self) -> dict:
        length = _LENGTH.unpack(self._stream.read(_LENGTH.size))[0]
        if length > os.fstat(self._stream.fileno()).st_size:
            raise ValueError("its header is damaged")
        header: dict = json.loads(os.pread(self._stream.fileno(), length, _LENGTH.size))
        return header

    def _places(self, header_size: int, page_size: int) -> np.ndarray:
        """Return where each row's blob starts and ends in the file, (rows, 2) int64."""
        index = self.path.with_name(self.path.name + INDEX_SUFFIX)
        # immutable: neither locks nor a journal, which folders that are read-only or on a network refuse.
        with closing(sqlite3.connect(f"file:{quote(str(index.absolute()))}?mode=ro&immutable=1", uri=True)) as database:
            places = np.array(database.execute(_PLACES).fetchall(), np.int64).reshape(-1, 3)
        return header_size + page_size * places[:, :1] + places[:, 1:]
