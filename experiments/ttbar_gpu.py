"""The study of top pairs (figures 11 to 15) of networks that were trained on an accelerator, on
ten times the events.

The accelerator leaves counts in regions and some events of the first network of each kind
(`python -m experiments.accelerator --preset gpu --parts physics --out OUT`); this makes the study
of them anywhere, and compares event by event: `python -m experiments.ttbar_gpu --counts OUT --data
events.h5`, with true events of a seed of their own. `python -m paper_figures fig13 --top-pairs
ttbar_gpu` draws it.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from amplify.generators.cut_base import Cuts
from amplify.progress import progress_bar
from amplify.results.records import finite
from amplify.ttbar import kinematics
from amplify.ttbar.event_files import open_events
from experiments import study, ttbar_analysis
from experiments.benchmarks.accelerator_top import GPU, SHARES, TopSizes

COMPARED = 400_000  # true events, event by event
LINES = "accelerator.jsonl"


def main(counts: Path, data: Path, out: Path = Path("amplify-runs/ttbar_gpu")) -> Path:
    """Writes OUT/results.json.

    Args:
        counts: the folder that the accelerator left.
        data: true events of `amplify ttbar`, of another seed than 100 to 120.
        out: finished comparisons found there are used again.
    """
    return run(GPU, counts, data, out, COMPARED)


def run(sizes: TopSizes, counts: Path, data: Path, out: Path, compared: int) -> Path:
    """The same with other sizes.

    Args:
        sizes: as on the accelerator.
        counts: see `main`.
        data: see `main`.
        out: see `main`.
        compared: true events, event by event.
    """
    config, true = sizes.config, dict(np.load(counts / "top_truth.npz"))
    study.claim(out, config, {"data": data.name})
    n = compared + config.n_holdout
    opened = open_events(data, stop=n, particles=6, **Cuts()._asdict())
    momenta = opened.momenta.astype(np.float32)
    truth, holdout = momenta[:compared], momenta[compared:]
    values = {"truth": ttbar_analysis.table(truth), "holdout": ttbar_analysis.table(holdout)}
    histograms = true["truth_histograms"] / true["n_truth"]
    found: dict[str, Any] = {
        "n_train": config.n_train,
        "n_truth": int(true["n_truth"]),
        "n_truth_event_by_event": len(truth),
        "n_holdout": int(true["holdout_n"]),
        "sets": config.sets,
        "bootstrap_members": config.bootstrap_members,
        "regions": true["labels"].tolist(),
        "truth": true["truth_integral"],
        "histograms": {
            name: {"edges": edges, "truth": shares}
            for name, edges, shares in zip(
                ttbar_analysis.SHOWN, true["edges"], histograms, strict=True
            )
        },
        "ks_of_training_set": _by_column(true["ks_of_training_set"]),
        "models": {},
    }
    estimates: list[dict[str, Any]] = []
    said = _said(counts / LINES)
    there = [name for name in SHARES if (counts / f"top_{name}.npz").exists()]
    with progress_bar("measuring", total=len(there)) as bar:
        for k, name in enumerate(there):
            arrays = dict(np.load(counts / f"top_{name}.npz"))
            model = _measured(sizes, name, arrays, true) | said[name]
            part = partial(_compared, sizes, name, arrays["x"], truth, holdout, values)
            stored = study.cached(out / "parts" / f"{name}.npz", part)
            model["differential"] = json.loads(str(stored["result"]))
            found["models"][name] = model
            records = json.loads(str(stored["records"])) + model.pop("records")
            estimates += [record | {"generator": name} for record in records]
            bar.count(k + 1, len(there))
    path = out / "results.json"
    command = "python -m experiments.ttbar_gpu --counts OUT --data events.h5"
    sources = [{"path": data.name, "events": len(momenta)}]
    study.record(path, command, config, ttbar_analysis.rounded(finite(found)), estimates, sources)
    print(path)
    return path


def _said(lines: Path) -> dict[str, dict[str, Any]]:
    """What the accelerator's lines say of each network that was finished."""
    kept = ("parameters", "steps", "epochs", "batch", "n_gen", "diverged", "loss", "passing")
    found = {}
    for line in map(json.loads, lines.read_text().splitlines()):
        figures = line.get("figures", {})
        if "networks" in figures:
            found[line["item"]] = {key: figures[key] for key in kept} | {
                "train_seconds": figures["train_s"] / figures["networks"],
                "sample_ms": figures["us_per_generated_event"] / 1e3,
            }
    return found


def _by_column(values: np.ndarray) -> dict[str, float]:
    return dict(zip(ttbar_analysis.COLUMN, values.tolist(), strict=True))


def _measured(
    sizes: TopSizes, name: str, arrays: dict[str, np.ndarray], true: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Distributions and averaging, of the counts."""
    config, model = sizes.config, sizes.config.models[name]
    found: dict[str, Any] = {"network": model.network, "chart": model.chart}
    for cut in ("all", "cut"):
        n = arrays[f"n_{cut}"].astype(float)
        averaging, records = ttbar_analysis.averaging_of_integrals(
            config,
            arrays[f"integral_{cut}"],
            n,
            tuple(true["labels"].tolist()),
            true["truth_integral"],
            true["holdout_integral"],
            n_truth=int(true["n_truth"]),
        )
        shares = arrays[f"histograms_{cut}"] / n[:, None, None]
        found[cut] = {
            "ks": _by_column(arrays[f"ks_{cut}"][0]),
            "histograms": {
                column: ttbar_analysis.band(list(shares[:, k]), config.sets)
                for k, column in enumerate(ttbar_analysis.SHOWN)
            },
            "averaging": averaging,
        }
        if cut == "all":
            found["records"] = records
    return found


def _compared(
    sizes: TopSizes,
    name: str,
    x: np.ndarray,
    truth: np.ndarray,
    holdout: np.ndarray,
    values: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Event by event, of the first network: what it found as JSON."""
    momenta = ttbar_analysis.momenta_of(sizes.config.models[name], x)
    passing = kinematics.passes(momenta, **Cuts()._asdict())
    observed = ttbar_analysis.table(momenta)
    result, records = ttbar_analysis.differential(
        sizes.config, momenta, passing, observed, truth, holdout, values
    )
    both = {"result": result, "records": records}
    return {key: np.array(json.dumps(_plain(value))) for key, value in both.items()}


def _plain(value: Any) -> Any:
    return ttbar_analysis.rounded(finite(value))


if __name__ == "__main__":
    study.run(main)
