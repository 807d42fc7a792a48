"""The explorer's page holds the numbers of the records, stays small, and says what is wrong with its input."""

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
    never = np.setdiff1d(np.arange(data.n_cells), np.concatenate([test for _, test in folds.folds]))
    assert len(never) == 120 % 7 and np.isnan(predictions[never]).all()
    expected = folds.test_feature_r2[:, 0].mean(0)
    assert np.allclose(
        [output["test_r2"] for output in page["features"][: len(expected)]], expected
    )


def test_the_page_has_the_places_and_values_of_the_fit_and_the_scores_of_its_model():
    fit = fit_to_explore()
    folds = folds_to_explore(fit)
    page = page_data(fit, folds)
    for name, parts in (
        ("measured", "outputs expression"),
        ("predicted", "predictions predicted_expression"),
    ):
        expected = np.hstack([fit.values[part] for part in parts.split()])
        np.testing.assert_array_equal(unpacked(page["values"][name], 90), expected)
    assert [output["test_r2"] for output in page["features"][:3]] == folds.test_feature_r2[
        :, 1
    ].mean(0).tolist()
    for types, kinds in ((["even", "odd"], ["type"]), (["even", "other"], ["type", "family"])):
        assert list(page_data(fit_to_explore(types=types))["groups"]) == kinds, (
            "families that are no types"
        )
    [of_one] = page_data(fit_to_explore(width=1))["maps"]  # against the first output
    np.testing.assert_array_equal(unpacked(of_one["y"], 90)[:, 0], fit.outputs[:, 0])


def test_held_out_cells_need_a_cross_validation_of_the_same_model_and_data():
    fit = fit_to_explore()
    folds = folds_to_explore(fit)
    other = {"it has no model": replace(fit, params=[{"n_components": 3}])}
    other |= {
        "no predictions": replace(fit, params=[{"n_components": 1}]),
        "same data": replace(fit, sha256="other"),
    }
    for message, wrong in other.items():
        with pytest.raises(ValueError, match=f"cv_record: .*{message}"):
            page_data(wrong, folds)
    with pytest.raises(ValueError, match="no predictions of scaled outputs"):
        page_data(fit, replace(folds, settings=folds.settings | {"scaling": "none"}))
    with pytest.raises(ValueError, match="fit_record: expected a record with"):
        explore(folds)
    with pytest.raises(ValueError, match="fit_record"):
        explore("saved_models/scala")


def test_other_genes_are_there_in_8_bits_as_far_as_there_is_room(monkeypatch):
    fit = fit_to_explore()
    data, more = with_all_genes(fit)
    page = page_data(fit, None, data, **more)
    genes = page["genes"]
    codes = (
        np.frombuffer(zlib.decompress(base64.b64decode(genes["codes"])), np.uint8)
        .reshape(-1, data.n_cells)
        .T
    )
    at = [list(data.gene_names).index(name) for name in genes["names"]]
    assert (
        sorted(at) == list(range(4, 34))
        and (np.diff(data.X[:, at].var(0)) <= 0).all()
        and genes["left_out"] == 0
    )
    values, width = StandardScaler().fit_transform(data.X[:, at]), np.array(genes["width"])
    assert (np.abs(genes["low"] + codes / 255 * width - values) <= width / 510 + 1e-3).all()
    assert [gene.get("trust") for gene in page["features"][3:]] == ["trusted", *["unstable"] * 3]
    titles = ["map of the model", "t-SNE of all genes", "t-SNE of the outputs"]
    assert [place["title"] for place in page["maps"]] == titles
    for place, name in zip(page["maps"][1:], ("transcriptome", "outputs"), strict=True):
        found = np.hstack([unpacked(place[axis], data.n_cells) for axis in "xy"])
        np.testing.assert_array_equal(found, np.asarray(more["tsne"].values[name], np.float32))
    for room in (2500, -9):
        monkeypatch.setattr(columns, "MOST_BYTES", len(json.dumps(page | {"genes": None})) + room)
        fewer = page_data(fit, None, data, **more)["genes"]
        n = len(fewer["names"])
        assert (
            (n > 0) == (room > 0)
            and n < 30
            and fewer["left_out"] == 30 - n
            and fewer["names"] == genes["names"][:n]
        )
    fit.sha256 = "other"
    with pytest.raises(ValueError, match="fit_record: expected a record of the same data"):
        page_data(fit, data=data)


def test_a_page_of_5000_cells_is_small_and_a_notebook_shows_all_of_it():
    fit = fit_to_explore(n=5000, n_outputs=16, n_genes=25, n_types=100)
    page = explore(fit, folds_to_explore(fit))
    assert 1e6 < len(page.html.encode()) < 5e6, "what draws it is in the page"
    assert (
        len(page.html.encode()) - len(json.dumps(page_data(fit, folds_to_explore(fit))))
        < 6e6 - columns.MOST_BYTES
    )
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
    assert "fit_record: expected a record with" in capsys.readouterr().err
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
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())[1]
    )
