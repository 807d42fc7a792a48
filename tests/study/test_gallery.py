"""Every figure of a data set is drawn, or says why not and leaves the others alone."""

import numpy as np
import pandas as pd
import pytest
from made_up import fit_record, linear_record, network_record, ridge_record, selection_record

from sbnn import cli, plotting, results
from sbnn.results import Record
from sbnn.study import experiments, gallery
from sbnn.study.study import STUDY


def test_the_command_names_the_figures_that_failed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    records = {"cv_network": network_record(), "cv_srrr": linear_record(), "cv_ridge": ridge_record()}
    records |= {"fit_network_2d": fit_record(width=2), "gene_selection": selection_record()}
    del records["cv_network"].values["gene_norms"]
    for name, record in records.items():
        record.dataset, record.sha256 = "mine", "s"
        results.save(record, tmp_path / "saved_models" / "mine" / f"{name}.pickle")
    with pytest.warns(UserWarning, match="figure1_training_curves"):
        assert cli.main(["figures", "mine"]) == 1
    printed = capsys.readouterr()
    assert "could not draw figure1_training_curves;" in printed.err
    assert "figure8_gene_selection.png" in printed.out


def test_true_genes_are_marked_where_a_list_of_them_was_a_prior():
    fits = {f"fit_network_{d}d": fit_record(width=d) for d in (2, 64)}
    for title, marked in (("true genes", True), ("true genes of another kind", False)):
        prior = Record("gene prior", "made up", "s", [{}], 0, values={"lists": {title: ["Gene3"]}})
        drawn = plotting.gallery(fits | {"gene_prior": prior})
        latent = next(figure for name, figure in drawn if name == "figure3_latent_network")
        assert ("Gene3 ✓" in [text.get_text() for text in latent.texts]) == marked


def test_scores_are_of_the_model_that_is_fitted():
    params = [{"n_components": d, **experiments.STANDARD, "rank": d} for d in (2, 64)]
    values = {"test_feature_r2": np.zeros((1, 2, 1))}
    records = {name: Record("cross-validation", "a", "s", params, values=values) for name in gallery.COMPARED}
    for given, name, wanted in (
        ({"n_components": 64, "protocol": "distilled"}, "cv_default", {"n_components": 64}),
        ({"n_components": 2}, "cv_network", {"n_components": 2, "pretraining": True, "group_lasso": 0.1}),
        ({"rank": 64}, "cv_srrr", {"rank": 64}),
    ):
        fit = Record("fit", "a", "s", [{}], settings={"estimator": {"params": given}})
        record, params = gallery._scores(records, fit)
        assert record is records[name] and params == wanted
        assert gallery._scores({}, fit) is None


@pytest.mark.parametrize(("n_families", "copied"), [(7, False), (8, True)])
def test_safe_colours_where_there_are_too_many_families_for_the_usual_ones(n_families, copied):
    records = {f"fit_default_{d}d": fit_record(width=d) for d in (2, 64)}
    for record in records.values():
        record.values["labels"] = pd.DataFrame({"family": [f"family {i % n_families}" for i in range(90)], "type": "t"})
    assert ("figure3_latent_default_colorblind" in STUDY.figure_names(records)) == copied
