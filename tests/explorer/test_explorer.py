"""The explorer's page holds the numbers of the records, stays small, and names wrong input."""

import base64
import html
import json
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from made_up import cross_validation_record, fit_record, halves_record

from sbnn import explore
from sbnn.data.checks import GREY
from sbnn.explorer import columns
from sbnn.explorer.columns import page_data
from sbnn.results import Record


def unpacked(text, n_cells):
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, n_cells).T


def test_the_page_has_the_values_of_the_fit_and_the_scores_of_its_model():
    fit = fit_record()
    fit.train_feature_r2[1] = np.nan
    folds = cross_validation_record(fit)
    page = page_data(fit, folds)
    held_out = np.full((90, 4), np.nan, "f4")  # in z-scores of all cells
    for (train, test), predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        own = fit.outputs[train].astype(float)
        held_out[test] = predicted * own.std(0) + own.mean(0)
    expected = {
        "measured": np.hstack([fit.outputs, fit.expression]),
        "predicted": np.hstack([fit.predictions, fit.predicted_expression]),
        "held_out": held_out,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(unpacked(page["values"][name], 90), values, atol=1e-5)
    outputs = pd.DataFrame({"name": fit.feature_names, "group": "output"}, dtype=object)
    outputs["r2"] = fit.train_feature_r2.astype(object)
    outputs.loc[1, "r2"] = None  # JSON has no NaN
    outputs["test_r2"] = folds.test_feature_r2[:, 1].mean(0)
    genes = [{"name": name, "group": "gene"} for name in fit.kept_genes]
    assert page["features"] == outputs.to_dict("records") + genes
    assert page["cells"][:2] == ["cell0", "cell1"]
    assert page["verdict"].startswith("Test R2 ")


def test_cells_have_the_codes_of_their_groups_the_most_frequent_first():
    fit = fit_record(n=14)
    fit.labels["type"] = np.resize(["p", "B1", "p", "r", "B1"], 14)
    groups = page_data(fit)["groups"]
    types = groups["type"]
    assert types["names"] == ["p", "B1", "r"]
    assert types["colors"][1:] == ["#00AA00", GREY]
    assert types["codes"][:6] == [0, 1, 0, 2, 1, 0]
    assert groups["family"]["names"] == ["A", "B", "C"]
    fit.labels["family"] = fit.labels["type"]
    assert list(page_data(fit)["groups"]) == ["type"], "families that add nothing to types"


@pytest.mark.parametrize(
    ("width", "axes"),
    [
        (1, ["unit 1", "AP width (measured, z-score)"]),
        (2, ["unit 1", "unit 2"]),
        (3, ["t-SNE 1", "t-SNE 2"]),
    ],
)
def test_maps_have_named_axes(width, axes):
    fit = fit_record(width=width)
    places = {"transcriptome": fit.embedding + 1, "outputs": fit.embedding - 1}
    tsne = Record(
        experiment="t-SNE", dataset="made up", sha256=fit.sha256, params=[{}], values=places
    )
    maps = page_data(fit, tsne=tsne)["maps"]
    assert (maps[0]["axes"], maps[0]["equal"]) == (axes, width > 1)
    own = fit.embedding.copy()
    if width == 1:
        own[:, 1] = fit.outputs[:, 0]
    for shown, xy in zip(maps, (own, *places.values()), strict=True):
        np.testing.assert_array_equal(unpacked(shown["x"] + shown["y"], 90), xy)


@pytest.mark.parametrize(("n_components", "message"), [(3, "no model"), (1, "no predictions")])
def test_held_out_cells_need_a_cross_validation_of_the_same_model(n_components, message):
    fit = fit_record()
    folds = cross_validation_record(fit)
    fit.params = [{"n_components": n_components}]
    with pytest.raises(ValueError, match=f"cv_record: .*{message}"):
        page_data(fit, folds)


def test_other_genes_are_there_the_most_variable_first_as_far_as_there_is_room(monkeypatch):
    fit = fit_record()
    names = np.array([*fit.kept_genes, *(f"Other{i}" for i in range(30))])
    rng = np.random.default_rng(2)
    counts = rng.poisson(rng.uniform(0.5, 20, len(names)), (90, len(names)))
    X = pd.DataFrame(np.log2(1 + counts), fit.cell_names, names)
    data = X, pd.DataFrame(fit.outputs, fit.cell_names, fit.feature_names)
    page = page_data(fit, halves=halves_record(np.tile(names == "Gene0", (50, 1)), names))
    assert [gene["trust"] for gene in page["features"][4:]] == ["trusted", *["unstable"] * 11]
    every = X[names[12:]].var().sort_values(ascending=False).index
    rest = len(json.dumps(page_data(fit)))
    # 540 bytes for each gene of 90 cells
    for room, n_genes in {10**5: 30, 1081: 2, 1079: 1, -9: 0}.items():
        monkeypatch.setattr(columns, "MOST_BYTES", rest + room)
        genes = page_data(fit, data=data)["genes"]
        assert genes["names"] == list(every[:n_genes])
        assert genes["left_out"] == 30 - n_genes
        shown = scipy.stats.zscore(X[genes["names"]])
        np.testing.assert_allclose(unpacked(genes["values"], 90), shown, atol=1e-5)


def test_a_page_of_5000_cells_is_small_and_a_notebook_shows_all_of_it():
    fit = fit_record(n=5000, features=[f"o{i}" for i in range(16)], n_genes=25)
    page = explore(fit, cross_validation_record(fit))
    assert 1e6 < len(page.html) < 6e6
    shown = re.fullmatch(r'<iframe [^>]*srcdoc="([^"]*)"[^>]*></iframe>', page._repr_html_())
    assert html.unescape(shown[1]) == page.html


def test_names_end_no_script_and_are_text_in_the_title():
    fit = fit_record()
    fit.values["cell_names"] = np.repeat("</script><script>alert(1)</script>", 90)
    fit.dataset = "<img src=x>"
    page = explore(fit).html
    assert page.count("</script>") == len(re.findall(r"<script[ >]", page)) == 4
    assert "<img src=x>" not in page
    assert "alert(1)" in page
