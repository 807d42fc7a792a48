"""What figures draw is what the records hold, and no label hides another."""

from dataclasses import replace

import numpy as np
import pytest
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

from sbnn import plotting
from sbnn.plotting import curves, latent, summary
from sbnn.plotting.interpretation import similar_order
from sbnn.results import Record


@pytest.mark.parametrize(
    ("options", "n_panels", "places"),
    [
        ({"n_folds": 1}, 3, [-1, 1]),
        ({"variants": (False,)}, 2, [-1, 1]),
        ({"widths": (2, 4, 6, 8)}, 3, [-6, -2, 2, 6]),
    ],
)
def test_bottleneck_comparison_of_any_grid(options, n_panels, places):
    network = network_record(**options)
    n_folds = len(network.test_r2)
    figure = plotting.bottleneck_comparison(network, linear_record(n_folds=n_folds), ridge_record())
    assert_tidy(figure)
    assert len(figure.axes) == n_panels
    lines = figure.axes[0].lines
    dots = [line.get_xdata()[0] for line in lines if line.get_marker() in ("o", "s", "^", "v")]
    assert dots == pytest.approx([5 * 1.045**place for place in places]), "side by side"


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


def test_linear_models_of_the_smallest_and_largest_rank_have_at_most_as_many_genes():
    network = network_record()
    srrr = linear_record(ranks=(2, 8, 16))
    assert curves.srrr_levels(None, network) == []
    levels = curves.srrr_levels(srrr, network)
    assert [rank for rank, *_ in levels] == [2, 16]
    for (_, r2, n_genes), point in zip(levels, (5, 19), strict=True):
        assert n_genes == 3
        assert r2 == pytest.approx(srrr.test_r2[:, point].sum() / 3)


def test_widths_that_a_record_lacks_are_left_out():
    network = network_record()
    assert curves.points_by_width(network, (64, 3), pretraining=True) == {64: [8, 10, 12, 14]}
    every = {2: [4, 5], 64: [12, 13]}
    assert curves.points_by_width(network, None, group_lasso=0.1) == every


def test_norms_are_sorted_and_averaged_on_the_log_scale():
    network = network_record(widths=(2,), variants=(True,))
    _, panel = plotting.training_curves(network).axes
    for point, line in enumerate(panel.lines[:4]):
        own = [sorted(norms, reverse=True) for norms in network.gene_norms[:, point].tolist()]
        mean = np.prod(own, axis=0) ** (1 / 3)
        np.testing.assert_allclose(line.get_ydata(), mean)
        np.testing.assert_array_equal(line.get_xdata(), range(1, 41))


def test_curves_are_means_with_bands_of_one_sample_sd():
    network = network_record(widths=(2,), lassos=(0.1,), variants=(True,))
    panel, _ = plotting.training_curves(network, linear_record()).axes
    r2 = np.array([table.eval_r2.to_numpy()[5:] for table in network.history[0]])
    mean = r2.mean(0)
    np.testing.assert_allclose(panel.lines[0].get_ydata(), mean)
    band = panel.collections[0].get_paths()[0].vertices
    for epoch, spread in enumerate(r2.std(0, ddof=1), 1):
        heights = band[band[:, 0] == epoch, 1]
        ends = mean[epoch - 1] - spread, mean[epoch - 1] + spread
        assert (heights.min(), heights.max()) == pytest.approx(ends)
    low, high = panel.get_ylim()
    assert low < mean.min()
    assert high > (mean + r2.std(0, ddof=1)).max()


