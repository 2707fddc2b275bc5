"""What is measured on generated top pairs: distributions, averaging and differential amplification,
each as generated and after the cuts.

The truth passed the cuts of a detector. A flow spills over their edges, so every measurement is
made twice: on all generated events, and on those that pass.
"""

from itertools import chain
from typing import Any

import jax
import numpy as np
from scipy.stats import t as t_distribution

from amplify import regions as rg
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification, region_threshold
from amplify.estimators.kolmogorov import ks_distance_to
from amplify.estimators.learned import split
from amplify.estimators.pooled import pooled_amplification
from amplify.generators.charts import helicity_chart, jet_chart
from amplify.generators.cut_base import Cuts
from amplify.progress import progress_bar
from amplify.results.records import averaging_records, differential_records, finite
from amplify.summaries.mlp import MLPConfig, mlp_ratio
from amplify.training.fit import FitConfig
from amplify.ttbar import helicity, kinematics
from amplify.types import Events, Holdout, Status

BINS = 10
TAILS = {"m_tt_gev": 1000.0, "pt_t_gev": 400.0, "pt_tt_gev": 200.0}  # GeV
NAMES = {"m_tt_gev": "m_tt", "pt_t_gev": "pT_t", "pt_tt_gev": "pT_tt"}
BULK = (0.1, 0.9)  # quantiles
COLUMN = {name: i for i, name in enumerate(kinematics.OBSERVABLES)}
CLASSIFIER = MLPConfig(
    members=3,
    hidden=(128, 128),
    training=FitConfig(steps=800, batch=1024, learning_rate=1e-3, weight_decay=1.0),
    most_gen=100_000,
)


