"""Figures that compare models: accuracy, width of the bottleneck and stability of the genes, growing noise."""

import numpy as np
import pandas as pd
import pytest
from made_up import assert_tidy, fit_record, linear_record, network_record, ridge_record
from made_up import words as figure_words
from matplotlib.colors import to_hex

from sbnn import plotting
from sbnn.plotting import reading
from sbnn.results import Record

PAPER = {"n_components": 2, "group_lasso": 0.1, "pretraining": True}


def with_features(record, n_outputs=16, seed=0):
    """Add test R2 of every output to a made-up record."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.4, -0.4, n_outputs) + 0.02 * rng.normal(size=(*record.test_r2.shape, n_outputs))
    names = ["AP width", "Tau", *(f"output {i}" for i in range(2, n_outputs))][:n_outputs]
    record.values |= {"test_feature_r2": record.test_r2[..., np.newaxis] + spread, "feature_names": np.array(names)}
    return record


def distilled_record(widths=(1, 2, 4, 6, 8, 10, 64), n_folds=3, seed=4, level=0.4):
    rng = np.random.default_rng(seed)
    points = [{"n_components": width} for width in widths]
    r2 = level + 0.02 * np.log2(widths) + 0.01 * rng.normal(size=(n_folds, len(widths)))
    values = {"test_r2": r2, "n_selected": np.full(r2.shape, 5)}
    settings = {"estimator": {"params": {"protocol": "distilled", "group_lasso": 0.1, "pretraining": True}}}
    return Record("cross-validation", "made up", "s", points, 0, settings, [], values)


def selection_record(n_fits=10, n_genes=60, kept=5, names="Gene{}"):
    rng = np.random.default_rng(0)
    selected = np.zeros((n_fits, n_genes), bool)
    for fit in selected:
        fit[[7, 3]] = True  # in all of them
        fit[rng.choice(np.r_[10:n_genes], kept - 2, replace=False)] = True
    values = {"selected": selected, "gene_names": np.array([names.format(i) for i in range(n_genes)])}
    return Record("stability", "made up", "s", [{}], values=values)


def models(n_outputs=16):
    return {
        "sBNN distilled, d = 2": (with_features(distilled_record(), n_outputs), {"n_components": 2}),
        "sBNN paper, d = 2": (with_features(network_record(), n_outputs, 1), PAPER),
        "sRRR, rank 2": (with_features(linear_record(), n_outputs, 2), {"rank": 2}),
        "ridge": with_features(ridge_record(), n_outputs, 3),
    }


def simulations(repeats=3):
    rng = np.random.default_rng(0)
    rows = [
        {"model": name, "noise": noise, "recall": rng.uniform(), "chance": 0.1}
        for name in ("distilled", "paper")
        for noise in (0, 0.5, 1, 2)
        for _ in range(repeats)
    ]
    return pd.DataFrame(rows)


def joined(ax):
    """Lines that join points: neither caps of error bars nor published values."""
    return [line for line in ax.lines if line.get_linestyle() == "-"]


def test_accuracy_comparison_shows_folds_and_mean():
    chosen = models()
    figure = plotting.accuracy_comparison(chosen, n_genes=6)
    assert_tidy(figure)
    (ax,) = figure.axes
    network, srrr = chosen["sBNN paper, d = 2"][0], chosen["sRRR, rank 2"][0]
    points = {1: (network, network.find(**PAPER)), 2: (srrr, 4), 3: (chosen["ridge"], 0)}
    text = figure_words(figure)
    for row, (record, point) in points.items():
        folds = record.test_r2[:, point]
        dots = [line for line in ax.lines if len(line.get_xdata()) == 3 and round(line.get_ydata().mean()) == row]
        np.testing.assert_array_equal(dots[0].get_xdata(), folds)
        spread = f" ± {folds.std(ddof=1):.3f}" if np.ptp(folds) else ""
        assert f"{folds.mean():.3f}{spread}" in text
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "sBNN distilled, d = 2, 5 genes" and labels[2:] == ["sRRR, rank 2, 6 genes", "ridge, 40 genes"]
    assert "mean ± SD over 3 folds" in text and "made up" in text


def test_accuracy_comparison_names_the_scaling():
    left, right = linear_record(), ridge_record()
    left.settings = right.settings = {"scaling": "all"}
    chosen = {"sRRR": (left, {"rank": 2}), "ridge": right}
    assert "made up, scaled over all cells" in figure_words(plotting.accuracy_comparison(chosen))
    right.settings = {"scaling": "fold"}
    text = figure_words(plotting.accuracy_comparison(chosen))
    assert "ridge, 40 genes, scaled per fold" in text and "genes, scaled over all cells" in text
    assert "made up, scaled" not in text


def test_width_and_stability_shows_means_counts_and_outputs():
    paper, distilled, selection, compared = network_record(), distilled_record(), selection_record(), models()
    ridge = compared["ridge"].values  # another order of the outputs
    ridge["test_feature_r2"] = ridge["test_feature_r2"][..., ::-1]
    figure = plotting.width_and_stability({"distilled": distilled, "paper": paper}, selection, compared, n_genes=5)
    assert_tidy(figure)
    widths, genes, outputs = figure.axes
    lines = {to_hex(line.get_color()): line for line in joined(widths) if len(line.get_xdata())}
    np.testing.assert_allclose(lines["#009e73"].get_ydata(), distilled.test_r2.mean(0))
    points = [paper.find(**PAPER | {"n_components": d}) for d in (2, 64)]
    np.testing.assert_allclose(lines["#d55e00"].get_ydata(), paper.test_r2[:, points].mean(0))
    assert [tick.get_text() for tick in widths.get_xticklabels()] == ["1", "2", "4", "6", "8", "10", "64"]
    texts = [text.get_text() for text in widths.texts]
    assert f"{distilled.test_r2.mean(0)[3]:.3f}" in texts

    counts = selection.selected.sum(0)
    assert [bar.get_height() for bar in genes.patches] == sorted(counts[counts > 0], reverse=True)[:36]
    names = [label.get_text() for label in genes.get_xticklabels()]
    assert names[:2] == ["Gene3", "Gene7"] and set(names) <= set(selection.gene_names[counts > 0])
    assert f"2 genes in all 10 fits, {(counts > 0).sum()} in any" in genes.get_title("left")

    record, point = compared["sBNN paper, d = 2"][0], compared["sBNN paper, d = 2"][0].find(**PAPER)
    order = np.argsort(-compared["sBNN distilled, d = 2"][0].test_feature_r2[:, 1].mean(0), kind="stable")
    (drawn,) = [line for line in outputs.lines if line.get_label() == "sBNN paper, d = 2"]
    np.testing.assert_allclose(drawn.get_xdata(), record.test_feature_r2[:, point].mean(0)[order])
    assert [label.get_text() for label in outputs.get_yticklabels()][0] == "AP width"
    bold = [text.get_text() for text in figure.texts if text.get_fontweight() == "bold"]
    assert bold == ["a", "c", "b"]  # the stability is below the widths, the outputs beside both


def test_the_noise_figure_shows_the_genes_found_and_the_true_map():
    table, rng = simulations(), np.random.default_rng(0)
    true = rng.normal(size=(50, 2))
    values = {"latent": true + 0.1, "true_latent": true, "truth_agreement": 0.87}
    trust = Record("map trust", "simulated", "s", [{}], 0, values=values)
    noise = Record("noise", "simulated", "s", [{}], values={"table": table})
    figure = plotting.noise_degradation(noise, trust)
    assert_tidy(figure)
    found, places = figure.axes
    levels = table[table.model == "paper"].groupby("noise").recall
    line = next(line for line in found.lines if to_hex(line.get_color()) == "#d55e00")
    np.testing.assert_allclose(line.get_ydata(), levels.mean())
    low, high = (levels.mean() + sign * levels.std() for sign in (-1, 1))
    band = found.collections[1].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(low.min()) and band.max() == pytest.approx(high.max())
    assert found.get_ylim()[0] <= band.min()
    assert len([line for line in found.lines if np.allclose(line.get_ydata(), 0.1)]) == 1
    text = figure_words(figure)
    for part in ("distilled", "paper", "genes at random", "mean ± SD over 3 simulations", "R² 0.87"):
        assert part in text
    drawn = np.stack([dots.get_offsets() for dots in places.collections])
    np.testing.assert_allclose(drawn, np.stack([true.T, true.T + 0.1], 2))
    del values["true_latent"]
    with pytest.raises(ValueError, match="trust: expected .* true_latent"):
        plotting.noise_degradation(noise, trust)


def test_the_overview_marks_trusted_genes_and_shows_the_test_r2_of_the_width_that_is_fitted():
    fit = fit_record(n_genes=12)
    names = [*(f"other{i}" for i in range(4)), *fit.kept_genes]
    selected = np.zeros((10, 1, 16), bool)
    selected[:, 0, [5, 9]] = True  # Gene1 and Gene5 in every half
    folds = [(np.arange(i % 2, 20, 2), np.arange(1 - i % 2, 20, 2)) for i in range(10)]
    values = {"selected": selected, "gene_names": np.array(names), "n_selected": selected.sum(2)}
    halves = Record("cross-validation", "made up", "s", [{}], 0, {}, folds, values)
    r2 = np.zeros((10, 2, 4))
    r2[:, 1] = [0.2, 0.9, 0.5, 0.4]  # the first grid point is another width
    scores = {"test_feature_r2": r2, "feature_names": fit.feature_names}
    crossed = Record(
        "cross-validation", "made up", "s", [{"n_components": 64}, {"n_components": 2}], 0, {}, folds, scores
    )
    figure = plotting.overview(fit, halves, crossed)
    texts = figure.axes[0].texts
    bold = {t.get_text() for t in texts if t.get_fontweight() == "bold" and t.get_text() in names}
    assert bold == {"Gene1", "Gene5"}
    assert [t.get_text() for t in texts if t.get_text() in fit.feature_names] == ["Tau", "x", "y", "AP width"]
    assert [t.get_text() for t in texts if t.get_text()[0] == "0"] == ["0.90", "0.50", "0.40", "0.20"]
    assert [t.get_text() for t in texts if t.get_text() in fit.kept_genes] == fit.kept_genes[::-1].tolist(), "by norm"
    assert {"bold: trusted", "mean 0.50", "90 cells"} <= {t.get_text() for t in texts}
    true = ["Gene5", "Gene7", "another"]
    for figure in (plotting.overview(fit, halves, true_genes=true), plotting.latent_panels(fit, true_genes=true)):
        texts = [*figure.axes[0].texts, *figure.texts]
        shown = {t.get_text(): t.get_fontweight() for t in texts if t.get_fontstyle() == "italic"}
        assert {name for name in shown if "✓" in name} == {"Gene5 ✓", "Gene7 ✓"}
        assert "✓ true" in " ".join(t.get_text() for t in texts)
    halves.sha256 = "another"
    with pytest.raises(ValueError, match="halves: expected a record of the same data"):
        plotting.overview(fit, halves)


def test_models_of_as_many_genes_are_not_chosen_between():
    record = network_record(widths=(2, 64), lassos=(0.1,), variants=(True,))
    with pytest.raises(ValueError, match=r"models\['m'\]: .* leave 2 of"):
        reading.choose_models({"m": record}, 5)


def test_models_are_named_by_protocol_and_width():
    record = fit_record(width=8)
    record.settings["estimator"]["params"] = {"protocol": "paper"}
    assert reading.model_title(record) == "sBNN, paper protocol, d = 8 + t-SNE, 12 genes"
    del record.values["latent"], record.values["kept_genes"]
    record.settings["estimator"]["params"] = {"protocol": "distilled", "n_components": 2, "n_genes": 25}
    assert reading.model_title(record) == "sBNN, distilled, d = 2, 25 genes"
    record.settings["estimator"] = {"class": "sbnn.SparseReducedRankRegression", "params": {"rank": 5}}
    assert reading.model_title(record) == "sRRR, rank 5"
