"""What a user's generator promises, in any framework, and the checks that it keeps it.

    fit(x_train [n, dim], seed) -> sample    trains on these events;
                                             fit(x_train, seed, weight) where they have weights [n]
    sample(n, seed) -> x [n, dim]            generates; (x, weight [n]) where events have weights

Seeds are integers in 0..2^31 - 1, which every framework takes. Those of member m come from NumPy's
`default_rng([seed, m, role])` with the roles below, so that a member is the same whichever others
are trained, and wherever. Nothing here imports a framework: a worker process is as light as its
user's function.
"""

import hashlib
import inspect
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amplify.errors import InputError, MissingExtraError
from amplify.text import one_line

Fit = Callable[..., Any]
Sample = Callable[[int, int], Any]
Resample = str  # "bootstrap", "none", or "1/8": one of eight disjoint pieces
Block = tuple[np.ndarray, np.ndarray | None]  # events [n, dim] and their weights [n]
MemberProgress = Callable[[int, int, str], None]  # members done, members in all, what is going on

BLOCK = 1 << 18  # events asked for at once
_PROBE = 1 << 12  # events by which samples are compared
_ROWS, _FIT, _SAMPLE, _COMMON, _PIECES = 1, 2, 3, 4, 5  # roles of random numbers


class MemberError(InputError):
    """One member's training or sampling went wrong; the others may be well."""


class RefusedError(InputError):
    """What was given cannot be trained on: no matter of one member."""


class Order(NamedTuple):
    """What is asked of one member.

    Attributes:
        member: its number.
        seed: of the ensemble.
        n_gen: events to generate.
        dim: their columns, those of the training events.
        dtype: their precision, that of the training events.
    """

    member: int
    seed: int
    n_gen: int
    dim: int
    dtype: np.dtype


def training_events(x: Any, weight: Any = None) -> Block:
    """The training events as floats, or an error: single precision stays single, all else becomes
    double.

    Raises:
        InputError: no table of finite numbers, or weights that do not belong to it.
    """
    x = np.asarray(x)
    if x.ndim != 2 or 0 in x.shape or x.dtype.kind not in "fiub":
        raise InputError(
            "training events",
            "numbers of shape [event, column]",
            f"{x.dtype} of shape {x.shape}",
            "give one row per event",
        )
    x = x if x.dtype == np.float32 else np.asarray(x, np.float64)
    if not np.isfinite(x).all():
        raise InputError(
            "training events", "finite numbers", "nan or infinity", "remove those events"
        )
    if weight is None:
        return x, None
    weight = np.asarray(weight)
    if (
        weight.shape != x.shape[:1]
        or weight.dtype.kind not in "fiub"
        or not np.isfinite(weight).all()
    ):
        raise InputError(
            "training weights",
            f"{len(x)} finite numbers",
            f"{weight.dtype} of shape {weight.shape}",
            "give one weight per event",
        )
    return x, np.asarray(weight, np.float64)


def check_numbers(*, members: int, n_gen: int, seed: int, resample: str) -> None:
    """Refuses settings that make no sense, before anything is trained."""
    if members < 1:
        raise InputError("members", "at least 1", str(members), "an estimate needs 8 or more")
    if n_gen < 1:
        raise InputError(
            "n_gen",
            "at least 1 generated event per member",
            str(n_gen),
            "ask for a hundred times the training events",
        )
    if seed < 0:
        raise InputError("seed", "0 or more", str(seed), "choose another")
    pieces = pieces_of(resample)
    if pieces is not None and members > pieces:
        fix = "ask for fewer, or for smaller pieces"
        raise InputError("members", f"at most {pieces}, one for each piece", str(members), fix)
    if resample not in ("bootstrap", "none") and pieces is None:
        raise InputError(
            "resample", "'bootstrap' or 'none'", repr(resample), "choose one of the two"
        )


