"""`amplify devices`: what a training would use, and why there is no accelerator."""

import json

import pytest

from amplify.analysis import machine
from amplify.cli import main
from amplify.devices import found
from amplify.generators.fitted_gaussian import fitted_gaussian
from amplify.training import memory

CARD = found.Kind("an NVIDIA card", ("/proc/self/stat",), ("no_such_plugin",), "jax[cuda13]")
GONE = ("/no/such/file",)


def test_it_says_what_would_be_used(capsys):
    main(["devices", "--members", "3", "--json", "-"])
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["platform"] == "cpu" and len(told["devices"]) == 2 and told["cores"] >= 1
    assert told["mesh"] == {"members": 2, "batch": 1, "of_a_device": 2, "filling": 1}
    assert "mesh         2 x 1, members x batch: 2 members a device; 1 of them" in said.err
    assert told["no_accelerator"].startswith("none") and told["no_accelerator"] in said.err


def test_numbers_without_sense_are_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["devices", "--batch", "0"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: devices: expected numbers of at least 1")


def test_groups_that_fit_are_found_without_training(monkeypatch):
    """As on an accelerator with little memory."""
    monkeypatch.setattr(machine, "is_cpu", lambda mesh: False)
    monkeypatch.setattr(machine, "coupling_flow", lambda x: fitted_gaussian(x.shape[1]))
    free = []
    monkeypatch.setattr(memory, "free_bytes", lambda devices: free.append(1) or 1)
    group = machine.machine(2, 16, 2, 100).group
    assert free and group.at_once == 1 and group.bytes is not None and group.bytes > 100


@pytest.mark.parametrize(
    ("kind", "asked", "why"),
    [
        (CARD, "", "JAX has no plugin for it: pip install 'jax[cuda13]'"),
        (CARD._replace(plugins=("json",)), "", "the plugin json are here, but do not start"),
        (CARD._replace(signs=GONE, plugins=("json",)), "", "the driver of an NVIDIA card is not"),
        (CARD._replace(signs=GONE), "", "no driver of a card is here"),
        (CARD, "cpu", "JAX_PLATFORMS=cpu asks for the CPU alone"),
    ],
)
def test_what_is_missing_is_named(kind, asked, why, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    assert why in found.why_none((kind,))
