"""The explorer's page holds the numbers of the records, stays small, and names wrong input."""

import base64
import html
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from explorable import fit_to_explore, folds_to_explore, with_all_genes
from sklearn.preprocessing import StandardScaler

from sbnn import SparseReducedRankRegression, cli, cross_validate, explore, fit_full, results
from sbnn.explorer import columns
from sbnn.explorer.columns import page_data


def test_predictions_of_held_out_cells_are_in_the_units_of_the_fit(data):
    model = SparseReducedRankRegression(rank=2, alpha=0.1)
    fit, folds = fit_full(model, data), cross_validate(model, data, 7)
    page = page_data(fit, folds)
    predictions = unpacked(page["values"]["held_out"], data.n_cells)
    overall = StandardScaler().fit(data.Y)
    for (train, test), predicted in zip(folds.folds, folds.test_predictions[0], strict=True):
        natural = StandardScaler().fit(data.Y[train]).inverse_transform(predicted)
        np.testing.assert_allclose(predictions[test], overall.transform(natural), atol=1e-5)
    held_out = np.concatenate([test for _, test in folds.folds])
    never = np.setdiff1d(np.arange(data.n_cells), held_out)
    assert len(never) == 120 % 7
    assert np.isnan(predictions[never]).all()
    expected = folds.test_feature_r2[:, 0].mean(0)
    shown = [output["test_r2"] for output in page["features"][: len(expected)]]
    np.testing.assert_allclose(shown, expected)


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
    outputs = page["features"][:3]
    assert [output["name"] for output in outputs] == ["output 0", "output 1", "output 2"]
    assert [output["r2"] for output in outputs] == [0.2, None, 0.8], "JSON has no NaN"
    expected = folds.test_feature_r2[:, 1].mean(0)
    assert [output["test_r2"] for output in outputs] == [*expected[:2], None]
    assert page["features"][3] == {"name": "Gene0", "group": "gene"}
    assert page["model"] == "sBNN, d = 2, 4 genes"
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
    ("width", "axes", "equal"),
    [
        (1, ["latent 1", "output 0 (measured, z-score)"], False),
        (2, ["latent 1", "latent 2"], True),
        (3, ["t-SNE 1", "t-SNE 2"], True),
    ],
)
def test_the_map_of_the_model_has_named_axes(width, axes, equal):
    fit = fit_to_explore(width=width)
    [of_model] = page_data(fit)["maps"]
    assert of_model["axes"] == axes
    assert of_model["equal"] == equal
    np.testing.assert_array_equal(unpacked(of_model["x"], 90)[:, 0], fit.embedding[:, 0])
    second = fit.outputs[:, 0] if width == 1 else fit.embedding[:, 1]
    np.testing.assert_array_equal(unpacked(of_model["y"], 90)[:, 0], second)


def test_held_out_cells_need_a_cross_validation_of_the_same_model_and_data():
    fit = fit_to_explore()
    folds = folds_to_explore(fit)
    wrong = {
        "it has no model": replace(fit, params=[{"n_components": 3}]),
        "no predictions": replace(fit, params=[{"n_components": 1}]),
        "same data": replace(fit, sha256="other"),
    }
    for message, other in wrong.items():
        with pytest.raises(ValueError, match=f"cv_record: .*{message}"):
            page_data(other, folds)
    unscaled = replace(folds, settings=folds.settings | {"scaling": "none"})
    with pytest.raises(ValueError, match="no predictions of scaled outputs"):
        page_data(fit, unscaled)
    folds.test_predictions[1][2] = None
    with pytest.raises(ValueError, match="no predictions of scaled outputs"):
        page_data(fit, folds)
    for wrong in (folds, "saved_models/scala"):
        with pytest.raises(ValueError, match="fit_record: expected a record"):
            explore(wrong)


def test_other_genes_are_there_in_8_bits():
    fit = fit_to_explore()
    data, more = with_all_genes(fit)
    page = page_data(fit, None, data, **more)
    genes = page["genes"]
    packed = zlib.decompress(base64.b64decode(genes["codes"]))
    codes = np.frombuffer(packed, np.uint8).reshape(-1, data.n_cells).T
    at = [list(data.gene_names).index(name) for name in genes["names"]]
    assert sorted(at) == list(range(4, 34))
    assert (np.diff(data.X[:, at].var(0)) <= 0).all(), "the most variable first"
    assert genes["left_out"] == 0
    values = StandardScaler().fit_transform(data.X[:, at])
    width = np.array(genes["width"])
    np.testing.assert_allclose(width, np.ptp(values, axis=0), atol=1e-4)
    decoded = genes["low"] + codes / 255 * width
    assert (np.abs(decoded - values) <= width / 510 + 1e-3).all()
    assert [gene["trust"] for gene in page["features"][3:]] == ["trusted", *["unstable"] * 3]
    fit.sha256 = "other"
    with pytest.raises(ValueError, match="fit_record: expected a record of the same data"):
        page_data(fit, data=data)