def takes_weight(fit: Fit) -> bool:
    """Whether fit has a parameter called weight. Catch-all parameters (**settings) do not count:
    they would swallow weights in silence.
    """
    try:
        parameter = inspect.signature(fit).parameters.get("weight")
    except (TypeError, ValueError):  # a compiled function without a signature
        return False
    return parameter is not None and parameter.kind in (
        parameter.POSITIONAL_OR_KEYWORD,
        parameter.KEYWORD_ONLY,
    )


def check_takes_weight(fit: Fit) -> None:
    """Weights that the generator cannot take are refused, because the sample would be worth the
    events without them, which is another question.

    Raises:
        RefusedError: fit has no parameter called weight.
    """
    if not takes_weight(fit):
        fix = (
            "add the parameter and use it in the loss, or give events without weights:"
            " dropping them would answer another question"
        )
        raise RefusedError(
            "weighted training events",
            "a generator fit(x_train, seed, weight)",
            "one without a parameter called weight",
            fix,
        )


def fit_member(
    fit: Fit,
    x_train: np.ndarray,
    weight: np.ndarray | None,
    member: int,
    seed: int,
    resample: Resample,
) -> Sample:
    """Trains one member on its bootstrap sample, its piece, or a copy of all events, and returns
    its sampler.

    Rows are drawn uniformly and weights travel with them, negative ones as they are.

    Raises:
        InputError: there are weights, and fit takes none.
        MemberError: fit raised, or returned no function.
    """
    if weight is not None:
        check_takes_weight(fit)
    rows = training_rows(len(x_train), member, seed, resample)
    weights = {} if weight is None else {"weight": weight[rows]}
    sample = _called(
        member,
        "fit(x_train, seed) to return",
        lambda: fit(x_train[rows], fit_seed(member, seed), **weights),
    )
    if not callable(sample):
        raise MemberError(
            f"member {member}",
            "fit(x_train, seed) to return a function sample(n, seed)",
            f"a {type(sample).__name__}",
            "return the function",
        )
    return sample


