"""Everything that can be wrong with an input, as data: calls of the commands, and words of the
error. The files are those of `bad_files`.

`CASES` maps a name to words of the error and a command line. `TWO` and `DIFF` are calls without a
fault. A new case is a line of its table, and a file in `bad_files` where it needs one.
"""

import shlex

TWO = "averaging --members a.npy b.npy --n-train 100"
DIFF = "differential --generated a.npy --holdout holdout.npy --n-train 100"
GENERATOR = "averaging --generator gen:fit --train a.npy --n-gen 2000 --out run"


def averaging(members: str, more: str = "") -> str:
    """The command for these members."""
    return f"averaging --members {members} --n-train 100 {more}"


def differential(generated: str, holdout: str, more: str = "") -> str:
    """The command for these samples."""
    return f"differential --generated {generated} --holdout {holdout} --n-train 100 {more}"


# a third member that is wrong: words of the error
MEMBERS = {
    # broken files
    "truncated.npy": "truncated",
    "truncated.npz": "not a zip",
    "truncated.h5": "truncated",
    "truncated.parquet": "footer",
    "truncated.root": "readable .root",
    "nothing.npy": "numpy.save",
    "nothing.npz": "not a zip",
    "nothing.h5": "signature",
    "nothing.parquet": "0 bytes",
    "nothing.root": "readable .root",
    "words.npy": "numpy.save",
    "words.npz": "not a zip",
    "words.h5": "signature",
    "words.parquet": "not a parquet",
    "words.root": "not a ROOT file",
    "middle_good.npz": "CRC",
    "middle_packed.npz": "middle_packed.npz",
    "middle_checked.h5": "filter",
    "middle_a.root": "middle_a.root",
    # heads of .npy that lie
    "short_head.npy": "the head of",
    "claims.npy": "16000000000000 bytes",
    "negative.npy": "shape (-4, 2)",
    "wraps.npy": "truncated",
    "no_shape.npy": "the head of",
    "version.npy": "the head of",
    "code.npy": "the head of",
    # types and shapes
    "pickle.npy": "pickled objects",
    "pickle.npz": "pickled objects",
    "bare_pickle.npy": "numpy.save",
    "complex.npy": "complex128",
    "text.npy": "<U1",
    "dates.npy": "datetime64",
    "cube.npy": "x[0,0]",
    "scalar.npy": "shape ()",
    "no_rows.npy": "at least one event",
    "no_columns.npy": "at least one event",
    "narrow.npy": "members have the same columns",
    "uneven.npz": "1 columns (x0)",
    "empty_archive.npz": "none",
    "not_arrays.npz": "readme.txt",
    "no_rows.parquet": "at least one event",
    "twins.parquet": "x0",
    # places in a file
    "two.h5:a": "gen[0]",
    "two.h5:b": "a/gen, a/true",
    "two.h5:scalar": "shape ()",
    "two.h5:link": "two.h5:link",
    "two.h5:dangling": "two.h5:dangling",
    "two.h5:null": "two.h5:null",
    "two.h5:words": "|S1",
    "two.h5:a/gen/deeper": "a/gen, a/true",
    "no_set.h5": "a data set",
    "two_trees.root": "Events, Runs",
    "two_trees.root:Muons": "Events, Runs",
    "histogram.root": "one tree",
    "a.npy:inside": "one array",
    "a.parquet:inside": "one table",
    "good.npz:x7": "x0, x1",
    # values
    "nan.npy": "nan in row 321, column x1; repair",
    "inf.npy": "inf in row 321, column x1; repair",
    "all_nan.npy": "and 599 more such events",
    "null.parquet": "nan in row 0, column x0",
    # what is no file
    "missing.npy": "no such file",
    "no_*_such.npy": "files that match",
    "folder.npy": "a directory",
    "folder": "a directory",
    "loop.npy": "no such file",
    "dangling.npy": "no such file",
    "pipe.npy": "a pipe",
    "table.csv": "Expected 2 columns",
    "bare": ".parquet",
    "nul\0byte.npy": "no such file",
    "x" * 5000 + ".npy": "too long",
}

