"""What figures draw is what the records hold, and no label hides another."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import fit_record, halves_record, ridge_record, words
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import zscore
from sklearn.linear_model import LinearRegression

from sbnn import plotting
from sbnn.cli import ROOT
from sbnn.plotting import dimensions as drawn_lines
from sbnn.plotting import latent
from sbnn.plotting.maps import panel_coordinates
from sbnn.results import load


def test_accuracy_comparison_draws_folds_and_names_genes_and_scaling():
    srrr, ridge = load(ROOT / "saved_models" / "simulated" / "cv_srrr.pickle.xz"), ridge_record()
    srrr.settings, ridge.settings = {"scaling": "all"}, {"scaling": "fold"}
    ridge.values["preselected"] = np.arange(40) < [[9], [12], [12]]
    ridge.values["test_r2"] = np.array([[-1.5], [-7.5], [0.5]])
    figure = plotting.accuracy_comparison({"sRRR": (srrr, {"rank": 16}), "ridge": ridge})
    notes = ["ridge, 11 genes, scaled per fold", "sRRR, 25 genes, scaled over all cells"]
    for note in [*notes, "−2.833", "mean ± SD over 3 or 10 folds"]:
        assert note in words(figure)
    expected = srrr.test_r2[:, srrr.best_with_at_most(25, rank=16)]
    assert_array_equal(figure.axes[0].lines[0].get_xdata(), expected)
    low, high = figure.axes[0].get_xlim()
    assert -1.3 < low < -1
    assert high < 1.2


def test_maps_of_trust_show_their_own_values_the_largest_on_top():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(90, 2))
    spread, errors = rng.uniform(size=(2, 90))
    errors[7] = np.nan
    values = {"latent": latent, "spread": spread, "errors": errors}
    values |= {"agreement": np.array([0.8, 0.9])}
    record = replace(ridge_record(), values=values)
    left, right = plotting.map_trust_panels(record).axes[:2]
    assert left.get_title() == f"held-out cells: mean error {np.nanmean(errors):.2f}"
    assert right.get_title() == "maps of 2 other seeds: R² 0.80 to 0.90"
    xy = panel_coordinates(latent, proportional=False)
    for ax, shown in ((left, errors), (right, spread)):
        order = [i for i in np.argsort(shown) if i != 7 or ax is right]
        [dots] = ax.collections
        assert_array_equal(dots.get_array(), shown[order])
        assert_allclose(dots.get_offsets(), xy[order])
        assert dots.get_clim() == pytest.approx((0, np.nanquantile(shown, 0.95)))
    named = plotting.map_trust_panels(record, fit_record()).axes[:2]
    assert all([text.get_text() for text in ax.texts[-3:]] == ["A", "B", "C"] for ax in named)


def test_the_selection_curve_is_drawn_and_a_few_genes_far_away_do_not_take_half_of_the_panel():
    record = load(ROOT / "saved_models" / "citeseq_cd8" / "gene_selection.pickle.xz")
    figure = plotting.gene_selection_curve(record)
    left_out, selected, curve = figure.axes[0].lines[:3]
    drawn = np.isfinite(record.mean_log2)
    assert len(selected.get_xdata()) == (record.selected & drawn).sum()
    assert len(left_out.get_xdata()) == (~record.selected & drawn).sum()
    x, y = curve.get_data()
    expected = -record.slope * (x - record.b)
    assert_allclose(np.log(y - record.offset), expected, atol=1e-9)
    record.mean_log2[np.flatnonzero(drawn)[:2]] = 40
    assert plotting.gene_selection_curve(record).axes[0].get_xlim()[1] < 14


def test_genes_outputs_and_the_family_that_are_shown():
    assert latent.order_of_genes(fit_record(n_genes=4)).tolist() == [3, 2, 1, 0]
    record = fit_record(n_genes=4, norms=False)
    record.expression[:] = 1
    assert latent.order_of_genes(record).tolist() == [1, 2, 0, 3], "by how well they are predicted"
    names, merit = np.array(["p", "Tau", "AI", "q"]), np.arange(4)
    assert latent.preferred_order(names, latent.PUBLISHED_FEATURES, merit).tolist() == [2, 1, 3, 0]
    text = words(plotting.family_zoom(fit_record(), family="C"))
    assert "C enlarged" in text
    assert "C1 (15)" in text
    assert {"C1", "C2"} <= set(text.splitlines()), "types are named on the map, too"
    assert "A enlarged" in words(plotting.family_zoom(fit_record()))


def test_an_overview_lists_genes_by_norm_and_outputs_by_their_r2_with_bars():
    fit = fit_record(n_genes=30, features=("a", "b", "c"))
    r2 = np.array([[[0.9] * 3, [0.1, -0.25, 1.5]], [[0.9] * 3, [0.3, -0.25, 1.3]]])
    values = {"test_r2": r2.mean(2), "test_feature_r2": r2}  # (n_folds, n_points, n_outputs)
    params = [{"n_components": 64}, {"n_components": 2}]
    folds = replace(ridge_record(), params=params, values=values)
    figure = plotting.model_overview(fit, folds=folds, true_genes=["Gene1", "Gene29", "none"])
    genes, *_, outputs = figure.axes
    assert "✓ true: 2 of 3" in genes.get_title()
    texts = [text.get_text() for text in genes.texts]
    assert texts == ["Gene29 ✓", *(f"Gene{i}" for i in range(28, 4, -1)), "and 5 more"]
    assert [label.get_text() for label in outputs.get_yticklabels()] == ["c", "a", "b"]
    assert [text.get_text() for text in outputs.texts] == ["1.40", "0.20", "−0.25"]
    assert [bar.get_width() for bar in outputs.patches] == pytest.approx([1, 0.2, 0])


def test_a_bibiplot_draws_correlations_with_the_latents_of_genes_and_with_those_of_outputs():
    fit = fit_record()
    fit.values["latent"] = fit.embedding
    for values in (fit.outputs, fit.expression):
        values[:, :2] += fit.embedding
    figure = plotting.bibiplot(fit)
    regressed = LinearRegression().fit(fit.outputs, fit.latent).predict(fit.outputs)
    sides = [(fit.expression, fit.latent), (fit.outputs, regressed)]
    for ax, (values, latents) in zip(figure.axes, sides, strict=True):
        dots = np.sort(ax.collections[0].get_offsets()[:, 0])
        assert_allclose(dots, np.sort(zscore(latents[:, 0])), atol=1e-5)
        correlations = np.corrcoef(values.T, latents.T)[:-2, -2:]
        long = correlations[np.linalg.norm(correlations, axis=1) >= drawn_lines.SHORTEST_LINE]
        tips = np.array([line.get_xydata()[1] for line in ax.lines if line.get_lw() == 0.7])
        expected = drawn_lines.CIRCLE_RADIUS * long
        assert_allclose(np.sort(tips, axis=0), np.sort(expected, axis=0), atol=1e-5)
    assert f"{len(long)} of 4 outputs drawn" in words(figure)
    with pytest.raises(ValueError, match="expected 2 latents, got 3"):
        plotting.bibiplot(replace(fit, values=fit.values | {"latent": np.zeros((90, 3))}))


def test_names_are_drawn_literally(tmp_path):
    names = ["$$", r"$\bad$", "a$b$", "y"]
    fit = fit_record(features=names)
    fit.labels["family"] = np.resize(names[:3], len(fit.labels))
    figure = plotting.latent_panels(fit)
    plotting.save_figure(figure, tmp_path / "names")
    shown = words(figure).replace(r"\$", "$")
    assert all(name in shown for name in names)


def test_figures_count_what_they_leave_out():
    selected = np.arange(8000) < np.linspace(60, 80, 20)[:, np.newaxis]
    genes = np.array(["ERCC-00009", *(f"Gene{i}" for i in range(1, 8000))])
    figure = plotting.selection_frequencies(halves_record(selected, genes))
    [ax] = figure.axes
    frequency = selected[:, 1:].mean(0)
    assert_allclose([bar.get_height() for bar in ax.patches], frequency[:60])
    shown = words(figure)
    threshold = ax.lines[0].get_ydata()[0]
    assert f"{(frequency >= threshold).sum()} trusted genes, frequency ≥ 0.65" in shown
    assert "60 of 79 genes kept at least once" in shown
    assert "ERCC" not in shown
    fit = fit_record(features=[f"o{i}" for i in range(30)])
    assert "9 of 30 predicted outputs" in words(plotting.latent_panels(fit))


def test_the_outputs_with_the_largest_effects_are_drawn():
    """One output does not take the colours of all effects."""
    strength = 7 * np.arange(120) % 120
    effects = np.tile(strength.astype(float), (25, 1))
    effects[3, 0] = -1000
    names = np.array([f"o{i}" for i in range(120)])
    values = {"effects": effects, "kept_genes": names[:25], "feature_names": names}
    figure = plotting.effect_map(replace(ridge_record(), values=values))
    ax, bar = figure.axes
    outputs = [label.get_text() for label in ax.get_yticklabels()]
    genes = [label.get_text() for label in ax.get_xticklabels()]
    assert set(outputs) == {"o0", *names[strength > 60]}
    assert "60 of 120 outputs" in words(figure)
    rows, columns = [[int(name[1:]) for name in names] for names in (outputs, genes)]
    assert_array_equal(ax.images[0].get_array(), effects.T[np.ix_(rows, columns)])
    assert ax.images[0].get_clim()[1] == pytest.approx(3 * np.median([*range(61, 120), 1000]))
    assert "largest 1e+03" in bar.get_ylabel()
