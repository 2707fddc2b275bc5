"""What the package does on an accelerator: right numbers, speed, memory, and top pairs at size.

Parts consist of items; each finished item is one line of JSON in a file, written at once, and not
run again. One that fails leaves its error there and the others go on. Run `python -m
experiments.accelerator --preset gpu --out OUT` on the machine with the card, and `--join` anywhere
to write the figures that are kept.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from amplify.errors import InputError
from experiments import study
from experiments.benchmarks.accelerator_sizes import SMOKE, Sizes

Part = Literal["right", "fast", "devices", "torch", "memory", "tests", "physics"]
ORDER: tuple[Part, ...] = ("right", "fast", "devices", "torch", "memory", "tests", "physics")
RESULTS = Path(__file__).parents[1] / "paper_figures" / "results" / "accelerator.json"


class OutOfTimeError(Exception):
    """An item took longer than it may."""


def main(
    preset: Literal["smoke", "gpu"] = "smoke",
    out: Path = Path("amplify-runs/accelerator"),
    parts: tuple[Part, ...] = ORDER,
    limit: float = 240.0,
    item_limit: float = 60.0,
    workers: int = 2,
    scratch: Path | None = None,
    only: tuple[str, ...] = (),
    join: bool = False,
) -> Path:
    """Runs the items of the parts that are missing in OUT/accelerator.jsonl.

    Args:
        preset: smoke takes seconds on a CPU; gpu wants a card.
        out: folder of the lines.
        parts: which, in this order.
        limit: seconds after which no further item starts, and the running one ends.
        item_limit: seconds of an item; of `physics` as much as is left, shared between networks.
        workers: processes of a simulation.
        scratch: folder of simulated events and of compiled code, which are large; default OUT.
        only: items with these names, in this order; all where none are given.
        join: write what the file holds into paper_figures/results/accelerator.json, and run
            nothing.
    """
    lines = out / "accelerator.jsonl"
    if join:
        return joined(lines, RESULTS)
    import jax

    out.mkdir(parents=True, exist_ok=True)
    if preset == "gpu":
        cache = (scratch or out).absolute() / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    sizes = SMOKE if preset == "smoke" else Sizes()
    command = f"python -m experiments.accelerator --preset {preset} --parts {' '.join(parts)}"
    done = {(line["part"], line["item"]) for line in _lines(lines) if "error" not in line}
    end = time.monotonic() + limit
    places = out, scratch or out
    found = {part: _items(part, sizes, *places, end, workers, only) for part in parts}
    listed = [(part, name) for part in parts for name in found[part]]
    if only:
        chosen = [(part, name) for part, name in listed if name in only]
        listed = sorted(chosen, key=lambda item: only.index(item[1]))
    for part, name in listed:
        left = end - time.monotonic()
        if (part, name) in done or left < 2:
            print(f"{part} {name}: {'there' if left >= 2 else 'no time left'}", flush=True)
            continue
        print(f"{part} {name} ...", flush=True)
        most = min(left, _own_limit(name, sizes, item_limit))
        if part == "physics":  # networks share what is left, and counts of true events come last
            most = left if name == "true_events" else max(left - 8, 1.0)
        line = {"part": part, "item": name, "command": command}
        line |= _measured(found[part][name], most)
        _append(lines, line)
        said = line.get("error") or json.dumps(_short(line["figures"]))
        print(f"{part} {name}: {line['seconds']:.1f} s {said}", flush=True)
    return lines


def _own_limit(name: str, sizes: Sizes, item_limit: float) -> float:
    own = {"tests": sizes.tests + 15, "heavy_members": 2 * item_limit}
    return own.get(name, item_limit)


def _append(path: Path, line: dict[str, Any]) -> None:
    """A line at the end of a file, also where a killed run left half of one."""
    before = path.read_text() if path.exists() else ""
    with path.open("a") as file:
        file.write("\n" * (before[-1:] not in ("", "\n")) + json.dumps(line) + "\n")


def _items(
    part: Part,
    sizes: Sizes,
    out: Path,
    scratch: Path,
    end: float,
    workers: int,
    only: tuple[str, ...],
) -> dict[str, Callable[[], dict[str, Any]]]:
    """Functions that measure, by name, in the order of their importance."""
    if part in ("right", "tests"):
        from experiments.benchmarks import accelerator_right as right

        first = (right.device, right.equivariance, right.flows, right.bits)
        checks = {"right": (*first, right.compiler, right.estimators), "tests": (right.tests,)}
        return _named(sizes, *checks[part])
    if part == "fast":
        from experiments.benchmarks import accelerator_fast as fast

        return fast.items(sizes)
    if part == "devices":
        from experiments.benchmarks import accelerator_devices as all_devices

        checks = all_devices.counts_on_devices, all_devices.nulls_on_devices
        return _named(sizes, *checks, all_devices.members)
    if part == "torch":
        from experiments.benchmarks import accelerator_torch as in_torch

        flows = in_torch.zuko_eager, in_torch.zuko_members
        nets = in_torch.lgatr_torch, in_torch.lloca_torch
        return _named(sizes, *flows, *nets, in_torch.zuko_compiled)
    if part == "memory":
        from experiments.benchmarks import accelerator_large as large

        return _named(sizes, large.small_members, large.heavy_members)
    from experiments.benchmarks import accelerator_top as top

    names = tuple(name for name in top.SHARES if not only or name in only)

    @cache
    def study() -> top.Study:
        chosen = top.SMOKE if sizes is SMOKE else top.GPU
        return top.Study(chosen, names, out, scratch, end, workers)

    of_networks = {
        name: lambda name=name, k=k: study().network(name, names[k + 1 :])
        for k, name in enumerate(names)
    }
    return of_networks | {"true_events": lambda: study().true_events()}


def _named(sizes: Sizes, *functions: Callable[[Sizes], Any]) -> dict[str, Callable[[], Any]]:
    return {function.__name__: partial(function, sizes) for function in functions}


def _measured(measure: Callable[[], dict[str, Any]], most: float) -> dict[str, Any]:
    """Figures or an error, with the seconds and the time of day."""
    started = time.monotonic()
    try:
        with _at_most(most):
            result: dict[str, Any] = {"figures": _plain(measure())}
    except Exception as error:  # whatever it is: the others go on
        result = {"error": f"{type(error).__name__}: {error}"[:500]}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"seconds": time.monotonic() - started, "at": now} | result


@contextmanager
def _at_most(limit: float) -> Iterator[None]:
    """Raises OutOfTimeError in the block after so many seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError(f"more than {limit:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _plain(value: Any) -> Any:
    """The same with numbers of Python, of four digits where they are not whole."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < float("inf") else str(value)
    return value


def _short(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures without what the compiler says, for the screen."""
    hidden = ("flops", "bytes", "temporary_bytes", "why", "end", "ks", "ks_of_training_set")
    return {
        name: _short(value) if isinstance(value, dict) else value
        for name, value in figures.items()
        if name not in hidden
    }


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole: a killed run may leave half of one."""
    found = []
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found


def joined(lines: Path, path: Path) -> Path:
    """Writes the last line of each item, with its card and time, into `path`, beside the items
    that it holds already.

    Raises:
        InputError: no line says which card it was.
    """
    from amplify.results.records import write_json

    kept = json.loads(path.read_text()) if path.exists() else {"parts": {}}
    found: dict[str, dict[str, Any]] = kept["parts"]
    card: dict[str, Any] | None = None
    for line in _lines(lines):
        said = {key: value for key, value in line.items() if key not in ("part", "item")}
        if (line["part"], line["item"]) == ("right", "device") and "figures" in line:
            card = said
        items = found.setdefault(line["part"], {})
        if "error" not in line or "figures" not in items.get(line["item"], {}):
            said.get("figures", {}).pop("end", None)  # of a log
            items[line["item"]] = said | {"card": card["figures"]["card"] if card else None}
    if card is None:
        raise InputError(str(lines), "a line of the part right, device", "none", "run that part")
    write_json(
        path,
        {
            "command": "python -m experiments.accelerator --preset gpu --out OUT",
            "card": card["figures"]["card"],
            "date": card["at"],
            "releases": card["figures"],
            "parts": found,
        },
    )
    print(path)
    return path


if __name__ == "__main__":
    study.run(main)
