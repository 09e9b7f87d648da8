"""Arrays in one file that is mapped into memory, laid out like safetensors: a header of JSON, and the bytes."""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

_TYPES = {
    "U8": np.uint8, "I8": np.int8, "I32": np.int32, "I64": np.int64, "U64": np.uint64, "F32": np.float32,
    "F64": np.float64,
}  # fmt: skip
_NAMES = {np.dtype(made): name for name, made in _TYPES.items()}
_CHECKED_BYTES = 16 * 1024 * 1024
_ALIGNED = 64


def write(path: Path, arrays: Arrays, about: Mapping[str, str] | None = None) -> None:
    """Write arrays, and texts `about` them, into one file; the largest items first, so that all are aligned."""
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    names = sorted(kept, key=lambda name: -kept[name].itemsize)
    metadata = dict(about or {})
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in names:
        begin, end = end, end + kept[name].nbytes
        header[name] = {"dtype": _NAMES[kept[name].dtype], "shape": kept[name].shape, "data_offsets": (begin, end)}
        metadata[f"crc32.{name}"] = str(zlib.crc32(_bytes(kept[name])))
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNED)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            file.write(_bytes(kept[name]))


def read(path: Path, prefix: str = "", *, thorough: bool = False) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file whose names begin so, mapped and not copied, and the texts about them.

    Checksums are compared for arrays of up to 16 MB in larger files (whoever lists smaller ones has their checksum), or
    for all if `thorough`. Raises ValueError, KeyError, TypeError or OSError for a file that is damaged.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    begin = 8 + int.from_bytes(mapped[:8], "little")
    header = json.loads(mapped[8:begin])
    metadata = header.pop("__metadata__")
    arrays = {}
    reached = 0
    for name, said in header.items():
        first, last = said["data_offsets"]
        made, shape = np.dtype(_TYPES[said["dtype"]]), tuple(said["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        if first != reached or last - first != count * made.itemsize:
            raise ValueError(f"{name} is not where it should be")
        reached = last
        if not name.startswith(prefix):
            continue
        array = np.frombuffer(mapped, made, count, begin + first).reshape(shape)
        is_checked = thorough or len(mapped) > _CHECKED_BYTES >= array.nbytes
        if is_checked and str(zlib.crc32(_bytes(array))) != metadata[f"crc32.{name}"]:
            raise ValueError(f"{name} has changed since it was written")
        arrays[name] = array
    if begin + reached != len(mapped):
        raise ValueError(f"{len(mapped)} bytes instead of {begin + reached}")
    return arrays, {name: text for name, text in metadata.items() if not name.startswith("crc32.")}


def joined(pieces: list[bytes], prefix: str) -> dict[str, Array]:
    """Byte strings end to end, and where each of them ends."""
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return {f"{prefix}.ends": ends, f"{prefix}.bytes": np.frombuffer(b"".join(pieces), np.uint8)}


def spans(starts: Array, counts: Array) -> Array:
    """The places `starts[0], starts[0] + 1, …` of each span, `counts[0]` of them, one span behind the other."""
    ends = np.cumsum(counts, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) + np.repeat(starts - (ends - counts), counts)


def _bytes(array: Array) -> memoryview:
    flat: Any = array.reshape(-1).view(np.uint8)
    return memoryview(flat)
