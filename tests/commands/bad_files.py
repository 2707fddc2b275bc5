"""Files that are wrong in every way, and some good ones, for the calls of `bad_inputs`."""

import os
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import uproot

from tests.commands.bad_inputs import CUTS

N = 600  # events of most files
GENERATOR = """
import os, numpy as np

def fit(x_train, seed):
    open(f"trained_{os.getpid()}", "w").close()
    mean = x_train.mean(axis=0)
    return lambda n, seed: np.random.default_rng(seed).normal(mean, 1.0, (n, len(mean)))
"""


def write_files() -> None:
    """Fills the current directory."""
    rng = np.random.default_rng(41)
    x = rng.normal(size=(N, 2))
    _good(rng, x)
    _broken(x)
    _lying_heads()
    _arrays(x)
    _archives_and_groups(x)
    _parquet(x)
    _trees(x)
    _values(x)
    _weights(rng)
    _no_files()
    for name, (text, _) in CUTS.items():
        Path(name).write_text(text)
    Path("good.yaml").write_text("a: x0 > 0\n")
    Path("minus.yaml").write_text("a: (x0 > 0) - (x1 > 0) > 0\n")
    Path("gen.py").write_text(GENERATOR)
    Path("old").mkdir()
    Path("old/results.json").write_text("precious")


def npy_header(text: str, version: bytes = b"\x01\x00", end: bytes = b"") -> bytes:
    """The beginning of an .npy file with any header, and what follows."""
    head = text.encode() + b"\n"
    return b"\x93NUMPY" + version + len(head).to_bytes(2, "little") + head + end


class _Trap:
    """Opens a file when it is unpickled."""

    def __reduce__(self):
        return (open, ("executed", "w"))


def _write_tree(path, name="Events", **columns):
    with uproot.recreate(path) as file:
        file.mktree(name, {key: values.dtype for key, values in columns.items()})
        file[name].extend(columns)


def _write_parquet(path, columns, **settings):
    pq.write_table(pa.table(columns), path, **settings)


def _overwrite(source, target, place=None, size=40):
    """The same file with some bytes overwritten, in its middle unless said where."""
    data = bytearray(Path(source).read_bytes())
    place = len(data) // 2 if place is None else place
    data[place : place + size] = b"\xa5" * size
    Path(target).write_bytes(data)


