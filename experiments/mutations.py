"""Files of events, cuts and results that were damaged at random, and command lines with mistakes:
what `experiments.robustness` gives to the commands.
"""

import shlex
from pathlib import Path

import numpy as np

EVENTS = 400
TRUSTED = "stored.npz", "deflated.npz", "events.csv.gz"  # with a checksum of every bit that counts

_CUTS = """
pt: x0 > 0.5
low: x0 < 0.5 and abs(x1) > 0.1
ring: x0**2 + x1**2 > 1
"""


def write_files(folder: Path) -> list[str]:
    """Writes small files of every kind that is read; their names.

    Args:
        folder: where to; events are in columns x0 and x1.
    """
    import h5py
    import pyarrow as pa
    import uproot
    from pyarrow import csv, feather, parquet

    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(1).normal(size=(EVENTS, 2))
    columns = {"x0": x[:, 0], "x1": x[:, 1]}
    np.save(folder / "plain.npy", x)
    records = np.zeros(EVENTS, [("x0", "f8"), ("x1", "f8")])
    records["x0"], records["x1"] = x.T
    np.save(folder / "records.npy", records)
    np.savez(folder / "stored.npz", x0=x[:, 0], x1=x[:, 1])
    np.savez_compressed(folder / "deflated.npz", x0=x[:, 0], x1=x[:, 1])
    with h5py.File(folder / "plain.h5", "w") as file:
        file.create_dataset("events/x0", data=x[:, 0])
        file.create_dataset("events/x1", data=x[:, 1])
    with h5py.File(folder / "checked.h5", "w") as file:
        settings = {"chunks": (64,), "compression": "gzip", "fletcher32": True}
        for name, values in columns.items():
            file.create_dataset(name, data=values, **settings)
    table = pa.table(columns)
    parquet.write_table(table, folder / "events.parquet", row_group_size=100)
    feather.write_feather(table, str(folder / "events.feather"))
    csv.write_csv(table, folder / "events.csv")
    with pa.CompressedOutputStream(str(folder / "events.csv.gz"), "gzip") as stream:
        csv.write_csv(table, stream)
    with uproot.recreate(folder / "events.root") as file:
        file["Events"] = columns
    (folder / "cuts.yaml").write_text(_CUTS.lstrip())
    return sorted(path.name for path in folder.iterdir())


def damaged(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """A file after an accident of a random kind.

    Args:
        content: the file.
        other: another one, of which a piece may get into it.
        random: decides.
    """
    if random.random() < 0.1:
        return _spliced(content, other, random)
    kinds = [_flipped, _flipped, _cut, _overwritten, _inserted, _removed, _number_of_the_head]
    return bytes(kinds[random.integers(len(kinds))](bytearray(content), random))


def _flipped(content: bytearray, random: np.random.Generator) -> bytearray:
    """One flipped bit, or up to sixteen, half of the time near the beginning or the end."""
    near = random.random() < 0.5
    for _ in range(1 if random.random() < 0.5 else int(random.integers(2, 17))):
        place = int(random.integers(min(len(content), 512) if near else len(content)))
        content[place if random.random() < 0.7 else -place - 1] ^= 1 << int(random.integers(8))
    return content


def _cut(content: bytearray, random: np.random.Generator) -> bytearray:
    return content[: int(random.integers(len(content)))]


def _overwritten(content: bytearray, random: np.random.Generator) -> bytearray:
    start, size = int(random.integers(len(content))), int(random.integers(1, 600))
    patch = random.bytes(size)
    if random.random() < 0.5:
        patch = bytes([255 * int(random.integers(2))]) * size
    content[start : start + size] = patch[: len(content) - start]
    return content


def _inserted(content: bytearray, random: np.random.Generator) -> bytearray:
    start = int(random.integers(len(content)))
    content[start:start] = random.bytes(int(random.integers(1, 100)))
    return content


def _removed(content: bytearray, random: np.random.Generator) -> bytearray:
    start = int(random.integers(len(content)))
    del content[start : start + int(random.integers(1, 300))]
    return content


def _number_of_the_head(content: bytearray, random: np.random.Generator) -> bytearray:
    """A number in the first or last bytes becomes a large one, as sizes and places are."""
    places = [i for i, byte in enumerate(content[:4096]) if chr(byte).isdigit()]
    if places and random.random() < 0.5:
        place = places[int(random.integers(len(places)))]
        content[place : place + 1] = str(int(random.integers(10**9))).encode()
        return content
    size = int(random.choice([1, 2, 4, 8]))
    place = int(random.integers(max(1, min(len(content), 1024) - size)))
    large = int(random.choice([0, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1]))
    if random.random() < 0.5:
        place = max(0, len(content) - place - size)
    content[place : place + size] = (large % 2 ** (8 * size)).to_bytes(size, "little")
    return content


def _spliced(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """The beginning of one file and the end of another."""
    return content[: random.integers(len(content))] + other[random.integers(len(other)) :]


_ODD = (
    "", "-", "--", "nan", "inf", "-1", "1e400", "0x10", "'", '"', "\x1b[31m", "[/red]", "\u202e",
    "x0 >", "../..", "/proc", "/dev/null", "a" * 5000, "--out", "--members", "1_000", "\udcff",
)  # fmt: skip


def mistaken(line: str, random: np.random.Generator) -> list[str]:
    """The words of a command line with one to three mistakes.

    Args:
        line: one that is right.
        random: decides.
    """
    words = shlex.split(line)
    for _ in range(int(random.integers(1, 4))):
        place, kind = int(random.integers(1, len(words))), int(random.integers(5))
        if kind == 0:
            del words[place]
        elif kind == 1:
            words.insert(place, words[int(random.integers(1, len(words)))])
        elif kind == 2:
            words[place] = _misspelt(words[place], random)
        else:
            words[place : place + (kind == 3)] = [_ODD[int(random.integers(len(_ODD)))]]
        if len(words) < 3:
            break
    return words


def _misspelt(word: str, random: np.random.Generator) -> str:
    place = int(random.integers(len(word))) if word else 0
    letter = chr(int(random.integers(33, 127)))
    return word[:place] + letter + word[place + 1 :]
