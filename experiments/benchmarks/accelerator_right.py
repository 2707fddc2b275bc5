"""Are the numbers of an accelerator right? Against NumPy, against double precision on the same
device, and against the CPU of the machine.
"""

import contextlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from amplify.estimators import kolmogorov as ks
from amplify.estimators.averaging import averaging_amplification
from amplify.estimators.differential import differential_amplification
from amplify.generators.autoregressive_flow import autoregressive_flow
from amplify.generators.coordinates import coordinates
from amplify.generators.coupling_flow import coupling_flow
from amplify.generators.flow_matching import Solver, vector_flow
from amplify.nets import algebra
from amplify.nets.frames import lab_references
from amplify.nets.lgatr import LGATr, published
from amplify.nets.lloca import LLoCa, LLoCaConfig
from amplify.training.ensemble import ensemble_rows
from amplify.training.fit import FitConfig, fit_members
from amplify.truth import ring
from amplify.types import Generator, Holdout
from experiments.benchmarks.accelerator_sizes import Sizes, all_compiled

# None is what users get; "default" is what JAX does where nobody asks, TF32 on recent cards
PRECISIONS = {"as users get": None, "default of JAX": "default", "highest": "highest"}
# in single precision; of a boost of rapidity 3, momenta are ten times larger
MOST_VIOLATED = {"rotation": 1e-5, "boost of 1": 1e-5, "boost of 3": 3e-4}