SAMPLES = {
    "members: none": ("at least 2 files", "averaging --n-train 100"),
    "members: one": ("at least 2 files", averaging("a.npy")),
    "members: a number": ("at least 2 files", averaging("8")),
    "members: twice": ("named twice", averaging("a.npy a.npy")),
    "members: twice, written otherwise": ("named twice", averaging("a.npy ./a.npy")),
    "members: jagged": ("jagged", averaging("jagged.parquet ab.parquet")),
    "members: only jagged": ("jagged_only.parquet", averaging("jagged_only.parquet ab.parquet")),
    "members: said to be jagged": ("jagged:", averaging("jagged_only.parquet ab.parquet")),
    "sample of files that differ": (
        "files of one sample",
        differential("named_x0.npz named_y0.npz", "holdout.npy"),
    ),
    "generated: missing": ("missing.npy", differential("missing.npy", "holdout.npy")),
    "generated: no rows": ("no_rows.npy", differential("no_rows.npy", "holdout.npy")),
    "generated: other columns": ("narrow.npy", differential("narrow.npy", "holdout.npy")),
    "generated: more columns": ("holdout.npy", differential("with.npz", "holdout.npy")),
    "generated: nan": ("nan in row 321, column x1", differential("nan.npy", "holdout.npy")),
    "generated: infinite": (
        "inf in row 321, column x1",
        differential("inf.npy", "holdout.npy", "--summary column:x1"),
    ),
    "holdout: missing": ("missing.npy", differential("a.npy", "missing.npy")),
    "holdout: no rows": ("no_rows.npy", differential("a.npy", "no_rows.npy")),
    "holdout: nothing": ("nothing.npy", differential("a.npy", "nothing.npy")),
    "holdout: nan": ("nan in row 321, column x1", differential("a.npy", "nan.npy")),
    "holdout: other columns": ("narrow.npy", differential("a.npy", "narrow.npy")),
    "holdout: truncated": ("truncated.npy", f"{TWO} --holdout truncated.npy"),
    "holdout: the generated events": ("different events", differential("a.npy", "a.npy")),
    "holdout: twice": (
        "twice",
        differential("a.npy", "holdout.npy holdout.npy", "--summary column:x0"),
    ),
    "holdout: twice, by a glob": (
        "twice",
        differential("a.npy", "holdout.npy hold*.npy", "--summary column:x0"),
    ),
    "holdout: a member": ("named twice", f"{TWO} --holdout b.npy"),
    "train: missing": ("missing.npy", f"{DIFF} --train missing.npy"),
    "train: other columns": ("narrow.npy", f"{DIFF} --train narrow.npy"),
    "train: nan": ("nan in row 321, column x1", f"{DIFF} --train nan.npy"),
    "n_gen: without a generator": ("--generator", f"{TWO} --n-gen 10"),
    "holdout: among the training events": (
        "not used in training",
        f"{TWO} --holdout holdout.npy --train holdout.npy",
    ),
    "stdin: nothing": ("pipe a file", differential("-", "holdout.npy")),
    "drop: nothing left": ("none", averaging("a.npy b.npy all_nan.npy", "--drop-nonfinite")),
}