@pytest.mark.parametrize("straight", [(0,), (0, 1, 2)])
def test_figures_of_folds_without_pretraining(straight):
    network = network_record()
    rng = np.random.default_rng(1)
    for params, tables in zip(network.params, network.history, strict=True):
        wide = params["n_components"] > 2  # pretrained in all folds, unless no network is
        if params["pretraining"] and not (wide and len(straight) == 1):
            for fold in straight:
                tables[fold] = history(rng, (5,) * 4, False, 0.3)
    srrr = linear_record()
    assert_tidy(plotting.training_curves(network, srrr, (2, 64)))
    figure = plotting.bottleneck_comparison(network, srrr, ridge_record())
    assert_tidy(figure)
    assert ("cross-entropy" in words(figure)) == (len(straight) < 3)
    assert f"pretrained in {3 - len(straight)} of 3 folds" in words(figure)


def test_accuracy_comparison_draws_folds_and_names_genes_and_scaling():
    srrr, ridge = linear_record(), ridge_record()
    srrr.settings = ridge.settings = {"scaling": "all"}
    models = {"sRRR": (srrr, {"rank": 2}), "ridge": ridge}
    figure = plotting.accuracy_comparison(models)
    assert "made up, scaled over all cells" in words(figure)
    assert "ridge, 40 genes" in words(figure)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), srrr.test_r2[:, 1])
    ridge.settings = {"scaling": "fold"}
    ridge.values["preselected"] = np.arange(40) < [[9], [12], [12]]
    text = words(plotting.accuracy_comparison(models))
    assert "ridge, 11 genes, scaled per fold" in text
    assert "sRRR, 25 genes, scaled over all cells" in text
    assert "made up, scaled" not in text


def components(*shares):
    values = {"transcriptome": np.array(shares), "outputs": np.full(60, 1 / 60)}
    return Record("principal components", "m", "s", [{}], values=values)


def test_components_that_reach_a_share_of_the_variance_are_counted():
    figure = plotting.component_variance(components(0.5, 0.25, 0.15, 0.1))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["50%: 1", "75%: 2", "90%: 3", "99%: 4"]
    total, shares = figure.axes[0].lines[:2]
    np.testing.assert_allclose(total.get_ydata(), [0.5, 0.75, 0.9, 1])
    np.testing.assert_allclose(shares.get_ydata(), [0.5, 0.25, 0.15, 0.1])
    corners = [line.get_xydata().tolist() for line in figure.axes[0].lines[2:]]
    assert corners[1] == [[1, 0.75], [2, 0.75], [2, 0]]
    # Rounding does not add a component.
    tenths = plotting.component_variance(components(*[0.1] * 10))
    assert tenths.axes[0].texts[0].get_text() == "50%: 5"
    with pytest.raises(ValueError, match="titles"):
        plotting.component_variance(components(1.0), titles=3)


def map_trust_record(**more):
    rng = np.random.default_rng(0)
    values = {"latent": rng.normal(size=(50, 2)), "agreement": np.array([0.8, 0.9])}
    values |= {"spread": np.arange(50.0), "errors": np.arange(50.0)[::-1].copy()}
    return Record("map trust", "made up", "s", [{}], values=values | more)


def test_each_map_of_trust_shows_its_own_values_the_largest_on_top():
    record = map_trust_record()
    record.errors[7] = np.nan
    figure = plotting.map_trust(record)
    errors, spread = (ax.collections[0] for ax in figure.axes[:2])
    assert figure.axes[0].get_title() == "cells when held out: mean error 24.14"
    assert figure.axes[1].get_title() == "maps of 2 other seeds: R² 0.80 to 0.90"
    np.testing.assert_array_equal(spread.get_array(), range(50))
    assert len(errors.get_array()) == 49
    assert (np.diff(errors.get_array()) > 0).all()
    np.testing.assert_array_equal(errors.get_offsets()[:7], spread.get_offsets()[:-8:-1])
    assert spread.get_clim() == pytest.approx((0, np.quantile(np.arange(50), 0.95)))
    assert len(figure.axes) == 4


