"""Top pairs at size on an accelerator: networks as large as those of the original study, trained by
the clock on 1e5 events each, and what all of them generate, counted in regions.

A machine is there for minutes. So events are simulated while the trainings are compiled, a network
is compiled once, its learning rate falls with the time that is left, and it generates until its
time is over. Counts and events of the first network of each kind are kept;
`experiments.ttbar_gpu` turns them into the study that figures 11 to 15 draw.
"""

import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify import regions as rg
from amplify.generators.charts import helicity_chart
from amplify.generators.cut_base import Cuts
from amplify.ttbar import helicity, kinematics
from amplify.ttbar.event_files import open_events
from amplify.ttbar.partons import TtbarSettings, simulate
from amplify.types import Generator
from experiments import ttbar, ttbar_analysis
from experiments.benchmarks.accelerator_clock import Compiled, generated, lowered, trained

# the compiler starts processes, which inherit a file that is being written, and its lock
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

# the most valuable first: weight of its share of the time for training, and for sampling
SHARES = {
    "lloca": (0.3, 0.3),
    "lgatr": (0.4, 0.42),
    "transformer": (0.22, 0.2),
    "spline": (0.08, 0.08),
}
SAMPLING = 0.3  # of the time of a network
LEFT = 25.0  # seconds for counting, at the end
KEPT = 100_000  # events of the first network of a kind, for whoever compares event by event


@dataclass(frozen=True)
class TopSizes:
    """How much of the study.

    Attributes:
        config: of the study: sets, networks, events.
        truths: files of as many true events as the config says, at most.
        calls: steps of a call of a compiled training.
        block: events that a member generates at once.
        few: events that fix the coordinates of all networks.
    """

    config: ttbar.Config
    truths: int
    calls: int
    block: int
    few: int


def _gpu() -> ttbar.Config:
    """The networks of the original study with ten times the events of the study on a CPU."""
    paper = ttbar.PRESETS["paper"]
    models = {
        name: replace(m, training=m.training._replace(batch=512, learning_rate=2e-3, warm_up=100))
        for name, m in paper.models.items()
    }
    spline = replace(paper.models["spline"])
    models["spline"] = replace(spline, training=spline.training._replace(warm_up=100))
    return replace(
        paper,
        n_truth=1_000_000,
        n_train=100_000,
        sets=3,
        reserved=300_000,
        bootstrap_members=5,
        n_gen=400_000,
        n_holdout=200_000,
        solver_steps=8,
        models=models,
    )


def _tiny() -> ttbar.Config:
    smoke = ttbar.PRESETS["smoke"]
    models = {name: smoke.models[name] for name in SHARES}
    return replace(smoke, n_truth=2000, n_gen=500, n_holdout=1000, models=models)


GPU = TopSizes(_gpu(), 10, 25, 4096, 20_000)
SMOKE = TopSizes(_tiny(), 2, 5, 250, 500)


class _EnoughError(Exception):
    """No further event is needed."""