def device(sizes: Sizes) -> dict[str, Any]:
    """The card and the releases."""
    first = jax.devices()[0]
    stats = first.memory_stats() or {}
    found: dict[str, Any] = {
        "card": first.device_kind,
        "platform": first.platform,
        "devices": len(jax.devices()),
        "bytes_limit": stats.get("bytes_limit"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
    }
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        query = [
            "nvidia-smi",
            "--query-gpu=name,driver_version,memory.total",
            "--format=csv,noheader",
        ]
        said = subprocess.run(  # noqa: S603  a fixed command
            query, capture_output=True, text=True, timeout=20, check=True
        )
        found["nvidia_smi"] = said.stdout.strip()
    return found


def estimators(sizes: Sizes) -> dict[str, Any]:
    """Largest relative differences between NumPy on the host and JAX on the device, in double
    precision; of KS distances also in single precision.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.05, 1, 5 * sizes.events), rng.normal(0, 1, sizes.events)
    w_x, w_y = rng.uniform(0.5, 1.5, len(x)), rng.uniform(0.5, 1.5, len(y))
    u, grid = rng.uniform(size=len(x)), np.sort(y)
    truth = np.array([0.1, 0.2, 0.3, 0.25])
    spread = np.array([0.02, 0.0012, 0.0, 0.005])
    integral = rng.binomial(50_000, truth + spread * rng.normal(size=(8, 4))) / 50_000

    def averaging(integral: Any, held: Any) -> Any:
        return averaging_amplification(
            integral, n_train=1000, n_gen=50_000, holdout=Holdout(held, 20_000)
        )

    cases: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "ks_distance": (ks.ks_distance, (x, y)),
        "ks_distance of weights": (ks.ks_distance, (x, y, w_x, w_y)),
        "ks_distance_to": (ks.ks_distance_to, (u,)),
        "count_between": (lambda g, t: tuple(ks.count_between(g, t)), (grid, x)),
        "count_between of weights": (
            lambda g, t, w: tuple(ks.count_between(g, t, w)),
            (grid, x, w_x),
        ),
        "averaging": (averaging, (integral, truth)),
        "differential": (partial(differential_amplification, n_train=100), (x, y)),
        "differential, ks": (partial(differential_amplification, n_train=100, method="ks"), (x, y)),
    }
    found: dict[str, Any] = {}
    for name, (function, arguments) in cases.items():
        expected = function(*arguments)
        with jax.enable_x64(True):
            got = jax.jit(function)(*map(jnp.asarray, arguments))
            found[name] = _difference(got, expected)
    single = [a.astype(np.float32) for a in (x, y)]
    same_values = ks.ks_distance(*(a.astype(float) for a in single))
    found["ks_distance in single precision"] = _difference(
        jax.jit(ks.ks_distance)(*map(jnp.asarray, single)), same_values
    )
    # the distance is a difference of two distribution functions, each rounded
    rounding = 4 * np.finfo(np.float32).eps / same_values
    found["right"] = all(
        value < (rounding if "single" in name else 1e-9) for name, value in found.items()
    )
    return found


def _difference(got: Any, expected: Any) -> float:
    """Largest difference of two trees over the largest number of each leaf."""
    largest = 0.0
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        if not np.all(np.isfinite(a) | same):
            return float("inf")
        finite = np.isfinite(b)
        scale = max(np.abs(b[finite]).max(initial=0.0), 1e-300)
        largest = max(largest, np.abs(a[~same] - b[~same]).max(initial=0.0) / scale)
    return float(largest)


def flows(sizes: Sizes) -> dict[str, Any]:
    """Log densities and samples of flows, on this device and on the CPU, against double precision
    on this device: largest and typical differences.
    """
    x = np.asarray(ring.sample(jax.random.key(0), n=sizes.events))
    angle = np.arctan2(x[:, 1], x[:, 0]).astype(np.float32)
    mixed = np.stack([x[:, 0], angle, np.tanh(x[:, 1] / 4)], axis=1)
    mixed_coordinates = coordinates(mixed, periodic={1: (-np.pi, np.pi)}, bounded={2: (-1.0, 1.0)})
    cases: dict[str, tuple[Generator, np.ndarray]] = {
        "coupling flow": (coupling_flow(mixed_coordinates), mixed),
        "autoregressive flow": (autoregressive_flow(x), x),
        "flow matching": (vector_flow(x, solver=Solver(10)), x),
    }
    lowered: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for name, (generator, events) in cases.items():
        params = _moved(generator.init(jax.random.key(1)))
        latent = np.random.default_rng(0).uniform(1e-3, 1 - 1e-3, (len(x), generator.dim))
        assert generator.log_prob is not None
        both = {"log_prob": (generator.log_prob, events), "sample": (generator.sample, latent)}
        for what, (function, values) in both.items():
            single = jax.tree.map(lambda a: np.asarray(a, np.float32), (params, values))
            case = f"{name}, {what}"
            inputs[case] = function, single
            for label, of_label in _lowered(function, single).items():
                lowered[f"{case}: {label}"] = of_label
    run, found = all_compiled(lowered), {}
    cpu = jax.devices("cpu")[-1]
    for case, (function, single) in inputs.items():
        with jax.enable_x64(True):
            double = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, float)), single)
            exact = np.asarray(run[f"{case}: double"](*double))
        found[case] = {
            label: _distances(run[f"{case}: {label}"](*single), exact) for label in PRECISIONS
        }
        with jax.default_device(cpu):
            try:
                on_cpu = jax.jit(function)(*jax.device_put(single, cpu))
                found[case]["CPU of this machine"] = _distances(on_cpu, exact)
            except (RuntimeError, ValueError) as error:  # a release that cannot do both
                found[case]["CPU of this machine"] = {"error": str(error)[:100]}
    users = [figures["as users get"] for figures in found.values()]
    found["right"] = all(figure["median"] < 1e-5 for figure in users)
    return found


def _moved(params: Any) -> Any:
    """Parameters of a network that does something: flows start as the identity."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    moved = [a + 0.2 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved)


def _lowered(function: Callable[..., Any], single: Any) -> dict[str, Any]:
    """To be compiled: in double precision, and for each precision of products."""
    with jax.enable_x64(True):
        double = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, float)), single)
        found = {"double": jax.jit(function).lower(*double)}
    for label, precision in PRECISIONS.items():
        with _precision(precision):
            found[label] = jax.jit(function).lower(*single)
    return found


def _distances(got: Any, exact: np.ndarray) -> dict[str, float]:
    difference = np.abs(np.asarray(got, float) - exact)
    return {"largest": float(difference.max()), "median": float(np.median(difference))}


@contextlib.contextmanager
def _precision(name: str | None) -> Iterator[None]:
    if name is None:
        yield
    else:
        with jax.default_matmul_precision(name):
            yield


def equivariance(sizes: Sizes) -> dict[str, Any]:
    """Largest and typical violation, event by event over its largest output, of rotations and
    boosts, by precision of products; in double precision too.
    """
    n = min(sizes.events, 512)
    rng = np.random.default_rng(3)
    p = rng.normal(size=(n, 6, 3))
    energy = np.sqrt(0.5 + (p**2).sum(-1, keepdims=True))
    momenta, s = np.concatenate([energy, p], -1), rng.normal(size=(n, 6, 4))
    turns = {
        "rotation": lorentz(0.0, 0),
        "boost of 1": lorentz(1.0, 1),
        "boost of 3": lorentz(3.0, 2),
    }
    lowered: dict[str, Any] = {}
    of_nets = {"L-GATr": _lgatr(s), "LLoCa": _lloca(s)}
    kinds = [(f"{name}, {label}", name, label) for name in of_nets for label in PRECISIONS]
    for name, outputs in of_nets.items():
        with jax.enable_x64(True):
            double = f"{name}, double precision"
            lowered[double] = jax.jit(outputs(np.float64)).lower(momenta, np.eye(4))
    single = momenta.astype(np.float32), np.eye(4, dtype=np.float32)
    for kind, name, label in kinds:
        with _precision(PRECISIONS[label]):
            lowered[kind] = jax.jit(of_nets[name](np.float32)).lower(*single)
    found: dict[str, Any] = {}
    for kind, run in all_compiled(lowered).items():
        double = kind.endswith("double precision")
        with jax.enable_x64(double):
            still = run(momenta, np.eye(4)) if double else run(*single)
            found[kind] = {t: _violation(run, momenta, still, turn) for t, turn in turns.items()}
    found["right"] = all(
        found[f"{name}, as users get"][turn]["median"] < most
        for name in of_nets
        for turn, most in MOST_VIOLATED.items()
    )
    return found