NUMBERS = {
    "n_train: nothing": ("--n-train", "averaging --members a.npy b.npy"),
    "n_train: nothing, differential": (
        "arguments",
        "differential --generated a.npy --holdout holdout.npy",
    ),
    "n_train: 0": ("--n-train: expected at least 1", f"{TWO} --n-train 0"),
    "n_train: 0, differential": ("--n-train: expected at least 1", f"{DIFF} --n-train 0"),
    "n_train: -5": ("--n-train: expected at least 1", f"{TWO} --n-train -5"),
    "n_train: -1": ("--n-train: expected at least 1", f"{DIFF} --n-train -1"),
    "n_train: text": ("amplify averaging --help", f"{TWO} --n-train many"),
    "n_train: 1.5": ("no INT can be read from ['1.5']", f"{TWO} --n-train 1.5"),
    "level: 68": ("between 0 and 1", f"{TWO} --level 68"),
    "level: 2": ("level", f"{TWO} --level 2"),
    "level: 2, learned": ("level", f"{DIFF} --level 2"),
    "level: 2, observable": ("level", f"{DIFF} --level 2 --summary column:x0"),
    "level: 0": ("level", f"{DIFF} --level 0"),
    "limit level: 0.5": ("--limit-level", f"{DIFF} --limit-level .5"),
    "limit level: 95": ("--limit-level", f"{TWO} --limit-level 95"),
    "level: nan": ("between 0 and 1", f"{DIFF} --level nan"),
    "fraction: 2": ("between 0 and 1", f"{DIFF} --fraction 2"),
    "fraction: 0": ("--fraction", f"{DIFF} --fraction 0"),
    "fraction: 1": ("--fraction", f"{DIFF} --fraction 1"),
    "fraction: nan": ("--fraction", f"{DIFF} --fraction nan"),
    "bins: 1": ("at least 2, got 1", f"{TWO} --bins 1"),
    "bins: -3": ("at least 2", f"{DIFF} --bins -3"),
    "bins: too many": ("fewer bins", f"{DIFF} --bins 601"),
    "bins: of one value": ("fewer bins", averaging("constant.npy b.npy", "--bins 5")),
    "bins: of one value in half of the members": (
        "distinct edges",
        averaging("a.npy constant.npy", "--columns x0 --bins 400"),
    ),
    "bins and regions": ("one of them", f"{DIFF} --bins 5 --regions good.yaml"),
    "bins and regions, averaging": ("one of them", f"{TWO} --bins 5 --regions good.yaml"),
}

COLUMNS = {
    "column: unknown": ("column pt: expected one of x, x0, x1", f"{TWO} --columns pt"),
    "column: unknown, differential": ("column pt", f"{DIFF} --columns pt"),
    "column: twice": ("x0 twice", f"{TWO} --columns x0 x0"),
    "column: jagged": (
        "one number per event, got any number of them in 'Jet_pt'; make one of them: sum(Jet_pt)",
        averaging("jagged.parquet ab.parquet", "--columns Jet_pt"),
    ),
    "column: text": ("string", averaging("jagged.parquet ab.parquet", "--columns name")),
    "column: a condition": ("a condition", f"{TWO} --columns 'x0 > 1'"),
    "column: empty": ("an expression", f"{TWO} --columns ''"),
    "column: only a name": ("an expression", f"{TWO} --columns pt="),
    "column: an attribute": ("an attribute", f"{TWO} --columns x0.T"),
    "column: code": (
        "nothing else can be called",
        f"""{TWO} --columns "open('executed', 'w')" """,
    ),
    "column: not closed": ("never closed", f"{TWO} --columns 'sqrt(x0'"),
    "column: not finite": ("column log(x0)", f"{TWO} --columns 'log(x0)'"),
    "column: number": ("an expression of columns", f"{TWO} --columns '2 * 3'"),
    "map: unknown": ("--map", f"{TWO} --map x0 pt"),
    "map: same": ("x0 twice", f"{TWO} --map x0 x0"),
    "summary: unknown": ("classifier", f"{DIFF} --summary forest"),
    "summary: unknown column": ("one of x, x0, x1", f"{DIFF} --summary column:pt"),
    "summary: unknown ratio": ("pt", f"{DIFF} --summary ratio:pt"),
    "summary: no column": ("column:", f"{DIFF} --summary column:"),
    "summary: only a word": ("ratio", f"{DIFF} --summary ratio"),
    "cross-fit: nothing is learned": ("--cross-fit", f"{DIFF} --cross-fit --summary column:x0"),
    "log_prob: unknown": ("column lp", f"{DIFF} --log-prob-column lp"),
    "log_prob: generated events have none": (
        "without.npz",
        differential("without.npz", "with.npz", "--log-prob-column log_p"),
    ),
    "log_prob: the holdout has none": (
        "without.npz",
        differential("with.npz", "without.npz", "--log-prob-column log_p"),
    ),
    "log_prob: generated events have none, columns named": (
        "log_p",
        differential("without.npz", "with.npz", "--log-prob-column log_p --columns x0 x1"),
    ),
    "log_prob: the holdout has none, columns named": (
        "log_p",
        differential("with.npz", "without.npz", "--log-prob-column log_p --columns x0 x1"),
    ),
}