def test_true_and_recovered_positions_are_compared():
    true = np.random.default_rng(1).normal(size=(50, 2))
    record = map_trust_record(true_latent=true, truth_agreement=0.5)
    panels = plotting.map_trust(record).axes[2:4]
    for i, ax in enumerate(panels):
        places = np.column_stack([true[:, i], record.latent[:, i]])
        np.testing.assert_allclose(ax.collections[0].get_offsets(), places)
        ends = [true[:, i].min()] * 2, [true[:, i].max()] * 2
        np.testing.assert_allclose(ax.lines[0].get_xydata(), ends)


def test_a_curve_of_genes_has_a_thin_line_for_each_fold():
    r2 = np.array([[0.1, 0.45, 0.3, 0.5], [0.2, 0.6, 0.3, 0.6]])
    n_selected = np.array([[5, 12, 10, 25], [5, 14, 10, 25]])
    params = [{"n_genes": n} for n in (5, "auto", 10, 25)]
    folds = [(np.arange(6), np.arange(2))] * 2
    values = {"test_r2": r2, "n_selected": n_selected}
    record = replace(ridge_record(), params=params, folds=folds, values=values)
    figure = plotting.genes_curve(record)
    lines = figure.axes[0].lines
    for line, own in zip(lines, [*r2, r2.mean(0)], strict=False):
        np.testing.assert_array_equal(line.get_xdata(), [5, 10, 25])
        np.testing.assert_allclose(line.get_ydata(), own[[0, 2, 3]])
    assert "25 or more genes needed" in words(figure)
    assert 'n_genes="auto": 13 genes, R² 0.525' in words(figure)


def test_a_few_genes_far_away_do_not_take_half_of_the_panel():
    record = selection_record(n=4000)
    record.values["mean_log2"][2] = np.nan
    text = words(plotting.gene_selection_curve(record))
    assert "beyond" not in text
    assert "Vip" not in text, "it has no place"
    record.values["mean_log2"][:2] = 40
    record.values["selected"][np.flatnonzero(record.selected)[9]] = False
    figure = plotting.gene_selection_curve(record)
    text = words(figure)
    assert figure.axes[0].get_xlim()[1] < 14
    assert "2 genes beyond 12" in text
    assert "Sst" not in text
    assert "Gad1" in text
    assert "or in too few cells" in text
    assert_tidy(figure)


def test_the_selection_curve_is_drawn():
    record = selection_record()
    lines = plotting.gene_selection_curve(record).axes[0].lines
    left_out, selected, curve = lines[:3]
    assert len(selected.get_xdata()) == record.selected[:-1].sum()
    assert len(left_out.get_xdata()) == (~record.selected[:-1]).sum()
    x, y = curve.get_data()
    np.testing.assert_allclose(np.log(y - 0.02), -1.5 * (x - 2.5), atol=1e-9)


def test_similar_rows_stand_side_by_side():
    order = similar_order(np.array([[0.0], [5], [1], [6], [2]])).tolist()
    assert order in ([3, 1, 4, 2, 0], [0, 2, 4, 1, 3])
    assert similar_order(np.ones((2, 2))).tolist() == [0, 1]


def test_genes_are_ranked_by_norm_or_else_by_how_well_they_are_predicted():
    assert latent.rank_genes(fit_record(n_genes=4)).tolist() == [3, 2, 1, 0]
    record = fit_record(n_genes=4, norms=False)
    record.values["expression"] += 1
    assert latent.rank_genes(record).tolist() == [1, 2, 0, 3]


def test_features_of_the_published_figure_come_first_and_then_the_best():
    assert latent.shown_features(fit_record()) == [0, 1, 3, 2]
    assert latent.shown_features(fit_record(features=("p", "Tau", "AI", "q"))) == [2, 1, 3, 0]


