"""The explorer's page holds the numbers of the records, stays small, and names wrong input."""

import base64
import html
import json
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from material.records import cross_validation_record, fit_record, halves_record
from numpy.testing import assert_allclose, assert_array_equal

from sbnn import explore, paired
from sbnn.data.colors import GREY
from sbnn.own_data.explorer import columns
from sbnn.own_data.explorer.columns import page_data
from sbnn.plotting.colors import Groups
from sbnn.results import Record


def unpack(text):
    """Columns of numbers in 90 cells."""
    content = base64.b64decode(text)
    return np.frombuffer(content, "<f4").reshape(-1, 90).T


@pytest.fixture
def fit():
    return fit_record()


@pytest.fixture
def folds(fit):
    """The second grid point is the model of the fit."""
    return cross_validation_record(fit)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ("measured", ["outputs", "expression"]),
        ("predicted", ["predictions", "predicted_expression"]),
    ],
)
def test_page_has_values_of_outputs_and_genes(fit, values, parts):
    expected = np.hstack([fit.values[part] for part in parts])
    assert_allclose(unpack(page_data(fit)["values"][values]), expected, atol=1e-5)


def test_held_out_predictions_are_z_scores_of_all_cells(fit, folds):
    expected = np.full((90, 4), np.nan)
    for (train, test), predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        outputs = fit.outputs[train].astype(float)
        expected[test] = predicted * outputs.std(axis=0) + outputs.mean(axis=0)
    held_out = page_data(fit, folds)["values"]["held_out"]
    assert_allclose(unpack(held_out), expected, atol=1e-5)


def test_outputs_have_training_and_test_r2(fit, folds):
    fit.train_feature_r2[1] = np.nan
    outputs = page_data(fit, folds)["features"][:4]
    assert [output["name"] for output in outputs] == ["AP width", "Tau", "x", "y"]
    train = [0.1, None, fit.train_feature_r2[2], 0.9]  # JSON has no NaN
    assert [output["r2"] for output in outputs] == train
    test = folds.test_feature_r2[:, 1].mean(axis=0)
    assert [output["test_r2"] for output in outputs] == test.tolist()
    assert {output["group"] for output in outputs} == {"output"}


def test_genes_follow_outputs(fit):
    genes = page_data(fit)["features"][4:]
    assert genes == [{"name": name, "group": "gene"} for name in fit.kept_genes]


def test_cells_have_names(fit):
    assert page_data(fit)["cells"][:2] == ["cell0", "cell1"]


def test_verdict_is_that_of_the_cross_validation(fit, folds):
    mean = folds.test_r2[:, 1].mean()
    assert page_data(fit, folds)["verdict"].startswith(f"Test R2 is {mean:.3f} ")


@pytest.fixture
def few_cells():
    """14 cells of three types; "p" and "r" have no colour."""
    record = fit_record(n=14)
    record.labels["type"] = np.resize(["p", "B1", "p", "r", "B1"], 14)
    return record


def test_types_are_sorted_by_count(few_cells):
    types = page_data(few_cells)["groups"]["type"]
    assert types["names"] == ["p", "B1", "r"]
    assert types["colors"] == [GREY, "#00AA00", GREY]
    assert types["codes"] == np.resize([0, 1, 0, 2, 1], 14).tolist()


def test_families_have_the_colours_of_maps(few_cells):
    families = page_data(few_cells)["groups"]["family"]
    of_cells = np.take(families["colors"], families["codes"])
    assert of_cells.tolist() == Groups(few_cells).colors.tolist()


def test_families_are_groups_unless_they_equal_types(few_cells):
    families = page_data(few_cells)["groups"]["family"]
    assert families["names"] == ["A", "B", "C"]
    few_cells.labels["family"] = few_cells.labels["type"]
    assert list(page_data(few_cells)["groups"]) == ["type"]


@pytest.fixture
def with_labels(fit, genes):
    """The cells of the fit with a label of three values and one of too many."""
    outputs = pd.DataFrame(fit.outputs, fit.cell_names, fit.feature_names)
    labels = pd.DataFrame({"site": np.resize(["V1", "M1", "M1"], 90)}, fit.cell_names)
    labels["barcode"] = fit.cell_names
    return paired(genes, outputs, labels=labels)


def test_labels_of_the_data_are_groups(fit, with_labels):
    groups = page_data(fit, data=with_labels)["groups"]
    assert list(groups) == ["type", "family", "site"]
    assert groups["site"]["names"] == ["M1", "V1"]
    assert len({*groups["site"]["colors"]} - {GREY}) == 2


def test_another_label_stands_for_unknown_types(fit, with_labels):
    fit.labels[["family", "type"]] = "unknown"
    assert list(page_data(fit, data=with_labels)["groups"]) == ["site"]


def test_a_colour_is_one_of_the_labels(fit, with_labels):
    assert page_data(fit, data=with_labels, color="site")["color"] == "site"
    with pytest.raises(ValueError, match="color: 'barcode' is unknown, .*'site'"):
        page_data(fit, data=with_labels, color="barcode")