class Study:
    """Everything that goes on at the same time.

    Args:
        sizes: how much.
        networks: in the order in which they are asked for.
        out: folder of what is kept.
        scratch: folder of simulated events.
        end: time by `time.monotonic` at which everything is over.
        workers: processes of the simulation.
    """

    def __init__(
        self,
        sizes: TopSizes,
        networks: tuple[str, ...],
        out: Path,
        scratch: Path,
        end: float,
        workers: int,
    ) -> None:
        self.sizes, self.config, self.out, self.end = sizes, sizes.config, out, end
        self._scratch, self._workers = scratch, workers
        self._chart = helicity_chart()
        self._enough = threading.Event()
        # a few at a time, in the order in which they are wanted
        self._compiling, self._counting = ThreadPoolExecutor(3), ThreadPoolExecutor(8)
        self._said = time.monotonic()
        few = self._simulated("few", sizes.few, 100, workers)
        self._say("the first events are there")
        # standardised by events of nobody's training set: one compiled training for all
        self._generators = {name: self._generator(name, few) for name in networks}
        config = self.config
        self._arrived: dict[str, Future[np.ndarray]] = {"training": Future(), "truth": Future()}
        self._more: list[np.ndarray] = []  # tables of observables of true events
        self._simulation = threading.Thread(target=self._simulate, daemon=True)
        self._simulation.start()
        self._compiled = {}
        for name in networks:
            found = lowered(
                self._generators[name],
                config.models[name].training,
                config.sets * config.n_train,
                config.n_train,
                self.members,
                sizes.calls,
                sizes.block,
            )
            self._compiled[name] = [
                self._compiling.submit(self._compile, name, one) for one in found
            ]

    def _compile(self, name: str, one: Any) -> Any:
        found = one.compile()
        self._say(f"compiled a part of {name}")
        return found

    def _say(self, what: str) -> None:
        print(f"  {time.monotonic() - self._said:6.1f} s: {what}", flush=True)

    @property
    def members(self) -> int:
        """Networks of a kind."""
        return self.config.sets + self.config.bootstrap_members

    def _generator(self, name: str, few: np.ndarray) -> Generator:
        x = self._encoded(name, few)
        return ttbar.generator_for(self.config, self.config.models[name], self._chart, x)

    def _encoded(self, name: str, momenta: np.ndarray) -> np.ndarray:
        encode = helicity.to_helicity if name == "spline" else self._chart.from_momenta
        blocks = np.array_split(momenta, -(-len(momenta) // 50_000))
        return np.concatenate([encode(b.astype(float)) for b in blocks]).astype(np.float32)

    def _simulated(self, name: str, n: int, seed: int, workers: int) -> np.ndarray:
        """Momenta [n, 6, 4] in GeV."""
        path = self._scratch / f"{name}_{n}.h5"
        if not path.exists():
            settings = TtbarSettings(seed=seed)
            simulate(n, path, settings, workers=workers, progress=self._stop_if_enough)
        momenta = open_events(path, stop=n, particles=6, **Cuts()._asdict()).momenta
        return momenta.astype(np.float32)

    def _stop_if_enough(self, accepted: int) -> None:
        if self._enough.is_set():
            raise _EnoughError

    def _simulate(self) -> None:
        """Training sets and holdout, then true events until nobody wants more."""
        # the first true events are waited for, the others leave cores to the compiler
        config, others = self.config, max(self._workers // 2, 1)
        try:
            n = config.reserved + config.n_holdout
            self._arrived["training"].set_result(self._simulated("training", n, 101, self._workers))
            self._say("training events are there")
            for k in range(self.sizes.truths):
                truth = self._simulated(f"truth_{k}", config.n_truth, 110 + k, others)
                self._more.append(ttbar_analysis.table(truth))
                self._say(f"true events, file {k + 1}")
                if k == 0:
                    self._arrived["truth"].set_result(self._more[0])
        except _EnoughError:
            pass
        except Exception as error:  # whoever waits is told
            for arriving in self._arrived.values():
                if not arriving.done():
                    arriving.set_exception(error)

    @cached_property
    def truth(self) -> np.ndarray:
        """Observables of the first true events, which the regions are made from."""
        return self._arrived["truth"].result(timeout=max(self.end - time.monotonic(), 1.0))

    @cached_property
    def regions(self) -> rg.Regions:
        """Those of the study."""
        return ttbar_analysis.study_regions(self.truth)

    @cached_property
    def edges(self) -> dict[str, np.ndarray]:
        """Of the histograms of figure 11."""
        columns = ttbar_analysis.COLUMN
        shown = ttbar_analysis.SHOWN
        return {
            name: ttbar_analysis.histogram_edges(self.truth[:, columns[name]]) for name in shown
        }

    def network(self, name: str, following: tuple[str, ...]) -> dict[str, Any]:
        """All networks of a kind: trained, sampled, counted; OUT/top_NAME.npz is what they found.

        Args:
            name: spline, transformer, lloca or lgatr.
            following: those that will want their share of the time too.
        """
        config, started = self.config, time.monotonic()
        momenta = self._arrived["training"].result(timeout=self.end - time.monotonic())
        x = self._encoded(name, momenta[: config.sets * config.n_train])
        training = config.models[name].training
        compiled = Compiled(*(one.result() for one in self._compiled[name]))
        waited = time.monotonic() - started
        share = SHARES[name][0] / sum(SHARES[n][0] for n in (name, *following))
        budget = share * (self.end - LEFT - time.monotonic())
        run = trained(
            compiled, training, x, self._rows(), (1 - SAMPLING) * budget, self.sizes.calls
        )
        self._say(
            f"{name} trained {run.losses.shape[1]} steps, loss {run.losses[:, -20:].mean():.4f}"
        )
        sample_budget = budget - run.seconds
        u = generated(compiled, run.params, config.n_gen, sample_budget, self.sizes.block)
        sampled = time.monotonic()
        self._say(f"{name} generated {u.x.shape[1]} events a network")
        found = self.counted(name, u.x)
        leaves = jax.tree.leaves(run.params)
        losses = run.losses[:, : len(run.losses[0]) // 20 * 20]
        kept = {
            "x": u.x[0, :KEPT],
            "losses": losses.reshape(len(losses), -1, 20).mean(-1),
            **{f"leaf_{i}": np.asarray(leaf[0]) for i, leaf in enumerate(leaves)},
        }
        np.savez_compressed(self.out / f"top_{name}.npz", **found, **kept)
        parameters = sum(leaf.size for leaf in leaves) // self.members
        return {
            "n_train": config.n_train,
            "networks": self.members,
            "parameters": parameters,
            "batch": training.batch,
            "learning_rate": training.learning_rate,
            "steps": run.losses.shape[1],
            "epochs": run.losses.shape[1] * training.batch / config.n_train,
            "waited_for_compiler_s": waited,
            "train_s": run.seconds,
            "ms_per_step_of_all": 1e3 * run.seconds / run.losses.shape[1],
            "us_per_event": 1e6 * run.seconds / run.losses.size / training.batch,
            "diverged": run.diverged,
            "loss": float(run.losses[:, -100:].mean()),
            "n_gen": u.x.shape[1],
            "sample_s": u.seconds,
            "us_per_generated_event": 1e6 * u.seconds / (u.x.shape[0] * u.x.shape[1]),
            "count_s": time.monotonic() - sampled,
            "ks": dict(zip(ttbar_analysis.COLUMN, found["ks_all"][0], strict=True)),
            "passing": float(np.mean(found["passing"])),
        }

    def _rows(self) -> jax.Array:
        """Which events each network learns from: sets as they are, bootstraps of the first."""
        from amplify.training.ensemble import ensemble_rows

        n, sets = self.config.n_train, self.config.sets
        count = self.config.bootstrap_members
        resampled = ensemble_rows(jax.random.key(3), n, members=count, resample="bootstrap")
        return jnp.concatenate([jnp.arange(sets * n).reshape(sets, -1), resampled])

    def counted(self, name: str, x: np.ndarray) -> dict[str, np.ndarray]:
        """Counts of generated events x [network, event, dim] in regions and histograms, all and
        those that pass the cuts, and KS distances of the first network.
        """
        model = self.config.models[name]
        of_network = partial(self._counted_network, model)
        parts = list(self._counting.map(of_network, x, [True] + [False] * (len(x) - 1)))
        keys = {key for part in parts for key in part}
        return {k: np.stack([part[k] for part in parts if k in part]) for k in keys}

    def _counted_network(self, model: Any, x: np.ndarray, first: bool) -> dict[str, np.ndarray]:
        blocks = np.array_split(x, -(-len(x) // 50_000))
        found = [self._observed(model, block) for block in blocks]
        observed, passing = (np.concatenate(parts) for parts in zip(*found, strict=True))
        counted = {"passing": passing.mean()}
        for kind, kept in (("all", observed), ("cut", observed[passing])):
            counted |= {f"{key}_{kind}": value for key, value in self.summed(kept).items()}
            if first:
                ks = ttbar_analysis.ks_table(kept, self.truth)
                counted[f"ks_{kind}"] = np.array([*ks.values()])
        return counted

    def _observed(self, model: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        momenta = ttbar_analysis.momenta_of(model, x)
        return ttbar_analysis.table(momenta), kinematics.passes(momenta, **Cuts()._asdict())

    def summed(self, observed: np.ndarray) -> dict[str, np.ndarray]:
        """Sizes, counts in regions and histograms of a table of observables."""
        histograms = [
            np.histogram(observed[:, ttbar_analysis.COLUMN[name]], edges)[0]
            for name, edges in self.edges.items()
        ]
        inside = rg.fractions(rg.count(self.regions, observed)).integral
        return {
            "n": np.array(len(observed)),
            "integral": np.asarray(inside, float),
            "histograms": np.stack(histograms),
        }

    def true_events(self) -> dict[str, Any]:
        """Ends the simulation; what true events and the holdout have in the regions, in
        OUT/top_truth.npz.
        """
        self._enough.set()
        tables, config = list(self._more), self.config
        holdout = self._arrived["training"].result()[config.reserved :]
        parts = [self.summed(t) for t in tables]
        n = np.array([part["n"] for part in parts])
        total = {
            "truth_integral": np.average([p["integral"] for p in parts], axis=0, weights=n),
            "truth_histograms": np.sum([p["histograms"] for p in parts], axis=0),
            "n_truth": n.sum(),
        }
        held = self.summed(ttbar_analysis.table(holdout))
        total |= {f"holdout_{key}": value for key, value in held.items()}
        first_set = ttbar_analysis.table(self._arrived["training"].result()[: config.n_train])
        ks = ttbar_analysis.ks_table(first_set, self.truth)
        np.savez_compressed(
            self.out / "top_truth.npz",
            **total,
            edges=np.stack([*self.edges.values()]),
            labels=np.array(self.regions.labels),
            ks_of_training_set=np.array([*ks.values()]),
        )
        return {
            "n_truth": int(n.sum()),
            "n_holdout": len(holdout),
            "regions": len(parts[0]["integral"]),
        }
