"""Digests of files, computed while they are read."""

import hashlib
import threading

import numpy as np
import pytest

from amplify.engine import Engine, using
from amplify.tables import digests, files
from amplify.tables.digests import digest, digesting


@pytest.fixture
def sample(tmp_path):
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.random.default_rng(i).normal(size=(100, 2)))
    return files.select(files.open_sample(f"{tmp_path}/*.npy"))


def _expected(sample):
    paths = [part.path for part in sample.table.parts]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def _said(sample):
    return [each["sha256"] for each in files.describe(sample)["files"]]


def test_files_are_digested_once_while_the_block_reads_them(sample, monkeypatch):
    begun = []

    def counted(path, halt=None):
        begun.append((path, threading.current_thread()))
        return digest(path, halt)

    monkeypatch.setattr(digests, "digest", counted)
    with digesting([sample, sample]):
        assert _said(sample) == _expected(sample)
        assert _said(sample) == _expected(sample)
    assert len(begun) == 3
    assert threading.main_thread() not in {thread for _, thread in begun}
    assert _said(sample) == _expected(sample)  # outside of the block, too
    assert len(begun) == 6


def test_nothing_is_digested_for_nobody(sample, monkeypatch):
    """The block waits for the block of bytes that is under way, and no longer."""
    monkeypatch.setattr(digests, "_BLOCK", 1)
    with pytest.raises(KeyError), digesting([sample]):
        raise KeyError
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name and t.is_alive()]


def test_workers_digest(sample):
    """Where they are asked for, by names that they know."""
    asked = []

    def in_order(function, items):
        for (path,) in items:
            asked.append(path)
            yield function(path)

    with using(Engine("elsewhere", 2, in_order, remote=True)), digesting([sample]):
        assert not asked
        assert _said(sample) == _expected(sample)
    assert len(asked) == 3
    assert all(path.is_absolute() for path in asked)
