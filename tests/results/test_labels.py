"""Names and units of columns: read, refused in one line, drawn."""

import h5py
import numpy as np
import pytest

from amplify.errors import InputError
from amplify.plots.naming import Names, names_of
from amplify.results.labels import checked_labels, read_labels
from amplify.results.result import Result
from amplify.tables.attributes import attribute_labels
from tests.results.examples import COLUMNS, rich_results

LINES = 'pt_lead: {label: "$p_T$", unit: GeV}\neta_lead: $\\eta$\nht: {unit: GeV}\n'
WRONG = {
    "a list": ("- pt\n", "lines like pt"),
    "nothing": ("", "lines like pt"),
    "no YAML": ("pt: {label", "lines like pt"),
    "a number": ("pt: 3\n", "pt: expected a label"),
    "another key": ("pt: {label: x, title: y}\n", "pt: expected a label"),
    "a list for a unit": ("pt: {label: x, unit: [GeV]}\n", "text of at most"),
    "no mathematics": ("pt: $\\nosuch$\n", "can be drawn"),
    "half a formula": ('pt: "$p_{T$"\n', "can be drawn"),
    "too long": (f"pt: {'a' * 121}\n", "text of at most"),
    "an escape sequence": ('pt: "\\e[31m"\n', "can be drawn"),
    "code": ("pt: !!python/object/apply:os.mkdir [executed]\n", "lines like pt"),
}


def test_a_file_is_read(tmp_path):
    (tmp_path / "labels.yaml").write_text(LINES)
    labels = read_labels(tmp_path / "labels.yaml")
    assert labels == {
        "pt_lead": {"label": "$p_T$", "unit": "GeV"},
        "eta_lead": {"label": r"$\eta$", "unit": None},
        "ht": {"label": "ht", "unit": "GeV"},
    }


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, words = WRONG[case]
    (tmp_path / "labels.yaml").write_text(text)
    with pytest.raises(InputError) as told:
        read_labels(tmp_path / "labels.yaml")
    line = str(told.value)
    assert words in line and "--labels" in line and "\n" not in line and "\x1b" not in line
    assert not (tmp_path / "executed").exists()
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "missing.yaml")


def test_pictures_show_them_and_json_keeps_them(tmp_path):
    labels = checked_labels({"pt_lead": {"label": "$p_T$", "unit": "GeV"}})
    result = Result.from_json(rich_results(COLUMNS[:2])).with_labels(labels)
    assert result.settings["labels"] == labels
    again = Result.from_json(result.to_dict())
    names = names_of(again)
    assert names.axis("pt_lead") == "$p_T$ [GeV]" and names.axis("eta_lead") == "eta_lead"
    assert names.region("0 <= pt_lead < 2.2") == "0 <= $p_T$ < 2.2 GeV"
    assert names.region("pt_lead >= 2.2") == "$p_T$ >= 2.2 GeV"
    assert names.region("all") == "all"
    at = "256 <= pt_lead < 512: 0 <= eta_lead < 1"
    assert names.region(at) == "256 <= $p_T$ < 512 GeV: 0 <= eta_lead < 1"
    assert names.region("pt_lead = 256: tail: high") == "$p_T$ = 256 GeV: tail: high"


@pytest.mark.parametrize("label", [3, None, "", "$\\nosuch$", "a\x1b[31m", "x" * 500])
def test_labels_that_cannot_be_drawn_are_left_out(label):
    """Of a results.json that somebody edited: the column's own name is shown."""
    names = Names({"pt": {"label": label, "unit": "GeV"}, "eta": label})
    assert names.axis("pt") == "pt [GeV]" and names.axis("eta") == "eta"
    assert names_of({"settings": {"labels": 3}}).axis("pt") == "pt"
    assert names_of({}).region("pt < 3") == "pt < 3"


def test_attributes_of_data_sets_are_labels(tmp_path):
    with h5py.File(tmp_path / "events.h5", "w") as file:
        for name in ("pt", "eta", "plain"):
            file[f"jets/{name}"] = np.arange(3.0)
        file["jets/pt"].attrs["label"] = "$p_T$"
        file["jets/pt"].attrs["units"] = b"GeV"
        file["jets/eta"].attrs["long_name"] = "pseudorapidity"
        file["jets/plain"].attrs["label"] = 3.0
        file["jets/away"] = h5py.ExternalLink("elsewhere.h5", "/x")
    expected = {
        "pt": {"label": "$p_T$", "unit": "GeV"},
        "eta": {"label": "pseudorapidity", "unit": None},
    }
    for inside in ("jets", "jets/pt"):
        assert attribute_labels(tmp_path / "events.h5", inside) == expected
    assert attribute_labels(tmp_path / "events.h5") == {}
    assert attribute_labels(tmp_path / "events.h5", "nowhere") == {}
    assert attribute_labels(tmp_path / "missing.h5") == {}