def test_t_snes_are_further_maps():
    fit = fit_to_explore()
    _, more = with_all_genes(fit)
    maps = page_data(fit, tsne=more["tsne"])["maps"]
    titles = ["map of the model", "t-SNE of all genes", "t-SNE of the outputs"]
    assert [place["title"] for place in maps] == titles
    for place, name in zip(maps[1:], ("transcriptome", "outputs"), strict=True):
        xy = np.hstack([unpacked(place[axis], 90) for axis in "xy"])
        np.testing.assert_array_equal(xy, more["tsne"].values[name])


@pytest.mark.parametrize(("room", "n_genes"), [(361, 2), (359, 1), (181, 1), (100, 0), (-9, 0)])
def test_genes_without_room_are_left_out(room, n_genes):
    fit = fit_to_explore()
    data, _ = with_all_genes(fit)
    genes = columns._other_genes(data, fit, room)  # 180 bytes for each gene of 90 cells
    assert len(genes["names"]) == n_genes
    assert genes["left_out"] == 30 - n_genes
    every = columns._other_genes(data, fit, 1e6)["names"]
    assert genes["names"] == every[:n_genes]


def test_all_other_parts_of_the_page_take_their_room(monkeypatch):
    fit = fit_to_explore()
    data, _ = with_all_genes(fit)
    rest = len(json.dumps(page_data(fit)))
    monkeypatch.setattr(columns, "MOST_BYTES", rest + 361)
    assert len(page_data(fit, data=data)["genes"]["names"]) == 2


def test_a_page_of_5000_cells_is_small_and_a_notebook_shows_all_of_it():
    fit = fit_to_explore(n=5000, n_outputs=16, n_genes=25, n_types=100)
    page = explore(fit, folds_to_explore(fit))
    assert 1e6 < len(page.html.encode()) < 5e6, "what draws it is in the page"
    n_bytes = len(json.dumps(page_data(fit, folds_to_explore(fit))))
    assert len(page.html.encode()) - n_bytes < 6e6 - columns.MOST_BYTES
    shown = re.fullmatch(r'<iframe [^>]*srcdoc="([^"]*)"[^>]*></iframe>', page._repr_html_())
    assert html.unescape(shown[1]) == page.html
    assert repr(page) == "Explorer()"


def test_names_end_no_script_and_are_text_in_the_title():
    fit = fit_to_explore(names=[f"</script><script>alert({i})</script>" for i in range(90)])
    fit.dataset = "<img src=x>"
    page = explore(fit).html
    assert page.count("</script>") == len(re.findall(r"<script[ >]", page)) == 4
    assert "<img src=x>" not in page and "alert(1)" in page


def test_the_command_finds_the_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data, more = with_all_genes(fit := fit_to_explore())
    given = {"chosen": data, "made up": (data.X[1:], data.Y[1:])}
    monkeypatch.setattr("sbnn.explorer.explore.load_dataset", lambda name, **_: given[name])
    folder = tmp_path / "saved_models" / "mine"
    assert cli.main(["explore", "mine"]) == 1
    assert "no fit at mine" in capsys.readouterr().err
    results.save(fit, folder / "fit_default_64d.pickle")
    results.save(replace(fit, dataset="chosen"), folder / "fit_default_2d.pickle")
    results.save(more["halves"], folder / "halves_default.pickle")
    results.save(replace(more["tsne"], sha256="other"), folder / "tsne.pickle")
    assert cli.main(["explore", "mine"]) == 0
    page = data_of(tmp_path / "chosen_explorer.html")
    assert "held_out" not in page["values"] and len(page["genes"]["names"]) == 30
    assert "trust" in page["features"][-1] and len(page["maps"]) == 1, "the t-SNE is of other data"
    results.save(folds_to_explore(fit), folder / "cv_default.pickle")
    for asked in (folder, folder / "fit_default_64d.pickle"):
        assert cli.main(["explore", str(asked), "--out", "map.html"]) == 0
        assert "held_out" in (page := data_of(tmp_path / "map.html"))["values"]
        assert ("genes" in page) == (asked == folder), "those of the same data"
    assert cli.main(["explore", str(folder / "cv_default.pickle"), "--out", "map.html"]) == 1
    assert "fit_record: expected a record" in capsys.readouterr().err
    results.save(replace(folds_to_explore(fit), sha256="other"), folder / "cv_default.pickle")
    assert cli.main(["explore", str(folder)]) == 0
    assert "no predictions of held-out cells" in capsys.readouterr().out
    assert cli.main(["explore", str(folder), "--cv", str(folder / "cv_default.pickle")]) == 1, (
        "asked for by name"
    )
    assert "cv_record: expected a record of the same data" in capsys.readouterr().err


def unpacked(text, n_cells):
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, n_cells).T


def data_of(path):
    pattern = r'<script type="application/json" id="data">(.*?)</script>'
    return json.loads(re.search(pattern, path.read_text())[1])
