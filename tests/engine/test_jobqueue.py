"""Jobs of a batch system: the files that describe them, the scripts, a queue that is a shell."""

import os
import re
import stat
import sys
import time
from pathlib import Path

import pytest

from amplify.commands.workers import on_workers
from amplify.engine import current_engine, jobqueue
from amplify.engine.dask import opened
from amplify.errors import InputError
from tests.engine import parts

SLURM = """
cluster: slurm
workers: 20
cores: 2
memory: 8GB
walltime: "02:00:00"
queue: short
account: hep
log_directory: logs
job_extra_directives: ["--gres=gpu:1"]
job_script_prologue: ["source env/bin/activate"]
"""
HTCONDOR = """
cluster: htcondor
workers: 20
memory: 4GB
disk: 2GB
job_extra_directives: {+JobFlavour: '"longlunch"'}
"""


def wait_until(happened, seconds=20.0):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def written(tmp_path, text) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    return path


def test_the_script_for_slurm(tmp_path):
    lines = jobqueue.job_script(written(tmp_path, SLURM)).splitlines()
    for line in (
        "#SBATCH -J amplify",
        "#SBATCH -e logs/amplify-%J.err",
        "#SBATCH -p short",
        "#SBATCH -A hep",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=8G",
        "#SBATCH -t 02:00:00",
        "#SBATCH --gres=gpu:1",
        "export OMP_NUM_THREADS=1",
        "source env/bin/activate",
    ):
        assert line in lines, line
    worker = lines[-1]
    assert "distributed.cli.dask_worker tcp://SCHEDULER:PORT" in worker
    assert "--nthreads 1 " in worker and "--nworkers 2 " in worker


def test_the_script_for_htcondor(tmp_path):
    script = jobqueue.job_script(written(tmp_path, HTCONDOR))
    lines = script.splitlines()
    assert "RequestCpus = MY.DaskWorkerCores" in lines and "MY.DaskWorkerCores = 1" in lines
    assert "MY.DaskWorkerDisk = 2000000000" in lines and '+JobFlavour = "longlunch"' in lines
    assert "Executable = /bin/sh" in lines and lines[-1] == "Queue"
    assert "-c 'export OMP_NUM_THREADS=1; " in script and "--nthreads 1 " in script


def test_the_page_shows_the_scripts_that_are_made(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "batch_system.md").read_text()
    files = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    shown = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert len(files) == len(shown) == 2
    for text, script in zip(files, shown, strict=True):
        made = jobqueue.job_script(written(tmp_path, text))
        assert made.replace(sys.executable, "/path/to/env/bin/python").rstrip() == script.rstrip()


@pytest.mark.parametrize("kind", ["pbs", "sge", "lsf", "oar", "moab"])
def test_other_batch_systems_have_a_script(kind, tmp_path):
    text = f"cluster: {kind}\nworkers: 3\nmemory: 1GB\nqueue: short\n"
    script = jobqueue.job_script(written(tmp_path, text))
    assert "short" in script and "--nthreads 1 " in script


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cluster: slurm\nworkers: 2\nmemory: 1GB\nqueues: short", "keys of slurm: .*, got queues"),
        ("cluster: slurm\nworkers: 2\nmemory: 1GB\ndisk: 1GB", "keys of slurm: .*, got disk"),
        ("cluster: slurm\nworkers: 0\nmemory: 1GB", "expected workers bigger than .* 1, got 0"),
        ("cluster: slurm\nworkers: 2\nmemory: 1", 'memory string, got 1; .*"12:00:00"'),
        ("cluster: slurm\nworkers: 2\nmemory: much", "a cluster, got 'Could not interpret 'much'"),
        ("cluster: slurm\nworkers: 2", "expected a value of memory, got none"),
        ("cluster: htcondor\nworkers: 2\nmemory: 1GB", "expected a value of disk, got none"),
        ("cluster: cray", "expected cluster: one of slurm, .*, got cluster: cray"),
        ("cluster: [slurm]", "expected cluster: one of slurm, .*, got cluster: .'slurm'.;"),
        ("- slurm", "got no keys"),
        ("cluster: [", "expected YAML, got"),
        ("!!python/object/apply:os.system ['exit 1']", "expected YAML, got"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line(text, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        jobqueue.job_script(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_dry_run_shows_the_script(tmp_path, capsys):
    path = written(tmp_path, SLURM)
    with on_workers(str(path), dry_run=True):
        assert not current_engine().remote
    said = capsys.readouterr().err
    assert f"{path}: 20 workers, in jobs of this kind:" in said and "#SBATCH -p short" in said


def test_jobs_run_and_are_taken_back(tmp_path, monkeypatch):
    """With commands `sbatch` and `scancel` that start and end a process."""
    submit = 'cp "$1" script\nsetsid bash script >job.log 2>&1 &\necho "Submitted batch job $!"'
    commands = {
        "sbatch": submit,  # which reads the script before it returns
        "scancel": 'echo "$1" >>cancelled; kill -- -"$1"',
    }
    for name, body in commands.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\ncd {tmp_path}\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    text = "cluster: slurm\nworkers: 1\nmemory: 1GB\njob_script_prologue: [touch started]"
    with opened(str(written(tmp_path, text))) as engine:
        assert engine.workers == 1 and engine.remote
        assert list(engine.in_order(parts.product, [(i, 2) for i in range(5)])) == [0, 2, 4, 6, 8]
    assert (tmp_path / "started").exists()
    job = int((tmp_path / "cancelled").read_text())
    wait_until(lambda: not Path(f"/proc/{job}/environ").exists() or not _alive(job))


def test_jobs_that_the_batch_system_refuses_are_one_line(tmp_path, monkeypatch):
    path = tmp_path / "sbatch"
    path.write_text("#!/bin/bash\necho 'sbatch: error: Invalid account' >&2\nexit 1\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, "cluster: slurm\nworkers: 2\nmemory: 1GB")
    words = "expected jobs that are taken, got 'sbatch: error: Invalid account'"
    with opened(str(file)) as engine, pytest.raises(InputError, match=words):
        list(engine.in_order(parts.product, [(1, 2)]))


def _alive(pid: int) -> bool:
    """Whether it runs, and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
