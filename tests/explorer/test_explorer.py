"""The explorer's page holds the numbers of the records, stays small, and names wrong input."""

import base64
import html
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from explorable import fit_to_explore, folds_to_explore, with_all_genes
from sklearn.preprocessing import StandardScaler

from sbnn import explore
from sbnn.explorer import columns
from sbnn.explorer.columns import page_data


def unpacked(text, n_cells):
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, n_cells).T


def test_the_page_has_the_values_of_the_fit_and_the_scores_of_its_model():
    fit = fit_to_explore()
    fit.values["train_feature_r2"] = np.array([0.2, np.nan, 0.8])
    folds = folds_to_explore(fit)
    folds.test_feature_r2[:, 1, 2] = np.nan
    page = page_data(fit, folds)
    measured = np.hstack([fit.outputs, fit.expression])
    np.testing.assert_array_equal(unpacked(page["values"]["measured"], 90), measured)
    predicted = np.hstack([fit.predictions, fit.predicted_expression])
    np.testing.assert_array_equal(unpacked(page["values"]["predicted"], 90), predicted)
    held_out = np.full((90, 3), np.nan, "f4")  # in z-scores of all cells
    for (train, test), predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        own = fit.outputs[train].astype(float)
        held_out[test] = predicted * own.std(0) + own.mean(0)
    found = unpacked(page["values"]["held_out"], 90)
    np.testing.assert_allclose(found, held_out, atol=1e-5)
    r2 = [*folds.test_feature_r2[:, 1, :2].mean(0), None]
    outputs = []
    for i, fitted in enumerate([0.2, None, 0.8]):  # JSON has no NaN
        outputs.append({"name": f"output {i}", "group": "output", "r2": fitted, "test_r2": r2[i]})
    assert page["features"][:3] == outputs
    assert page["features"][3] == {"name": "Gene0", "group": "gene"}
    assert page["model"] == "sBNN, paper protocol, d = 2, 4 genes"
    assert page["cells"][:2] == ["cell0", "cell1"]
    assert page["verdict"].startswith("Test R2 ")
    assert page_data(fit)["verdict"] == ""


def test_cells_have_the_codes_of_their_groups_the_most_frequent_first():
    groups = page_data(fit_to_explore(n=14, types=["p", "q", "p", "r", "q"]))["groups"]
    types = groups["type"]
    assert types["title"] == "Type"
    assert types["names"] == ["p", "q", "r"]
    assert types["colors"] == ["#0000CC", "#AA0000", "#CC8800"]
    assert types["codes"][:6] == [0, 1, 0, 2, 1, 0]
    assert groups["family"]["names"] == ["even", "odd"]
    same = page_data(fit_to_explore(types=["even", "odd"]))["groups"]
    assert list(same) == ["type"], "families that add nothing to types"


@pytest.mark.parametrize(
    ("width", "axes"),
    [
        (1, ["latent 1", "output 0 (measured, z-score)"]),
        (2, ["latent 1", "latent 2"]),
        (3, ["t-SNE 1", "t-SNE 2"]),
    ],
)
def test_maps_have_named_axes(width, axes):
    fit = fit_to_explore(width=width)
    _, more = with_all_genes(fit)
    tsne = more["tsne"]
    maps = page_data(fit, tsne=tsne)["maps"]
    assert (maps[0]["axes"], maps[0]["equal"]) == (axes, width > 1)
    own = fit.embedding.copy()
    if width == 1:
        own[:, 1] = fit.outputs[:, 0]
    for shown, xy in zip(maps, (own, tsne.transcriptome, tsne.outputs), strict=True):
        np.testing.assert_array_equal(unpacked(shown["x"] + shown["y"], 90), xy)


def test_held_out_cells_need_a_cross_validation_of_the_same_model_and_data():
    fit = fit_to_explore()
    folds = folds_to_explore(fit)
    in_units = replace(folds, settings=folds.settings | {"scaling": "none"})
    wrong = {"of scaled outputs": (fit, in_units)}
    wrong["no model"] = replace(fit, params=[{"n_components": 3}]), folds
    wrong["no predictions"] = replace(fit, params=[{"n_components": 1}]), folds
    for message, records in wrong.items():
        with pytest.raises(ValueError, match=f"cv_record: .*{message}"):
            page_data(*records)


def test_other_genes_are_there():
    fit = fit_to_explore()
    data, more = with_all_genes(fit)
    page = page_data(fit, data=data, **more)
    genes = page["genes"]
    X = pd.DataFrame(data.X, columns=data.gene_names)[genes["names"]]
    assert sorted(genes["names"]) == sorted(data.gene_names[4:])
    assert X.var().is_monotonic_decreasing, "the most variable first"
    values = StandardScaler().fit_transform(X)
    np.testing.assert_allclose(unpacked(genes["values"], 90), values, atol=1e-5)
    assert [gene["trust"] for gene in page["features"][3:]] == ["trusted", *["unstable"] * 3]


def test_genes_without_room_are_left_out(monkeypatch):
    fit = fit_to_explore()
    data, _ = with_all_genes(fit)
    every = page_data(fit, data=data)["genes"]["names"]
    rest = len(json.dumps(page_data(fit)))
    # 540 bytes for each gene of 90 cells
    for room, n_genes in {1081: 2, 1079: 1, -9: 0}.items():
        monkeypatch.setattr(columns, "MOST_BYTES", rest + room)
        genes = page_data(fit, data=data)["genes"]
        assert genes["names"] == every[:n_genes]
        assert genes["left_out"] == 30 - n_genes


def test_a_page_of_5000_cells_is_small_and_a_notebook_shows_all_of_it():
    fit = fit_to_explore(n=5000, n_outputs=16, n_genes=25)
    page = explore(fit, folds_to_explore(fit))
    assert 1e6 < len(page.html) < 6e6
    shown = re.fullmatch(r'<iframe [^>]*srcdoc="([^"]*)"[^>]*></iframe>', page._repr_html_())
    assert html.unescape(shown[1]) == page.html
    assert repr(page) == "Explorer()"


def test_names_end_no_script_and_are_text_in_the_title():
    fit = fit_to_explore(names=[f"</script><script>alert({i})</script>" for i in range(90)])
    fit.dataset = "<img src=x>"
    page = explore(fit).html
    assert page.count("</script>") == len(re.findall(r"<script[ >]", page)) == 4
    assert "<img src=x>" not in page
    assert "alert(1)" in page
