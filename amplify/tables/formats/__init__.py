"""Formats of files, one module each. A reader takes (source, path, path inside the file) and gives
a `Table`; a new format is a module and a line in `READERS`.
"""

from collections.abc import Callable
from pathlib import Path

from amplify.tables.formats.csv import csv
from amplify.tables.formats.events import hepmc, lhe
from amplify.tables.formats.feather import feather
from amplify.tables.formats.hdf5 import hdf5
from amplify.tables.formats.npy import npy
from amplify.tables.formats.npz import npz
from amplify.tables.formats.parquet import parquet
from amplify.tables.formats.root import root
from amplify.tables.table import Table

Reader = Callable[[str, Path, str], Table]

# how the name of a file ends, in lower case
READERS: dict[str, Reader] = {
    ".npy": npy,
    ".npz": npz,
    ".h5": hdf5,
    ".hdf5": hdf5,
    ".hdf": hdf5,
    ".parquet": parquet,
    ".feather": feather,
    ".root": root,
    ".csv": csv,
    ".csv.gz": csv,
    ".hepmc": hepmc,
    ".hepmc3": hepmc,
    ".hepmc.gz": hepmc,
    ".hepmc3.gz": hepmc,
    ".lhe": lhe,
    ".lhe.gz": lhe,
}
# the first bytes of a file, for standard input, which has no suffix
MAGIC = {
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"\x89HDF": ".h5",
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
    b"root": ".root",
}