def _good(rng, x):
    for name in ("a", "b", "holdout"):
        np.save(f"{name}.npy", rng.normal(size=(N, 2)))
        _write_tree(f"{name}.root", x0=rng.normal(size=N), x1=rng.normal(size=N))
        columns = {"x0": rng.normal(size=N), "x1": rng.normal(size=N), "w": np.ones(N)}
        _write_parquet(f"{name}.parquet", columns)
    np.save("few.npy", np.load("a.npy")[: N // 2])
    columns = {"x0": x[:, 0], "x1": x[:, 1]}
    _write_parquet("ab.parquet", columns, use_dictionary=False)
    _write_parquet("checked.parquet", columns, use_dictionary=False, write_page_checksum=True)
    pyarrow.feather.write_feather(pa.table(columns), "ab.feather")
    pyarrow.csv.write_csv(pa.table(columns), "ab.csv")
    np.savez("good.npz", **columns)
    np.savez_compressed("packed.npz", **columns)
    np.savez("without.npz", **columns)
    np.savez("with.npz", **columns, t=0.1 * x[:, 0], log_p=rng.normal(size=N))
    with h5py.File("good.h5", "w") as file:
        file["events"] = x
    with h5py.File("checked.h5", "w") as file:
        file.create_dataset("events", data=x, chunks=(N, 2), fletcher32=True)


def _broken(x):
    sources = "a.npy", "good.npz", "good.h5", "a.parquet", "a.root"
    for source in map(Path, sources):
        data = source.read_bytes()
        Path("truncated" + source.suffix).write_bytes(data[: len(data) // 2])
        Path("nothing" + source.suffix).touch()
        Path("words" + source.suffix).write_text("pt,eta\n1,2\n" * 50)
    Path("short_head.npy").write_bytes(Path("a.npy").read_bytes()[:40])
    for source in ("good.npz", "packed.npz", "checked.h5", "checked.parquet"):
        _overwrite(source, "middle_" + source)
    with uproot.open("a.root:Events") as tree:
        place = int(tree["x1"].member("fBasketSeek")[0]) + 200
    _overwrite("a.root", "middle_a.root", place)


def _lying_heads():
    start = "{'descr': '<f8', 'fortran_order': False"
    heads = {
        "claims": npy_header(f"{start}, 'shape': (1000000000000, 2)}}"),
        "negative": npy_header(f"{start}, 'shape': (-4, 2)}}", end=bytes(64)),
        "wraps": npy_header(f"{start}, 'shape': (4611686018427387904, 4)}}", end=bytes(64)),
        "no_shape": npy_header(f"{start}}}", end=bytes(64)),
        "version": npy_header("{}", version=b"\x09\x00", end=bytes(64)),
        "code": npy_header("__import__('os').mkdir('executed')", end=bytes(64)),
    }
    for name, data in heads.items():
        Path(f"{name}.npy").write_bytes(data)


def _arrays(x):
    np.save("pickle.npy", np.array([_Trap()], dtype=object), allow_pickle=True)
    Path("bare_pickle.npy").write_bytes(pickle.dumps(_Trap()))
    arrays = {
        "complex": x.astype(complex),
        "text": np.array([["a", "b"]] * N),
        "dates": np.zeros((N, 2), "datetime64[s]"),
        "cube": np.zeros((N, 2, 2)),
        "scalar": np.float64(3),
        "no_rows": x[:0],
        "no_columns": x[:, :0],
        "narrow": x[:, :1],
        "one": x[:1],
    }
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)


def _archives_and_groups(x):
    np.savez("pickle.npz", x0=np.array([_Trap()], dtype=object))
    np.savez("uneven.npz", x0=x[:, 0], x1=x[1:, 1])
    np.savez("empty_archive.npz")
    with zipfile.ZipFile("not_arrays.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name in ("y0", "x0"):
        np.savez(f"named_{name}.npz", **{name: x[:, 0]})
    with h5py.File("two.h5", "w") as file:
        file["a/gen"], file["a/true"], file["scalar"] = x, x, 3.0
        file["link"] = h5py.ExternalLink("elsewhere.h5", "/x")
        file["dangling"] = h5py.SoftLink("/nowhere")
        file.create_dataset("null", data=h5py.Empty("f8"))
        file["words"] = np.array([b"a"] * N)
    with h5py.File("no_set.h5", "w") as file:
        file.create_group("empty")


def _parquet(x):
    jagged = {"Jet_pt": [[1.0], []] * (N // 2), "name": ["a"] * N}
    _write_parquet("jagged_only.parquet", jagged)
    _write_parquet("jagged.parquet", {"x0": x[:, 0], "x1": x[:, 1]} | jagged)
    _write_parquet("no_rows.parquet", {"x0": x[:0, 0]})
    _write_parquet("null.parquet", {"x0": pa.array([None, *x[1:, 0]]), "x1": x[:, 1]})
    twins = pa.table([pa.array(x[:, 0]), pa.array(x[:, 1])], names=["x0", "x0"])
    pq.write_table(twins, "twins.parquet")


def _trees(x):
    with uproot.recreate("two_trees.root") as file:
        for name in ("Events", "Runs"):
            file.mktree(name, {"x0": "f8"})
            file[name].extend({"x0": x[:, 0]})
    with uproot.recreate("histogram.root") as file:
        file["h"] = np.histogram(x[:, 0])


def _values(x):
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        broken = x.copy()
        broken[321, 1] = value
        np.save(f"{name}.npy", broken)
    np.save("all_nan.npy", np.full((N, 2), np.nan))
    np.save("constant.npy", np.ones((N, 2)))


def _weights(rng):
    weights = {
        "zero": np.zeros(N),
        "negative": np.full(N, -1.0),
        "nan": np.where(np.arange(N) == 17, np.nan, 1.0),
        "text": np.array(["1"] * N),
        "one": np.ones(N),
    }
    for name, weight in weights.items():
        for suffix in ("a", "b"):
            x0, x1 = rng.normal(size=(2, N))
            path = "weight_one.npz" if name == "one" else f"weight_{name}_{suffix}.npz"
            np.savez(path, x0=x0, x1=x1, t=0.1 * x0, w=weight)


def _no_files():
    Path("folder.npy").mkdir()
    Path("folder").mkdir()
    Path("loop.npy").symlink_to("loop.npy")
    Path("dangling.npy").symlink_to("nowhere.npy")
    os.mkfifo("pipe.npy")
    Path("table.csv").write_text("x0,x1\n1,2\n1,2,3\n")
    Path("bare").write_bytes(Path("a.npy").read_bytes())