def training_rows(n: int, member: int, seed: int, resample: Resample) -> np.ndarray:
    """Which of n training events a member learns from."""
    pieces = pieces_of(resample)
    if pieces is not None:
        order = _random(seed, pieces, _PIECES).permutation(n)
        return np.sort(order[member * (n // pieces) : (member + 1) * (n // pieces)])
    if resample == "bootstrap":
        return _random(seed, member, _ROWS).integers(n, size=n)
    return np.arange(n)


def pieces_of(resample: Resample) -> int | None:
    """How many disjoint pieces the training events are cut into; None where they are not.

    >>> pieces_of("1/8"), pieces_of("bootstrap")
    (8, None)
    """
    one, _, pieces = resample.partition("/")
    return int(pieces) if one == "1" and pieces.isdigit() and int(pieces) > 0 else None


def fit_seed(member: int, seed: int) -> int:
    """The seed that member's fit is given."""
    return _integer(_random(seed, member, _FIT))


def probe(sample: Sample, order: Order) -> Block:
    """A few events from the seed that all members share, to tell whether members differ at all.
    They are in no estimate: common noise would hide the spread.
    """
    common_seed = _integer(_random(order.seed, 0, _COMMON))
    return _drawn(sample, order, min(order.n_gen, _PROBE), common_seed)


def fingerprint(block: Block) -> str:
    """A digest of a probe. Two trainings on different events have different ones, unless events
    take few values and n_train is of order 10^7.
    """
    content = b"".join(array.tobytes() for array in block if array is not None)
    return hashlib.sha256(content).hexdigest()


def same_events(members: tuple[int, int]) -> InputError:
    """What is wrong where two members have one fingerprint."""
    fix = (
        "let fit(x_train, seed) learn from x_train and start from its seed;"
        " then train all members again"
    )
    return InputError(
        f"members {members[0]} and {members[1]}",
        "events that differ",
        "the same events from the same seed",
        fix,
    )


def mixed_weights() -> InputError:
    """What is wrong where only some members have weights."""
    return InputError(
        "members",
        "generated weights from all of them or from none",
        "both",
        "let sample(n, seed) always return (x, weight), or never",
    )


def generate(sample: Sample, order: Order, first: Block) -> Iterator[Block]:
    """The events of one member in blocks of at most 2^18, each with a seed of its own and checked.

    Args:
        sample: what `fit_member` returned.
        order: whose sampler it is, and what it must give.
        first: the member's `probe`, which no block may repeat.

    Raises:
        MemberError: sample raised, or returned the wrong shape, anything but finite real numbers,
            the same events for two seeds, or weights now and then.
    """
    seeds, who = _random(order.seed, order.member, _SAMPLE), f"member {order.member}"
    for start in range(0, order.n_gen, BLOCK):
        block = _drawn(sample, order, min(BLOCK, order.n_gen - start), _integer(seeds))
        shared = min(len(first[0]), len(block[0]))
        if np.array_equal(first[0][:shared], block[0][:shared]):
            fix = "draw from a random generator that starts from the seed of sample(n, seed)"
            raise MemberError(
                who, "other events for another seed", "the same events every time", fix
            )
        if (block[1] is None) != (first[1] is None):
            raise MemberError(
                who,
                "weights with all events or with none",
                "both",
                "return (x, weight) always or never",
            )
        yield block


def _drawn(sample: Sample, order: Order, n: int, seed: int) -> Block:
    """One call of sample, its result checked."""
    who, call = f"member {order.member}", f"sample({n}, seed)"
    x, weight = _called(order.member, f"{call} to return numbers", lambda: arrays(sample(n, seed)))
    if x.shape != (n, order.dim):
        raise MemberError(
            who,
            f"{call} of shape ({n}, {order.dim})",
            str(x.shape),
            "return one row per event, with the columns of the training events",
        )
    if weight is not None and weight.shape != (n,):
        raise MemberError(
            who,
            f"weights of {call} of shape ({n},)",
            str(weight.shape),
            "return one weight per event",
        )
    x = _finite(x, order.dtype, who, call)
    if weight is not None:
        weight = _finite(weight, np.dtype(np.float64), who, f"the weights of {call}")
    return x, weight


def _finite(values: np.ndarray, dtype: np.dtype, who: str, what: str) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise MemberError(
            who, f"real numbers from {what}", str(values.dtype), "return float32 or float64"
        )
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        got = f"nan or infinity in {bad.sum()} of {len(values)} events, row {np.argmax(bad)} first"
        raise MemberError(
            who,
            f"finite numbers from {what}",
            got,
            "repair the training, which may have diverged, or the sampler",
        )
    return values


def arrays(result: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Events and weights, copied, because a sampler may use its memory again."""
    if isinstance(result, tuple) and len(result) == 2:
        return np.array(result[0]), np.array(result[1])
    return np.array(result), None


def _called(member: int, expected: str, call: Callable[[], Any]) -> Any:
    """The result of a user's code; whatever it raises becomes one line. A missing package is no
    matter of one member, nor are events that cannot be trained on.
    """
    try:
        return call()
    except (MissingExtraError, RefusedError):
        raise
    except MemberError as error:  # of completion rounds, which do not know their member
        raise MemberError(f"member {member}", *error.args[1:4]) from error
    except (Exception, SystemExit) as error:
        raise MemberError(
            f"member {member}", expected, raised(error), "correct the generator"
        ) from error


def raised(error: BaseException) -> str:
    """An exception and the last line of the user's own code it came through."""
    libraries = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
    foreign = (*libraries, str(Path(__file__).parent), "<")
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(foreign)]
    place = f" ({Path(users[-1].filename).name} line {users[-1].lineno})" if users else ""
    text = one_line(str(error))
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"


def _random(seed: int, member: int, role: int) -> np.random.Generator:
    return np.random.default_rng([seed, member, role])


def _integer(random: np.random.Generator) -> int:
    return int(random.integers(2**31))
