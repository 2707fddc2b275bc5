"""What studies share: a folder that one of them holds, parts that are noticed to be damaged, and an
end in one line.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from amplify.errors import InputError
from amplify.locks import NAME
from experiments import study


@dataclass(frozen=True)
class Config:
    seed: int = 0


def test_damaged_parts_are_computed_again(tmp_path, capsys):
    path, computed = tmp_path / "parts" / "a.npz", []

    def compute():
        computed.append(1)
        return {"x": np.arange(100.0)}

    for damage in (None, b"", b"{}", "half", "flipped"):
        if damage is not None:
            content = path.read_bytes()
            flipped = bytearray(content)
            flipped[200] ^= 1
            path.write_bytes({"half": content[:50], "flipped": bytes(flipped)}.get(damage, damage))
        for _ in range(2):
            np.testing.assert_array_equal(study.cached(path, compute)["x"], np.arange(100.0))
    assert len(computed) == 5
    assert capsys.readouterr().err.count("is damaged, or of an older version: computed again") == 4


def test_parts_of_a_config_that_nobody_knows_are_put_aside(tmp_path):
    study.claim(tmp_path, Config())
    study.claim(tmp_path, Config())
    with pytest.raises(InputError, match="choose another --out or remove the directory"):
        study.claim(tmp_path, Config(seed=1))
    study.cached(tmp_path / "parts" / "a.npz", lambda: {"x": np.zeros(3)})
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"seed": 0', '"seed": 1'))
    study.claim(tmp_path, Config(seed=1))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.json", NAME, "parts-of-unknown-config-1"}


HOLDS = """
import time
from pathlib import Path
from dataclasses import dataclass
from experiments import study

@dataclass(frozen=True)
class Config:
    seed: int = 0

def main(out: Path, held: bool = True):
    study.claim(out, Config())
    print("held", flush=True)
    time.sleep(600)

study.run(main)
"""


@pytest.mark.slow
def test_a_study_holds_its_folder_and_ends_in_one_line(tmp_path):
    command = [sys.executable, "-c", HOLDS, "--out", str(tmp_path / "a")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for number, name in ((signal.SIGINT, "an interruption"), (signal.SIGTERM, "SIGTERM")):
        with subprocess.Popen(command, **pipes) as held:
            assert held.stdout.readline() == b"held\n"
            with pytest.raises(InputError, match=rf"held by process {held.pid} on "):
                study.claim(tmp_path / "a", Config())
            os.kill(held.pid, number)
            said = held.communicate()[1].decode()
        assert held.returncode == 128 + number and said.count("\n") == 1, said
        assert said.startswith(f"error: run: expected to finish, got {name}")