def test_gene_and_outputs_of_an_enlarged_family():
    fit = fit_record()
    own = (fit.labels["family"] == "B").to_numpy()
    fit.predicted_expression[own, 2] += 3
    assert latent.marker_gene(fit, "Gene3", own) == 3
    assert latent.marker_gene(fit, "B", own) == 2
    fit.predictions[:] = np.outer(np.arange(90), [1, 0.1, 5, 2])
    assert latent.zoomed_outputs(fit, own) == [2, 3]
    known = fit_record(features=("Rebound", "a", "b", "Tau"))
    assert latent.zoomed_outputs(known, own) == [3, 0]


def test_a_family_of_one_type_is_not_shown_from_near():
    record = fit_record()
    record.labels.loc[record.labels["family"] == "A", "type"] = "A1"
    assert "B, 30 of 30 cells" in words(plotting.family_zoom(record)), "the first of several types"
    with pytest.raises(ValueError, match=r"family: .* one of \['B', 'C'\], got 'A'"):
        plotting.family_zoom(record, family="A")
    record.labels["type"] = "unknown"
    with pytest.raises(ValueError, match=r"family: .* one of \[\], got None"):
        plotting.family_zoom(record)


def texts_of_overview(fit, **more):
    return [text.get_text() for text in plotting.overview(fit, **more).axes[0].texts]


def test_an_overview_lists_genes_by_norm_and_outputs_by_their_fit():
    fit = fit_record(n_genes=30, features=("a", "b", "c"))
    fit.values["train_feature_r2"] = np.array([0.3, 0.1, 0.5])
    texts = texts_of_overview(fit, true_genes=["Gene1", "Gene29", "none"])
    for text in ("30 of 34 genes", "✓ true: 2 of 3", "3 outputs", "90 cells", "and 6 more"):
        assert text in texts
    genes = [text for text in texts if text.startswith("Gene")]
    assert genes == ["Gene29 ✓", *(f"Gene{i}" for i in range(28, 5, -1))]
    assert [text for text in texts if text in ("a", "b", "c")] == ["c", "a", "b"]


def test_an_overview_shows_the_test_r2_of_its_width_as_bars():
    fit = fit_record(n_genes=30, features=("a", "b", "c"))
    wide = np.full((2, 1, 3), 0.9)
    narrow = np.array([[[0.1, -0.25, 1.5]], [[0.3, -0.25, 1.3]]])
    r2 = np.concatenate([wide, narrow], axis=1)  # (n_folds, n_points, n_outputs)
    values = {"test_r2": np.array([[0.9, 0.25], [0.9, 0.35]]), "test_feature_r2": r2}
    params = [{"n_components": 64}, {"n_components": 2}]
    folds = replace(ridge_record(), params=params, values=values)
    texts = texts_of_overview(fit, folds=folds)
    assert "pooled 0.30" in texts
    assert [text for text in texts if text in ("a", "b", "c")] == ["c", "a", "b"]
    assert [text for text in texts if text in ("1.40", "0.20", "−0.25")] == [
        "1.40",
        "0.20",
        "−0.25",
    ]
    bars = plotting.overview(fit, folds=folds).axes[0].patches[:3]
    lengths = [bar.get_width() / summary.BAR for bar in bars]
    assert lengths == pytest.approx([1, 0.2, 0])


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("network", lambda other: plotting.training_curves(ridge_record())),
        ("srrr", lambda other: plotting.training_curves(network_record(), other)),
        ("ridge", lambda other: plotting.bottleneck_comparison(network_record(), None, other)),
        ("bottom", lambda other: plotting.latent_panels(fit_record(), other)),
        ("scores", lambda other: plotting.latent_panels(fit_record(), scores=[other])),
        ("halves", lambda other: plotting.overview(fit_record(), other)),
        ("record", lambda other: plotting.gene_selection_curve({"not": "a record"})),
        ("n_components", lambda other: plotting.training_curves(network_record(), None, (3,))),
    ],
)
def test_a_wrong_record_is_named(name, draw):
    other = replace(linear_record(), sha256="of other data")
    with pytest.raises(ValueError, match=f"^{name}: "):
        draw(other)