def _violation(run: Any, momenta: np.ndarray, still: Any, turn: np.ndarray) -> dict[str, float]:
    dtype = np.asarray(still[0]).dtype
    moved = run((momenta @ turn.T).astype(dtype), turn.astype(dtype))
    (s, v), (s_moved, v_moved) = ([np.asarray(y, float) for y in pair] for pair in (still, moved))

    def of_events(got: np.ndarray, expected: np.ndarray) -> np.ndarray:
        axes = tuple(range(1, got.ndim))
        return np.abs(got - expected).max(axes) / np.abs(expected).max(axes)

    worst = np.maximum(of_events(s_moved, s), of_events(v_moved, v @ turn.T))
    return {"largest": float(worst.max()), "median": float(np.median(worst))}


def lorentz(rapidity: float, seed: int) -> np.ndarray:
    """A boost between two rotations [4, 4]."""
    rng, boost, rotations = np.random.default_rng(seed), np.eye(4), [np.eye(4), np.eye(4)]
    cosh, sinh = np.cosh(rapidity), np.sinh(rapidity)
    boost[[0, 0, 3, 3], [0, 3, 0, 3]] = cosh, sinh, sinh, cosh
    for rotation in rotations:
        q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        rotation[1:, 1:] = q * np.linalg.det(q)
    return rotations[0] @ boost @ rotations[1]


def _lgatr(s: np.ndarray) -> Callable[[Any], Callable[..., Any]]:
    """From a precision to (momenta, turn) -> (scalars, vectors), with the beam as a reference that
    turns too.
    """
    config = published(
        in_mv=2, out_mv=1, hidden_mv=8, in_s=s.shape[-1], out_s=4, hidden_s=16, blocks=4, heads=4
    )
    net = LGATr(config)
    params = net.init(jax.random.key(0), jnp.zeros((1, 6, 2, 16)), jnp.zeros((1, 6, s.shape[-1])))
    params = jax.tree.map(np.asarray, params)

    def of(dtype: Any) -> Callable[..., Any]:
        def outputs(momenta: Any, turn: Any) -> Any:
            beam = algebra.transform(algebra.symmetry_breaking(time=False).astype(dtype), turn)
            beam = jnp.broadcast_to(beam[None], (*momenta.shape[:2], 1, 16))
            x = jnp.concatenate([algebra.embed_vector(momenta)[..., None, :], beam], axis=2)
            in_precision = jax.tree.map(lambda a: jnp.asarray(a, dtype), params)
            moved, plain = net.apply(in_precision, x, jnp.asarray(s, dtype))
            return plain, algebra.extract_vector(moved[..., 0, :])

        return outputs

    return of


def _lloca(s: np.ndarray) -> Callable[[Any], Callable[..., Any]]:
    """The same for LLoCa, with twice the parameters of a fresh network, whose frames are all
    alike.
    """
    net = LLoCa(LLoCaConfig(out_scalars=2))
    start = jnp.asarray(np.eye(4)[[0] * 6], jnp.float32)[None] + 0.1
    params = net.init(jax.random.key(0), start, jnp.zeros((1, 6, s.shape[-1])), lab_references())
    params = jax.tree.map(lambda a: 2 * np.asarray(a), params)
    lab = np.asarray(lab_references(), float)

    def of(dtype: Any) -> Callable[..., Any]:
        def outputs(momenta: Any, turn: Any) -> Any:
            references = jnp.einsum("mn,rn->rm", turn, lab.astype(dtype), precision="highest")
            in_precision = jax.tree.map(lambda a: jnp.asarray(a, dtype), params)
            scalars, vectors = net.apply(in_precision, momenta, jnp.asarray(s, dtype), references)
            return scalars, vectors[..., 0, :]

        return outputs

    return of


