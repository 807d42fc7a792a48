"""Every figure of a data set is drawn, or says why not and leaves the others alone; small data take the same way."""

import numpy as np
import pandas as pd
import pytest
from made_up import fit_record, linear_record, network_record, ridge_record, selection_record

from sbnn import cli, paper_folds, plotting, results, simulate_patchseq
from sbnn.data.paired import as_paired, paired
from sbnn.plotting import reading
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


# -- small data, from the measurements to the figures ------------------------------------------------------------------


def cells_of_a_few_kinds():
    """80 cells whose outputs form one large, one small and one tiny cluster.

    The small one has eleven cells, two of which the first fold tests: it has too few left to pretrain on.
    """
    data = as_paired(simulate_patchseq(80, 14, 4, n_true_genes=5, n_families=3, n_types=6, random_state=0))
    (_, first), (_, second) = paper_folds(80)[:2]
    others = np.setdiff1d(np.arange(80), np.concatenate([first, second]))
    Y = np.random.default_rng(0).normal(size=(80, 4))
    Y[[*first[:2], *others[:9]]] += [100, 0, 0, 0]
    Y[others[9:14]] += [0, 1000, 0, 0]
    names = data.gene_names, data.feature_names, data.cell_names
    return as_paired(
        paired(data.X, Y, *names, labels=data.labels, colors=data.colors, counts=data.counts, name="small")
    )


def twelve_cells():
    """Each of their families is one type."""
    return as_paired(simulate_patchseq(12, 20, 3, n_true_genes=4, n_families=2, n_types=2, random_state=0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [cells_of_a_few_kinds, twelve_cells])
def test_small_data_to_the_last_figure(make, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "WIDTHS", (2,))
    monkeypatch.setattr(experiments, "FAST", experiments.FAST | {"hidden_layers": (8, 4)})
    data = make()
    records = STUDY.run(data, tmp_path, "cv", fast=True)
    if make is cells_of_a_few_kinds:
        network = records["cv_network"]
        assert reading.pretrained_folds(network, network.find(n_components=2, group_lasso=0.1, pretraining=True)) == 1
    STUDY.run(data, tmp_path, "fit", fast=True)
    records = STUDY.load(tmp_path)
    names = STUDY.figure_names(records)
    assert ("figure4_family_zoom" in names) == (make is cells_of_a_few_kinds), (
        "shown from near where there are families"
    )
    assert len(names) >= 12
    assert [path.stem for path in STUDY.save_figures(records, tmp_path / "figures")] == names