WEIGHTS = {
    f"weights: {kind}": (words, averaging(f"{file}_a.npz {file}_b.npz", "--weight-column w"))
    for kind, words, file in (
        ("zero", "positive sum", "weight_zero"),
        ("negative", "positive sum", "weight_negative"),
        ("nan", "nan in row 17, column w", "weight_nan"),
        ("text", "column w", "weight_text"),
    )
}
WEIGHTS |= {
    f"weights: zero, {which}, {summary}": (
        "weight",
        differential(generated, holdout, f"--summary {summary} --columns x0 x1 --weight-column w"),
    )
    for summary in ("classifier", "column:x0", "ratio:t")
    for which, generated, holdout in (
        ("generated", "weight_zero_a.npz", "weight_one.npz"),
        ("holdout", "weight_one.npz", "weight_zero_a.npz"),
        ("both", "weight_zero_a.npz", "weight_zero_b.npz"),
    )
}
WEIGHTS |= {
    "weights: zero, generated, by name": (
        "weight_zero_a.npz",
        differential("weight_zero_a.npz", "weight_one.npz", "--weight-column w"),
    ),
    "weights: zero, holdout, by name": (
        "weight_zero_a.npz",
        differential("weight_one.npz", "weight_zero_a.npz", "--weight-column w"),
    ),
    "weights: zero, one member": (
        "weight_zero_a.npz",
        averaging("weight_zero_a.npz weight_one.npz", "--weight-column w"),
    ),
    "weights: nan, holdout": (
        "nan in row 17, column w",
        differential("weight_one.npz", "weight_nan_a.npz", "--weight-column w"),
    ),
    "weights: jagged": (
        "one number per event",
        averaging("jagged.parquet ab.parquet", "--columns x0 --weight-column Jet_pt"),
    ),
    "weights: no such column": ("column w", f"{TWO} --weight-column w"),
    "weights: no such column, differential": ("column w", f"{DIFF} --weight-column w"),
    "weights: not finite": ("column log(x0)", f"{TWO} --weight-column 'log(x0)'"),
    "weights: nothing else": (
        "none but the weight",
        averaging("narrow.npy named_x0.npz", "--weight-column x0"),
    ),
}

# files of regions: a name, the text, words of the error
CUTS = {
    "unknown.yaml": ("a: x0 > 1\n\nb: pt > 2\n", "unknown.yaml line 3"),
    "broken.yaml": ("a: x0 > 1\nb: [x0 > 1\nc: x0 > 2\n", "broken.yaml line 3"),
    "alias.yaml": ("a: &a [x0 > 1]\nb: *a\n", "an alias"),
    "code.yaml": ("a: open('executed', 'w') > x0\n", "code.yaml line 1"),
    "tag.yaml": ("a: !!python/object/apply:os.mkdir executed\n", "tag.yaml line 1"),
    "far.yaml": ("far: x0 > 1e9\n", "region far"),
    "empty.yaml": ("", "an empty file"),
    "reversed.yaml": ("a: {x0: [2, 1]}\n", "low < high"),
    "far.json": ('{"far": {"x0": [50, null]}}', "none in any member"),
    "no_width.json": ('{"empty": {"x0": [1, 1]}}', "low < high"),
    "text.json": ('{"text": {"x0": ["a", 2]}}', "low < high"),
    "other.json": ('{"other": {"pt": [0, 1]}}', "one of the columns x, x0, x1"),
    "broken.json": ('{"broken"', "line 1"),
    "list.json": ("[]", "regions like"),
    "nothing.json": ('{"nothing": {}}', "at least one column"),
}
REGIONS = {
    f"regions: {name}": (words, f"{TWO} --regions {name}") for name, (_, words) in CUTS.items()
}
REGIONS |= {
    f"regions: {name}, differential": (CUTS[name][1], f"{DIFF} --regions {name}")
    for name in ("broken.yaml", "tag.yaml", "reversed.yaml")
}
REGIONS |= {
    "regions: missing": ("no such file", f"{TWO} --regions missing.yaml"),
    "regions: missing JSON": ("a YAML or JSON file of regions", f"{TWO} --regions missing.json"),
    "regions: missing, differential": ("missing.json", f"{DIFF} --regions missing.json"),
    "regions: a directory": ("a directory", f"{TWO} --regions folder"),
    "regions: the events": ("YAML or JSON", f"{TWO} --regions a.npy"),
}

