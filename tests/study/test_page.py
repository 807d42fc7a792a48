"""On the page of a data set, each claim has a number with a baseline, a picture and a table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sbnn import cli
from sbnn.results import Record
from sbnn.study import page, report

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def records():
    return report.read(ROOT / "saved_models" / "scala")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "scala.html"
    folders = ["--saved-models", str(ROOT / "saved_models"), "--figures", str(ROOT / "figures")]
    assert cli.main(["report", "scala", "--html", str(path), *folders]) == 0
    return path.read_text()


def test_every_claim_has_a_picture_and_its_baseline(records, written):
    assert written.count("<section>") == written.count("<img") == 6
    ridge = records["cv_ridge"].test_r2.mean()
    assert f"25 genes, {ridge:.3f} for ridge with 1000 genes, and 0 for the mean" in written
    assert "a gene chosen at random would be kept in 2.5% of them" in written
    assert report.SELECTION_NOTE in written
    assert "R2" not in written.split("base64,")[0]
    assert "<td>−0.738</td>" in written, "minus signs as in the pictures"
    assert "<td>−0.000</td>" not in written


def test_a_page_is_written_if_chance_and_ridge_are_unknown(records, tmp_path):
    default, ridge = records["cv_default"], records["cv_ridge"]
    values = {name: of for name, of in default.values.items() if name != "test_predictions"}
    unknown = {
        "cv_default": replace(default, values=values),
        "cv_ridge": replace(ridge, folds=ridge.folds[::-1]),
    }
    page.write_page(records | unknown, ROOT / "figures" / "scala", tmp_path / "few.html")
    text = (tmp_path / "few.html").read_text()
    assert page.UNTESTED in text
    assert "for ridge" not in text


def test_outputs_stand_beside_ridge_and_genes_beside_their_effects(records):
    outputs = page._outputs(records)
    assert outputs["test R2"].is_monotonic_decreasing
    names = pd.Index(records["cv_ridge"].feature_names)
    ridge = records["cv_ridge"].test_feature_r2[:, 0, names.get_indexer(outputs.index)]
    np.testing.assert_allclose(outputs["ridge"], ridge.mean(axis=0))
    assert set(outputs["better than chance"]) == {"yes"}
    effects = records["interpretation"].table
    genes = page._genes(records["halves_default"], records["fit_default_2d"], effects)
    assert genes["share of halves"].is_monotonic_decreasing
    assert genes.loc["Vip", "effect (SD)"] == effects.loc["Vip", "effect"]
    missing = genes.index.difference(effects.index)
    assert len(missing)
    assert genes.loc[missing, "effect (SD)"].isna().all()


def test_the_largest_effect_may_be_negative():
    effects = pd.DataFrame({"effect": [0.1, -0.2], "output": ["x", "y"]}, ["a", "b"])
    assert page._largest_effect(effects).startswith("b has the largest effect: -0.20 SD of y")


def test_families_of_neighbours_are_compared_with_the_largest_family():
    places = np.repeat([[0.0, 0.0], [9.0, 9.0]], 20, axis=0)
    labels = pd.DataFrame({"family": ["a"] * 20 + ["b"] * 19 + ["unknown"], "type": "t"})
    fit = Record("fit", "mine", "s", [{}], values={"latent": places, "labels": labels})
    expected = "give the family of 100% of the fitted cells; guessing a is right for 51%."
    assert page._families(fit).endswith(expected)
    fit.values["labels"] = labels.assign(family="unknown")
    assert page._families(fit) == "The map of the cells."


def test_what_has_no_page_is_named(records, tmp_path, capsys):
    given = {name: records[name] for name in page.NEEDED if name != "map_trust"}
    with pytest.raises(FileNotFoundError, match=r"missing: map_trust$"):
        page.write_page(given, tmp_path, tmp_path / "page.html")
    saved = ["--saved-models", str(ROOT / "saved_models")]
    assert cli.main(["report", "lee_human", "--html", str(tmp_path / "x.html"), *saved]) == 1
    assert "--html: 'lee_human' has tables only" in capsys.readouterr().err