def bits(sizes: Sizes) -> dict[str, Any]:
    """Are two trainings, and two samples, of the same key the same bits?"""
    x = np.asarray(ring.sample(jax.random.key(0), n=1000))
    found: dict[str, Any] = {}
    for name, generator in (("coupling flow", coupling_flow(x)), ("flow matching", vector_flow(x))):
        members = min(max(sizes.members), 8)
        keys = jax.random.split(jax.random.key(2), members)
        rows = ensemble_rows(jax.random.key(1), len(x), members=members, resample="bootstrap")
        config = FitConfig(steps=min(sizes.steps, 100), batch=sizes.batch)
        first, second = (fit_members(keys, generator, x, rows, config=config) for _ in range(2))
        pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
        found[f"{name}, same bits"] = all(np.array_equal(a, b) for a, b in pairs)
        samples = [np.asarray(e.sample(jax.random.key(3), 256).x) for e in (first, second)]
        found[f"{name}, same events"] = np.array_equal(*samples)
    found["right"] = all(found.values())
    return found


def compiler(sizes: Sizes) -> dict[str, Any]:
    """The cases that some releases of JAX compile wrongly on CPUs, on this device and on the CPU of
    the machine; and LLoCa against double precision there.
    """
    from tests import test_compiler as cases

    checks = {
        "sums of squares": cases.test_sums_of_squares_after_a_product_with_a_matrix,
        "one norm divides two": cases.test_one_norm_divides_two_arrays,
    }
    n = min(sizes.events, 4096)
    rng = np.random.default_rng(5)
    p, s = rng.normal(size=(n, 6, 3)), rng.normal(size=(n, 6, 4))
    momenta = np.concatenate([np.sqrt(0.5 + (p**2).sum(-1, keepdims=True)), p], -1)
    outputs = _lloca(s)
    with jax.enable_x64(True):
        exact = jax.tree.map(np.asarray, jax.jit(outputs(np.float64))(momenta, np.eye(4)))
    found: dict[str, Any] = {}
    for where, home in (("device", jax.devices()[0]), ("CPU", jax.devices("cpu")[0])):
        # in full precision: TF32 is no fault of the compiler
        with jax.default_device(home), jax.default_matmul_precision("highest"):
            for name, check in checks.items():
                found[f"{name}, {where}"] = _passes(check, cases.SIZES if n > 1000 else (10,))
            arguments = momenta.astype(np.float32), np.eye(4, dtype=np.float32)
            got = jax.jit(outputs(np.float32))(*arguments)
            found[f"LLoCa, largest difference, {where}"] = _difference(got, exact)
    of_device = [value for name, value in found.items() if name.endswith("device")]
    found["right"] = all(
        value is True or (value is not False and value < 1e-3) for value in of_device
    )
    return found


def _passes(check: Callable[[int], None], sizes: tuple[int, ...]) -> bool:
    try:
        for n in sizes:
            check(n)
    except AssertionError:
        return False
    return True


TESTS = (
    "tests/test_compiler.py",
    "tests/estimators",
    "tests/nets",
    "tests/generators",
    "tests/training",
    "tests/test_integrals.py",
    "tests/test_sampling.py",
)


def tests(sizes: Sizes) -> dict[str, Any]:
    """The fast tests that touch JAX, on this device, as far as the seconds go: how many pass, and
    the names of the others.
    """
    if not sizes.tests:
        return {"passed": 0, "failed": [], "finished": True}
    cores = str(min(os.cpu_count() or 1, 10))
    command = [sys.executable, "-m", "pytest", "-v", "-n", cores, "-m", "not slow", "--tb=line"]
    command += ["--continue-on-collection-errors"]
    command += ["-o", "addopts=", "-o", "filterwarnings=default", "-p", "no:cacheprovider", *TESTS]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"
    settings = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_FLAGS": flags}
    process = subprocess.Popen(  # noqa: S603  a fixed command
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | settings,
        start_new_session=True,
    )
    try:
        said, finished = process.communicate(timeout=sizes.tests)[0], True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 15)
        said, finished = process.communicate(timeout=10)[0], False
    outcomes = re.findall(r"(PASSED|FAILED|ERROR) (tests/\S+)", said)
    failed = sorted({name for outcome, name in outcomes if outcome != "PASSED"})
    errors = re.findall(r"^(?:E  |/).*(?:Error|assert).*$", said, flags=re.MULTILINE)
    return {
        "passed": sum(outcome == "PASSED" for outcome, _ in outcomes),
        "failed": failed,
        "why": [error[:200] for error in errors[:40]],
        "finished": finished,
        "end": said[-600:],
    }