OUTPUT = {
    "out: a file": ("a file", f"{TWO} --out a.npy"),
    "out: below a file": ("a.npy", f"{TWO} --out a.npy/run"),
    "out: has results": ("nothing is overwritten", f"{DIFF} --out old"),
    "out: has results, averaging": ("nothing is overwritten", f"{TWO} --out old"),
    "out: has results, observable": (
        "nothing is overwritten",
        f"{DIFF} --summary column:x0 --out old",
    ),
    "out: has results, ttbar": (
        "nothing is overwritten",
        "ttbar --events 5 --out old/results.json",
    ),
    "json: a directory": ("folder", f"{TWO} --regions good.yaml --json folder --out run"),
    "an unknown option": ("--bin", f"{TWO} --bin 3"),
    "an unknown command": ("amplify --help", "nonsense"),
    "report: missing": ("a results.json", "report missing.json"),
    "report: the events": ("no JSON", "report a.npy"),
    "labels: missing": ("--labels", f"{TWO} --labels missing.yaml"),
    "labels: the events": ("lines like pt", f"{DIFF} --labels a.npy"),
    "figures: unknown": ("gif", f"{TWO} --figures gif"),
}

GENERATORS = {
    "generator: no events": ("--train", "averaging --generator gen:fit"),
    "generator: n_train": ("--n-train", f"{GENERATOR} --n-train 5"),
    "generator: members are files": ("one number", f"{GENERATOR} --members a.npy b.npy"),
    "generator: one member": ("at least 2", f"{GENERATOR} --members 1"),
    "generator: one event": ("training events", GENERATOR.replace("a.npy", "one.npy")),
    "generator: holdout missing": ("no such file", f"{GENERATOR} --holdout missing.npy"),
    "generator: holdout of training events": ("not trained on", f"{GENERATOR} --holdout a.npy"),
    "generator: holdout of some training events": (
        "not trained on",
        f"{GENERATOR} --holdout few.npy",
    ),
    "generator: regions missing": ("no such file", f"{GENERATOR} --regions missing.yaml"),
    "generator: level": ("level", f"{GENERATOR} --level 2"),
    "generator: seed": ("--seed", f"{GENERATOR} --seed -1"),
    "generator: n_gen of files": ("--generator", f"{TWO} --n-gen 7"),
    "generator: files without n_train": ("--n-train", "averaging --members a.npy b.npy"),
}

MEMBER_CASES = {
    f"member {name[:40]!a}": (words, averaging(f"a.npy b.npy {shlex.quote(name)}"))
    for name, words in MEMBERS.items()
}
CASES = MEMBER_CASES | SAMPLES | NUMBERS | COLUMNS | WEIGHTS | REGIONS | OUTPUT | GENERATORS
# what the parser of the command line says: no remedy of ours follows
PARSED = {"an unknown option", "an unknown command"}
PARSED |= {"figures: unknown", "n_train: text", "n_train: 1.5", "n_train: nothing, differential"}
