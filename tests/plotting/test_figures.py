"""What figures draw is what the records hold, and no label hides another."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from explorable import fit_to_explore
from made_up import (
    assert_tidy,
    fit_record,
    history,
    linear_record,
    network_record,
    ridge_record,
    selection_record,
    words,
)
from sklearn.linear_model import LinearRegression

from sbnn import plotting
from sbnn.plotting import correlations as drawn_lines
from sbnn.plotting import curves, latent, summary
from sbnn.plotting.interpretation import similar_order
from sbnn.plotting.labels import signed
from sbnn.plotting.maps import panel_coordinates


def test_networks_of_as_many_genes_are_drawn_side_by_side():
    for widths, places in {(2, 64): [-1, 1], (2, 4, 6): [-4, 0, 4]}.items():
        network = network_record(widths=widths, n_folds=1)
        figure = plotting.bottleneck_comparison(network, linear_record(), ridge_record())
        assert_tidy(figure)
        lines = figure.axes[0].lines
        dots = [line.get_xdata()[0] for line in lines if line.get_marker() in ("o", "s", "^")]
        assert dots == pytest.approx([5 * 1.045**place for place in places])


def test_published_values_stand_next_to_their_models():
    published = [{"rank": 2, "n_genes": n, "test_r2": n / 10} for n in (1, 4, 30)]
    published.append({"n_components": 2, "group_lasso": 0.1, "n_genes": 9, "test_r2": 0.15})
    records = network_record(), linear_record(), ridge_record()
    figure = plotting.bottleneck_comparison(*records, published)
    text = words(figure)
    assert "(published 0.400)" in text, "the published number of genes nearest to the model's"
    assert "(published 0.150)" in text
    lines = figure.axes[0].lines
    hollow = [line for line in lines if line.get_markerfacecolor() == "white"]
    drawn = sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in hollow)
    np.testing.assert_allclose(drawn, [(1, 0.1), (4, 0.4), (9 / 1.045**3, 0.15), (30, 3)])


def test_linear_models_of_two_ranks_and_networks_of_known_widths_are_drawn():
    network = network_record()
    srrr = linear_record(ranks=(2, 8, 16))
    levels = curves.srrr_levels(srrr, network)  # with at most as many genes as the networks
    expected = [(rank, srrr.test_r2[:, point].mean(), 3) for rank, point in ((2, 5), (16, 19))]
    np.testing.assert_allclose(levels, expected)
    assert curves.points_by_width(network, (64, 3), pretraining=True) == {64: [8, 10, 12, 14]}
    every = {2: [4, 5], 64: [12, 13]}
    assert curves.points_by_width(network, None, group_lasso=0.1) == every


def test_curves_have_bands_of_one_sample_sd_and_norms_are_averaged_on_the_log_scale():
    network = network_record(widths=(2,), lassos=(0.1,), variants=(True,))
    panel, right = plotting.training_curves(network, linear_record()).axes
    r2 = np.array([table.eval_r2.to_numpy()[5:] for table in network.history[0]])
    mean, spread = r2.mean(0), r2.std(0, ddof=1)
    np.testing.assert_allclose(panel.lines[0].get_ydata(), mean)
    band = pd.DataFrame(panel.collections[0].get_paths()[0].vertices).groupby(0)[1]
    np.testing.assert_allclose(band.min(), mean - spread)
    np.testing.assert_allclose(band.max(), mean + spread)
    low, high = panel.get_ylim()
    assert low < mean.min()
    assert high > (mean + spread).max()
    norms = np.sort(network.gene_norms[:, 0].astype(float))[:, ::-1]
    np.testing.assert_allclose(right.lines[0].get_ydata(), norms.prod(0) ** (1 / 3))
    np.testing.assert_array_equal(right.lines[0].get_xdata(), range(1, 41))


@pytest.mark.parametrize("straight", [(0,), (0, 1, 2)])
def test_figures_of_folds_without_pretraining(straight):
    network = network_record()
    for params, tables in zip(network.params, network.history, strict=True):
        for fold in straight if params["pretraining"] else ():
            tables[fold] = history(np.random.default_rng(1), (5,) * 4, False, 0.3)
    srrr = linear_record()
    assert_tidy(plotting.training_curves(network, srrr, (2, 64)))
    figure = plotting.bottleneck_comparison(network, srrr, ridge_record())
    assert_tidy(figure)
    for text in ("cross-entropy", "no pretraining"):
        assert (text in words(figure)) == (len(straight) < 3)


def test_accuracy_comparison_draws_folds_and_names_genes_and_scaling():
    srrr, ridge = linear_record(), ridge_record()
    srrr.settings = ridge.settings = {"scaling": "all"}
    models = {"sRRR": (srrr, {"rank": 2}), "ridge": ridge}
    figure = plotting.accuracy_comparison(models)
    assert figure.get_suptitle().endswith("; ridge, 40 genes: 0.450")
    assert "made up, scaled over all cells" in words(figure)
    assert "ridge, 40 genes" in words(figure)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), srrr.test_r2[:, 1])
    ridge.settings = {"scaling": "fold"}
    ridge.values["preselected"] = np.arange(40) < [[9], [12], [12]]
    ridge.values["test_r2"] = np.array([[-1.5], [-7.5], [0.5]])
    figure = plotting.accuracy_comparison(models)
    assert_tidy(figure)
    notes = ["ridge, 11 genes, scaled per fold", "sRRR, 25 genes, scaled over all cells"]
    for note in [*notes, "2 R² below −1 (to −7.5)"]:
        assert note in words(figure)
    assert "made up, scaled" not in words(figure)
    low, high = figure.axes[0].get_xlim()
    assert -1.3 < low < -1
    assert high < 1.2
    drawn = [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert [-1, -1, 0.5] in drawn
    assert [-1] in drawn


def test_accuracy_is_compared_fold_by_fold_only_on_the_same_folds():
    parts = np.split(np.arange(9), 3)
    srrr = replace(linear_record(), folds=[(np.setdiff1d(range(9), test), test) for test in parts])
    other = replace(srrr, folds=srrr.folds[::-1])
    for beside, is_paired in ((srrr, True), (other, False)):
        models = {"rank 2": (srrr, {"rank": 2}), "beside": (beside, {"rank": 2})}
        title = plotting.accuracy_comparison(models).get_suptitle()
        assert ("difference" in title) == is_paired


def test_maps_of_trust_show_their_own_values_the_largest_on_top():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(50, 2))
    spread, errors = rng.uniform(size=(2, 50))
    errors[7] = np.nan
    values = {"latent": latent, "spread": spread, "errors": errors}
    values |= {"agreement": np.array([0.8, 0.9])}
    record = replace(ridge_record(), values=values)
    left, right = plotting.map_trust(record).axes[:2]
    assert left.get_title() == f"held-out cells: mean error {np.nanmean(errors):.2f}"
    assert right.get_title() == "maps of 2 other seeds: R² 0.80 to 0.90"
    xy, _ = panel_coordinates(latent, proportional=False)
    for ax, shown in ((left, errors), (right, spread)):
        order = [i for i in np.argsort(shown) if i != 7 or ax is right]
        [dots] = ax.collections
        np.testing.assert_array_equal(dots.get_array(), shown[order])
        np.testing.assert_allclose(dots.get_offsets(), xy[order].clip(0.01, 0.99))
        assert dots.get_clim() == pytest.approx((0, np.nanquantile(shown, 0.95)))


def test_a_curve_of_genes_has_a_thin_line_for_each_fold():
    values = {
        "test_r2": np.array([[0.1, 0.3, 0.5], [0.2, 0.3, 0.6]]),
        "n_selected": np.array([[5, 10, 25]] * 2),
    }
    params = [{"n_genes": n} for n in (5, 10, 25)]
    folds = [(np.arange(6), np.arange(2))] * 2
    record = replace(ridge_record(), params=params, folds=folds, values=values)
    figure = plotting.genes_curve(record)
    r2 = record.test_r2
    for line, own in zip(figure.axes[0].lines, [*r2, r2.mean(0)], strict=False):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([(5, 10, 25), own]))
    left, right = figure.axes[0].get_xlim()
    assert left < 5 and right > 25
    assert "25 or more genes needed" in words(figure)


def test_the_selection_curve_is_drawn_and_a_few_genes_far_away_do_not_take_half_of_the_panel():
    record = selection_record(n=4000)
    record.mean_log2[2] = np.nan
    figure = plotting.gene_selection_curve(record)
    assert "beyond" not in words(figure)
    assert "Vip" not in words(figure), "it has no place"
    left_out, selected, curve = figure.axes[0].lines[:3]
    drawn = np.isfinite(record.mean_log2)
    assert len(selected.get_xdata()) == (record.selected & drawn).sum()
    assert len(left_out.get_xdata()) == (~record.selected & drawn).sum()
    x, y = curve.get_data()
    np.testing.assert_allclose(np.log(y - 0.02), -1.5 * (x - 2.5), atol=1e-9)
    record.mean_log2[:2] = 40
    record.selected[np.flatnonzero(record.selected)[9]] = False
    figure = plotting.gene_selection_curve(record)
    assert_tidy(figure)
    assert figure.axes[0].get_xlim()[1] < 14
    assert "2 genes beyond 12.0 drawn at the edge" in words(figure)
    assert "Gad1" in words(figure)


def test_similar_rows_stand_side_by_side():
    order = similar_order(np.array([[0.0], [5], [1], [6], [2]])).tolist()
    assert order in ([3, 1, 4, 2, 0], [0, 2, 4, 1, 3])


def test_genes_are_ranked_by_norm_or_else_by_how_well_they_are_predicted():
    assert latent.rank_genes(fit_record(n_genes=4)).tolist() == [3, 2, 1, 0]
    record = fit_record(n_genes=4, norms=False)
    record.values["expression"] += 1
    assert latent.rank_genes(record).tolist() == [1, 2, 0, 3]


def test_features_of_the_published_figure_come_first_and_then_the_best():
    assert latent.shown_features(fit_record(features=("p", "Tau", "AI", "q"))) == [2, 1, 3, 0]


def test_gene_and_outputs_of_an_enlarged_family():
    fit = fit_record(features=("Rebound", "a", "b", "Tau"))
    own = (fit.labels["family"] == "B").to_numpy()
    fit.predicted_expression[own, 2] += 3
    assert latent.marker_gene(fit, "Gene3", own) == 3
    assert latent.marker_gene(fit, "B", own) == 2
    assert latent.zoomed_outputs(fit, own) == [3, 0]
    fit.feature_names[0] = "c"
    fit.predictions[:] = np.outer(np.arange(90), [1, 0.1, 5, 2])
    assert latent.zoomed_outputs(fit, own) == [2, 3]
    figure = plotting.family_zoom(fit, family="B")
    r = np.corrcoef(fit.predictions[own, 2], fit.outputs[own, 2])[0, 1]
    assert f"b, r = {signed(r)}" in words(figure)


def test_a_family_of_one_type_is_not_shown_from_near():
    record = fit_record()
    record.labels.loc[record.labels["family"] == "A", "type"] = "A1"
    assert "B, 30 of 30 cells" in words(plotting.family_zoom(record)), "the first of several types"
    with pytest.raises(ValueError, match=r"family: .* one of \['B', 'C'\], got 'A'"):
        plotting.family_zoom(record, family="A")
    record.labels["type"] = "unknown"
    with pytest.raises(ValueError, match=r"family: .* one of \[\], got None"):
        plotting.family_zoom(record)


def test_an_overview_lists_genes_by_norm_and_outputs_by_their_r2_with_bars():
    fit = fit_record(n_genes=30, features=("a", "b", "c"))
    r2 = np.array([[[0.9] * 3, [0.1, -0.25, 1.5]], [[0.9] * 3, [0.3, -0.25, 1.3]]])
    values = {"test_r2": r2.mean(2), "test_feature_r2": r2}  # (n_folds, n_points, n_outputs)
    params = [{"n_components": 64}, {"n_components": 2}]
    folds = replace(ridge_record(), params=params, values=values)
    ax = plotting.overview(fit, folds=folds, true_genes=["Gene1", "Gene29", "none"]).axes[0]
    texts = [text.get_text() for text in ax.texts]
    expected = ["✓ true: 2 of 3", "and 6 more"]
    assert set(texts) >= {*expected, "a", "b", "c", "1.40", "0.20", "−0.25"}
    genes = [text for text in texts if text.startswith("Gene")]
    assert genes == ["Gene29 ✓", *(f"Gene{i}" for i in range(28, 5, -1))]
    assert texts.index("c") < texts.index("a") < texts.index("b")
    lengths = [bar.get_width() / summary.BAR for bar in ax.patches[:3]]
    assert lengths == pytest.approx([1, 0.2, 0])
    alone = [text.get_text() for text in plotting.overview(fit).axes[0].texts]
    assert alone.index("c") < alone.index("b") < alone.index("a")


def test_a_bibiplot_draws_correlations_with_the_latents_of_genes_and_with_those_of_outputs():
    fit = fit_to_explore(n_outputs=3, n_genes=4)
    fit.latent = fit.embedding
    figure = plotting.bibiplot(fit)
    assert_tidy(figure)
    genes, outputs = figure.axes
    regressed = LinearRegression().fit(fit.outputs, fit.latent).predict(fit.outputs)
    sides = [(genes, fit.expression, fit.latent), (outputs, fit.outputs, regressed)]
    for ax, values, latents in sides:
        dots = ax.collections[0].get_offsets()
        drawn = scipy.stats.zscore(latents)
        limit = ax.get_xlim()[1]
        expected = np.sort(drawn[:, 0].clip(-limit, limit))
        np.testing.assert_allclose(np.sort(dots[:, 0]), expected, atol=1e-5)
        correlations = np.corrcoef(values.T, latents.T)[:-2, -2:]
        long = correlations[np.linalg.norm(correlations, axis=1) >= drawn_lines.LEAST]
        tips = np.array([line.get_xydata()[1] for line in ax.lines if line.get_lw() == 0.7])
        expected = drawn_lines.RADIUS * long
        np.testing.assert_allclose(np.sort(tips, axis=0), np.sort(expected, axis=0), atol=1e-5)
    assert f"{len(long)} of 3 outputs drawn" in words(figure)
    with pytest.raises(ValueError, match="expected 2 latents, got 3"):
        plotting.bibiplot(replace(fit, values=fit.values | {"latent": np.zeros((90, 3))}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ridge": linear_record()}, "ridge: expected one grid point, got 14"),
        ({"group_lasso": -1}, "group_lasso must be a finite number"),
        ({"published": [{"n_components": 2}]}, "published: expected dicts with 'test_r2'"),
    ],
)
def test_wrong_inputs_of_a_comparison_are_named(changed, message):
    given = {"network": network_record(), "srrr": linear_record(), "ridge": ridge_record()}
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        plotting.bottleneck_comparison(**given | changed)


def test_an_overview_needs_folds_of_the_same_width():
    ridge = ridge_record()
    ridge.values["test_feature_r2"] = np.zeros((3, 1, 4))
    with pytest.raises(ValueError, match="folds: expected one model with n_components=2, got 0"):
        plotting.overview(fit_record(), folds=ridge)
    with pytest.raises(TypeError, match="true_genes: expected names of genes, got 'Vip'"):
        plotting.overview(fit_record(), true_genes="Vip")
