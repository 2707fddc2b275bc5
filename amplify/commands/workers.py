"""`--dask`: tasks of a command run on the workers of a Dask cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amplify.commands.output import say
from amplify.engine import using
from amplify.errors import InputError


@contextmanager
def on_workers(dask: str | None, *, workers: int | None = None, dry_run: bool) -> Iterator[None]:
    """In this block tasks run where `--dask` says; without it, in this process.

    Args:
        dask: see `amplify.engine.dask.opened`.
        workers: what --workers says, where the command has it.
        dry_run: nothing is started: a file's job script is shown.

    Raises:
        InputError: words that make no sense, or --workers beside them.
    """
    if dask is None:
        yield
        return
    from amplify.engine.dask import check, opened

    if workers is not None:
        fix = "drop it: local:N, or the cluster, says how many there are"
        raise InputError("--workers", "nothing beside --dask", str(workers), fix)
    check(dask)
    if dry_run:
        _show(dask)
        yield
        return
    with opened(dask, say=say) as engine, using(engine):
        yield


def _show(dask: str) -> None:
    """What would be submitted."""
    from amplify.engine.dask import is_file

    if not is_file(dask):
        return
    from amplify.engine.jobqueue import job_script, read

    say(f"{dask}: {read(Path(dask))['workers']} workers, in jobs of this kind:")
    for line in job_script(Path(dask)).rstrip().splitlines():
        say(f"    {line}")