def measure(
    config: Any,
    truth: np.ndarray,
    sets: np.ndarray,
    holdout: np.ndarray,
    generated: dict[str, dict[str, np.ndarray]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Everything the figures and the table show, and the estimates that a user with one training
    set and the holdout would get.

    Args:
        config: of the study.
        truth: momenta [n_truth, 6, 4] in GeV.
        sets: training events [set, n_train, 6, 4].
        holdout: momenta of a user's holdout.
        generated: by model, x [network, n_gen, dim]: networks on the sets, then on bootstrap
            samples of the first, and what they cost.
    """
    values = {"truth": table(truth), "holdout": table(holdout)}
    regions = study_regions(values["truth"])
    integral_true = rg.fractions(rg.count(regions, values["truth"])).integral
    histograms = {name: histogram_edges(values["truth"][:, COLUMN[name]]) for name in SHOWN}
    result: dict[str, Any] = {
        "n_train": config.n_train,
        "n_truth": config.n_truth,
        "n_gen": config.n_gen,
        "n_holdout": config.n_holdout,
        "sets": config.sets,
        "bootstrap_members": config.bootstrap_members,
        "regions": list(regions.labels),
        "truth": integral_true,
        "histograms": {
            name: {"edges": edges, "truth": _shares([values["truth"]], name, edges)[0]}
            for name, edges in histograms.items()
        },
        "ks_of_training_set": ks_table(table(sets[0]), values["truth"]),
        "models": {},
    }
    estimates: list[dict[str, Any]] = []
    with progress_bar("measuring", total=len(generated)) as bar:
        for k, (name, events) in enumerate(generated.items()):
            model, n_gen = config.models[name], events["x"].shape[1]
            momenta = [momenta_of(model, x) for x in events["x"]]
            observed = [table(p) for p in momenta]
            passing = [kinematics.passes(p, **Cuts()._asdict()) for p in momenta]
            measured: dict[str, Any] = {
                "network": model.network,
                "chart": model.chart,
                "parameters": events["parameters"],
                "train_seconds": events["train_seconds"],
                "sample_ms": 1e3 * events["sample_seconds"] / n_gen,
                "n_gen": n_gen,
                "passing": _passing(events["efficiency"], passing),
            }
            after_cuts = [o[p] for o, p in zip(observed, passing, strict=True)]
            for cut, kept in (("all", observed), ("cut", after_cuts)):
                measured[cut] = {
                    "ks": ks_table(kept[0], values["truth"]),
                    "histograms": {
                        column: band(_shares(kept, column, edges), config.sets)
                        for column, edges in histograms.items()
                    },
                }
                if model.single:
                    continue
                measured[cut]["averaging"], records = averaging(
                    config, kept, regions, integral_true, values["holdout"]
                )
                if cut == "all":
                    estimates += [record | {"generator": name} for record in records]
            measured["differential"], records = differential(
                config, momenta[0], passing[0], observed[0], truth, holdout, values
            )
            estimates += [record | {"generator": name} for record in records]
            result["models"][name] = measured
            bar.count(k + 1, len(generated))
    return rounded(finite(result)), estimates


def _passing(efficiency: np.ndarray, passing: list[np.ndarray]) -> float:
    """Share of the candidates that pass: of truncated generators it was found on sampling."""
    pairs = zip(efficiency, passing, strict=True)
    return float(np.mean([p.mean() if np.isnan(e) else e for e, p in pairs]))


def rounded(value: Any) -> Any:
    """The same structure with floats of four digits: more than any of them is known to, in half the
    space.
    """
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


SHOWN = (
    "pt_t_gev",
    "m_tt_gev",
    "pt_tt_gev",
    "y_t",
    "m_t_gev",
    "m_wplus_gev",
    "pt_b_gev",
    "delta_r_min",
)


def table(momenta: np.ndarray) -> np.ndarray:
    """The columns kinematics.OBSERVABLES [event, 14], in blocks."""
    blocks = np.array_split(momenta, -(-len(momenta) // 50_000))
    columns = [kinematics.observables(block.astype(np.float64)) for block in blocks]
    return np.concatenate(columns).astype(np.float32)


def study_regions(truth: np.ndarray) -> rg.Regions:
    """Ten equiprobable bins of each observable of TAILS, its bulk and its tail, in the table of
    observables.
    """
    regions = []
    for name, threshold in TAILS.items():
        observable, label = rg.column(COLUMN[name]), f"{NAMES[name]} [GeV]"
        low, high = np.quantile(truth[:, COLUMN[name]], BULK)
        regions += [
            rg.equiprobable(truth, observable, BINS, label),
            rg.bins(observable, [low, high], label),
            rg.tail(observable, threshold, label),
        ]
    return rg.join(*regions)


def where(k: int) -> dict[str, slice]:
    """Places of the bins, the bulk and the tail of observable k among the regions."""
    start = k * (BINS + 2)
    return {
        "all": slice(start, start + BINS),
        "bulk": slice(start + BINS, start + BINS + 1),
        "tail": slice(start + BINS + 1, start + BINS + 2),
    }


def ks_table(events: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Two-sample KS distance to the truth by observable."""
    return {name: ks_of(events[:, i], truth[:, i]) for name, i in COLUMN.items()}


def ks_of(sample: np.ndarray, truth: np.ndarray) -> float:
    """Two-sample KS distance of values, for many true ones."""
    u = np.searchsorted(np.sort(truth), sample, side="right") / len(truth)
    return float(ks_distance_to(u))


def averaging(
    config: Any,
    observed: list[np.ndarray],
    regions: rg.Regions,
    truth: np.ndarray,
    holdout: np.ndarray,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Estimated and actual error of integrals in units of sigma_n^2 = I (1 - I) / n_train, and G by
    region.

    `actual` is the mean over independent training sets of the squared distance to the truth,
    `estimated` the spread of the bootstrap members of the first set; the noise of the generated
    events is taken off both, that of the truth is a hundredth of sigma_n^2.
    """
    integral = np.stack([rg.fractions(rg.count(regions, o)).integral for o in observed])
    n_gen = np.array([len(o) for o in observed], float)
    held = rg.fractions(rg.count(regions, holdout)).integral
    return averaging_of_integrals(config, integral, n_gen, regions.labels, truth, held)


def averaging_of_integrals(
    config: Any,
    integral: np.ndarray,
    n_gen: np.ndarray,
    labels: tuple[str, ...],
    truth: np.ndarray,
    held: np.ndarray,
    n_truth: int | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same from the integrals of each network [network, region] of n_gen events [network], of
    the truth [region], of n_truth events if not as the config says, and of the holdout [region].
    """
    sets, members = integral[: config.sets], integral[config.sets :]
    unit = truth * (1 - truth) / config.n_train
    noise = integral * (1 - integral) / n_gen[:, None]
    noise_of_truth = truth * (1 - truth) / (n_truth or config.n_truth)
    squares = ((sets - truth) ** 2 - noise[: config.sets] - noise_of_truth) / unit  # [set, region]
    spread = (members.var(axis=0, ddof=1) - noise[config.sets :].mean(axis=0)) / unit
    mean = sets.mean(axis=0)
    sizes = {"n_train": config.n_train, "n_gen": int(n_gen[config.sets :].mean())}
    with jax.enable_x64(True):
        estimate = averaging_amplification(
            members,
            holdout=Holdout(held, config.n_holdout),
            n_train=config.n_train,
            n_gen=n_gen[config.sets :, None],
        )
    groups: dict[str, Any] = {}
    for k, name in enumerate(TAILS):
        for kind, place in where(k).items():
            (g, status) = _estimated(
                members[:, place], n_gen[config.sets :, None], config, estimate, place
            )
            biased = np.asarray(estimate.status)[place] == Status.BIASED
            per_set = squares[:, place].mean(axis=1)
            groups[f"{NAMES[name]}, {kind}"] = {
                "actual": _inverse(per_set.mean()),
                "actual_of_sets": [_inverse(v) for v in per_set],
                "actual_interval": [_inverse(v) for v in _mean_interval(per_set)[::-1]],
                "estimated": g[0],
                "estimated_interval": g[1:],
                "status": status,
                "biased_regions": int(biased.sum()),
                "regions": place.stop - place.start,
            }
    measured = {
        "integral": mean,
        "actual": squares.mean(axis=0).round(4),
        "estimated": spread.round(4),
        "biased": np.asarray(estimate.status) == Status.BIASED,
        "groups": groups,
    }
    records = averaging_records(
        estimate,
        labels,
        members=config.bootstrap_members,
        n_holdout=config.n_holdout,
        level=0.68,
        limit_level=0.95,
        **sizes,
    )
    bulk_and_tail = [
        records[where(k)[kind]] for k in range(len(TAILS)) for kind in ("bulk", "tail")
    ]
    return measured, list(chain.from_iterable(bulk_and_tail))


def _estimated(
    members: np.ndarray, n_gen: np.ndarray, config: Any, estimate: Any, place: slice
) -> tuple[tuple[float, float, float], str]:
    """G with its interval from the members, without the holdout; "biased" where the holdout
    contradicts any of the regions.
    """
    biased = (np.asarray(estimate.status)[place] == Status.BIASED).any()
    if place.stop - place.start > 1:
        g, status = pooled_amplification(
            members, n_train=config.n_train, n_gen=np.broadcast_to(n_gen, members.shape)
        )
        values = (float(g.value), float(g.low), float(g.high))
    else:
        # without the holdout: from the spread alone
        ends = (np.asarray(end)[place.start] for end in estimate.n_equiv)
        values = tuple(float(end) / config.n_train for end in ends)
        _, low, high = values
        status = Status.LOWER_LIMIT if low > 0 else Status.UNRESOLVED
        status = Status.RESOLVED if np.isfinite(high) else status
    return values, "biased" if biased else status.name.lower()  # pyright: ignore[reportReturnType]


def _mean_interval(values: np.ndarray, level: float = 0.68) -> tuple[float, float]:
    """Student's interval of a mean over training sets; for squares of few regions and four sets it
    covers in .59 to .67 at 68 % (simulated).
    """
    quantile = t_distribution.ppf((1 + level) / 2, len(values) - 1)
    half = quantile * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _inverse(x: float) -> float:
    return 1 / x if x > 0 else float("inf")


def features(momenta: np.ndarray) -> np.ndarray:
    """What the classifier of arXiv:2411.00446 sees of an event.

    log pT, azimuth and pseudorapidity of each particle, all Delta R, and log pT, azimuth, rapidity
    and log m of the pair, the tops and the W bosons. Azimuths are relative to the top, as cosine
    and sine: a rotation about the beam changes nothing.
    """
    p = momenta.astype(np.float64)
    t, tbar, w_plus, w_minus = kinematics.resonances(p)
    together = np.stack([t + tbar, t, tbar, w_plus, w_minus], axis=1)
    columns = [
        np.log(kinematics.pt(p)),
        np.clip(kinematics.pseudorapidity(p), -8, 8),
        np.log(kinematics.delta_r(p) + 1e-3),
    ]
    columns += [
        np.log(kinematics.pt(together) + 1.0),
        np.clip(kinematics.rapidity(together), -8, 8),
        np.log(kinematics.mass(together) + 1.0),
    ]
    azimuths = [kinematics.phi(p), kinematics.phi(together)[:, [0, 2, 3, 4]]]
    turn = np.concatenate(azimuths, axis=1) - kinematics.phi(t)[:, None]
    return np.concatenate([*columns, np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)


LIMIT_LEVEL = 0.9  # of what a learned ratio claims, one-sided
RECORDED = (
    "distance",
    "distance_interval",
    "amplification",
    "amplification_interval",
    "status",
)


def differential(
    config: Any,
    generated: np.ndarray,
    passing: np.ndarray,
    observed: np.ndarray,
    truth: np.ndarray,
    holdout: np.ndarray,
    values: dict[str, np.ndarray],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Limits "n_equiv < X" of one network, learned and tested on the user's holdout and on the
    whole truth, by region.

    A region has the ratio learned of all events, with its zero moved by the shares of both samples
    in the region: counts, which say nothing of where in it an event lies. Samples are compared
    after the cuts, and once as generated. Each limit holds at 90 %, not all together.
    """
    result: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    looks = {"as generated": np.ones(len(generated), bool), "after cuts": passing}
    for size, true, true_values in (
        ("holdout", holdout, values["holdout"]),
        ("truth", truth, values["truth"]),
    ):
        x_true = features(true)
        for look, kept in looks.items():
            x_gen, o_gen = features(generated[kept]), observed[kept]
            # columns behind those that are learned from say in which region an event is
            behind = [COLUMN[name] for name in TAILS]
            stacked = [
                Events(np.concatenate([x, o[:, behind]], axis=1))
                for x, o in ((x_gen, o_gen), (x_true, true_values))
            ]
            halves = split(learner(x_gen.shape[1]), *stacked, seed=config.seed)
            tested = halves.generated.x, halves.holdout.x
            t_gen, t_true = map(halves.summary, tested)
            (inside_gen, inside_true), labels = _masks(
                values["truth"],
                *(x[:, -len(behind) :] for x in tested),
                only_all=look == "as generated",
            )
            shares = inside_true.mean(axis=0)
            both = zip(inside_gen.mean(axis=0), shares, strict=True)
            estimate = differential_amplification(
                t_gen,
                t_true,
                n_train=config.n_train * shares,
                inside_gen=inside_gen,
                inside_holdout=inside_true,
                threshold=np.array([region_threshold(of_gen, of_true) for of_gen, of_true in both]),
                learned=True,
                limit_level=LIMIT_LEVEL,
            )
            limits = differential_records(
                estimate,
                labels,
                summary="classifier",
                n_train=config.n_train * shares,
                n_gen=len(t_gen),
                n_holdout=len(true),
                level=0.68,
                limit_level=LIMIT_LEVEL,
            )
            result[f"{look}, {size}"] = {
                record["region"]: {key: record[key] for key in RECORDED} for record in limits
            }
            if size == "holdout":
                records += [r | {"region": f"{r['region']}, {look}"} for r in limits]
            elif look == "after cuts":
                # the plateau is D at t = 0 on unseen events, and a learned ratio says "fewer than"
                # only
                everything = limits[0]
                limit = {
                    "plateau": everything["distance"],
                    "n_equiv_below": everything["n_equiv_interval"][1],
                }
                result["functions"] = _functions(t_gen, t_true)
                result["approach"] = _approach(t_gen, t_true) | limit
    return result, records


def learner(n_features: int) -> Any:
    """Of a ratio from the first columns; the others only say in which region an event is."""
    learn = mlp_ratio(config=CLASSIFIER)

    def fitted(
        x_gen: np.ndarray, x_true: np.ndarray, weight_gen: Any = None, weight_true: Any = None
    ) -> Any:
        summary = learn(x_gen[:, :n_features], x_true[:, :n_features], weight_gen, weight_true)
        return lambda x: summary(x[:, :n_features])

    return fitted


def _masks(
    truth: np.ndarray, gen: np.ndarray, true: np.ndarray, *, only_all: bool
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[str, ...]]:
    """Whether events are in all, in the bulk and in the tail of each observable, [event, region] of
    both samples; and labels.
    """
    tails = {} if only_all else TAILS
    labels = ["all", *(f"{NAMES[name]}, {kind}" for name in tails for kind in ("bulk", "tail"))]
    masks = []
    for sample in (gen, true):
        inside = [np.ones(len(sample), bool)]
        for column, (name, threshold) in zip(sample.T, tails.items(), strict=False):
            low, high = np.quantile(truth[:, COLUMN[name]], BULK)
            inside += [(column >= low) & (column < high), column >= threshold]
        masks.append(np.stack(inside, axis=1))
    return (masks[0], masks[1]), tuple(labels)


def _functions(t_gen: np.ndarray, t_true: np.ndarray, points: int = 81) -> dict[str, np.ndarray]:
    both = np.concatenate([t_gen, t_true[: len(t_gen)]])
    t = np.linspace(*np.quantile(both, [0.002, 0.998]), points)
    generated, true = (
        np.searchsorted(np.sort(s), t, side="right") / len(s) for s in (t_gen, t_true)
    )
    return {"t": t.round(4), "generated": generated.round(5), "true": true.round(5)}


def _approach(t_gen: np.ndarray, t_true: np.ndarray, most: int = 20) -> dict[str, Any]:
    """KS distance of n events to the truth in the learned ratio, averaged over disjoint samples:
    generated ones, and other true ones.
    """
    half = len(t_true) // 2
    reference = np.sort(t_true[:half])
    sizes = np.geomspace(10, min(len(t_gen), half), 16).astype(int)
    curves: dict[str, Any] = {"sizes": sizes}
    for name, t in (("generated", t_gen), ("true", t_true[half:])):
        u = np.searchsorted(reference, t, side="right") / len(reference)
        distances = []
        for n in sizes:
            samples = u[: n * min(most, len(u) // n)].reshape(-1, n)
            distances.append(np.mean([ks_distance_to(sample) for sample in samples]))
        curves[name] = np.array(distances)
    return curves


def momenta_of(model: Any, x: np.ndarray) -> np.ndarray:
    """Generated momenta [event, 6, 4] in GeV, float64."""
    x = x.astype(np.float64)
    if model.network == "spline":
        cosines = list(helicity.COSINES)
        x[:, cosines] = np.clip(x[:, cosines], -1 + 1e-6, 1 - 1e-6)
        return helicity.from_helicity(x)
    chart = helicity_chart() if model.chart == "helicity" else jet_chart()
    return chart.to_momenta(x)


def _shares(samples: list[np.ndarray], name: str, edges: np.ndarray) -> list[np.ndarray]:
    """Share of the events of each sample in bins of an observable."""
    return [np.histogram(o[:, COLUMN[name]], edges)[0] / len(o) for o in samples]


def band(shares: list[np.ndarray], sets: int) -> dict[str, np.ndarray]:
    """Share of events in bins [bin]: mean and standard deviation of the bootstrap members, noise of
    n_gen included; one network where there are none.
    """
    members = np.stack(shares[sets:]) if len(shares) > sets else np.stack(shares[:1])
    spread = members.std(axis=0, ddof=1) if len(members) > 1 else np.zeros(members.shape[1])
    return {"mean": members.mean(axis=0).round(6), "spread": spread.round(6)}


def histogram_edges(values: np.ndarray) -> np.ndarray:
    """Thirty bins between the quantiles that leave out a thousandth on either side."""
    return np.linspace(*np.quantile(values, [0.001, 0.999]), 31)