@pytest.mark.parametrize(
    ("width", "axes", "equal"),
    [
        (1, ["unit 1", "AP width (measured, z-score)"], False),
        (2, ["unit 1", "unit 2"], True),
        (3, ["t-SNE 1", "t-SNE 2"], True),
    ],
)
def test_axes_have_names_and_maybe_one_scale(width, axes, equal):
    [model_map] = page_data(fit_record(width=width))["maps"]
    assert (model_map["axes"], model_map["equal"]) == (axes, equal)


def test_one_unit_is_shown_against_an_output():
    fit = fit_record(width=1)
    [model_map] = page_data(fit)["maps"]
    assert_array_equal(unpack(model_map["x"])[:, 0], fit.embedding[:, 0])
    assert_array_equal(unpack(model_map["y"])[:, 0], fit.outputs[:, 0])


def test_maps_show_the_model_and_both_tsnes(fit):
    places = {"transcriptome": fit.embedding + 1, "outputs": fit.embedding - 1}
    tsne = Record(
        experiment="t-SNE", dataset="made up", sha256=fit.sha256, params=[{}], values=places
    )
    maps = page_data(fit, tsne=tsne)["maps"]
    for shown, xy in zip(maps, (fit.embedding, *places.values()), strict=True):
        assert_array_equal(unpack(shown["x"] + shown["y"]), xy)


@pytest.mark.parametrize(("n_components", "message"), [(3, "no model"), (1, "no predictions")])
def test_held_out_cells_need_the_same_model(fit, folds, n_components, message):
    fit.params = [{"n_components": n_components}]
    with pytest.raises(ValueError, match=f"cv_record: .*{message}"):
        page_data(fit, folds)


def test_the_seed_of_a_stacked_network_is_not_the_model(fit, folds):
    page = page_data(fit, folds)
    fit.params = [fit.params[0] | {"network__random_state": 1}]
    assert page_data(fit, folds) == page


@pytest.fixture
def genes(fit):
    """Expression of 90 cells as a table: 12 kept genes and 30 others."""
    others = [f"Other{i}" for i in range(30)]
    names = [*fit.kept_genes, *others]
    rng = np.random.default_rng(2)
    means = rng.uniform(0.5, 20, len(names))
    counts = rng.poisson(means, (90, len(names)))
    return pd.DataFrame(np.log2(1 + counts), fit.cell_names, names)


@pytest.fixture
def data(fit, genes):
    return genes, pd.DataFrame(fit.outputs, fit.cell_names, fit.feature_names)


def test_kept_genes_have_their_trust(fit, genes):
    is_first = genes.columns == "Gene0"
    halves = halves_record(np.tile(is_first, (50, 1)), genes.columns.to_numpy())
    kept = page_data(fit, halves=halves)["features"][4:]
    trust = [gene["trust"] for gene in kept]
    assert trust == ["trusted"] + 11 * ["unstable"]


# 540 bytes for each gene of 90 cells
@pytest.mark.parametrize(("n_bytes", "n_genes"), [(10**5, 30), (1081, 2), (1079, 1), (-9, 0)])
def test_most_variable_genes_fill_the_page(fit, genes, data, monkeypatch, n_bytes, n_genes):
    used = len(json.dumps(page_data(fit)))
    monkeypatch.setattr(columns, "MOST_BYTES", used + n_bytes)
    others = page_data(fit, data=data)["genes"]
    variances = genes.iloc[:, 12:].var().sort_values(ascending=False)
    assert others["names"] == list(variances.index[:n_genes])
    assert others["left_out"] == 30 - n_genes


def test_other_genes_are_z_scores(fit, genes, data):
    others = page_data(fit, data=data)["genes"]
    expected = scipy.stats.zscore(genes[others["names"]])
    assert_allclose(unpack(others["values"]), expected, atol=1e-5)


def test_a_page_of_5000_cells_is_small():
    names = [f"o{i}" for i in range(16)]
    fit = fit_record(n=5000, features=names, n_genes=25)
    page = explore(fit, cross_validation_record(fit))
    assert 1e6 < len(page.html) < 6e6


def test_a_notebook_shows_the_whole_page(fit):
    page = explore(fit)
    shown = re.fullmatch(r'<iframe [^>]*srcdoc="([^"]*)"[^>]*></iframe>', page._repr_html_())
    assert html.unescape(shown[1]) == page.html


def test_names_of_cells_end_no_script(fit):
    fit.values["cell_names"] = np.repeat("</script><script>alert(1)</script>", 90)
    page = explore(fit).html
    assert page.count("</script>") == len(re.findall(r"<script[ >]", page)) == 4
    assert "alert(1)" in page


def test_names_are_text_in_the_title(fit):
    fit.dataset = "<img src=x>"
    assert "<h1>&lt;img src=x&gt;</h1>" in explore(fit).html


def test_a_page_has_the_name_of_the_data_or_its_title(fit):
    fit.dataset = "scala"
    assert "<title>M1</title>" in explore(fit).html
    assert "<title>a: b.csv</title>" in explore(fit, title="a: b.csv").html
