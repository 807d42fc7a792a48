"""What figures draw is what the records hold, and no label hides another."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import figure_text, fit_record, halves_record, ridge_record
from sklearn.linear_model import LinearRegression

from sbnn import plotting
from sbnn.cli import REPOSITORY
from sbnn.plotting import dimensions, latent
from sbnn.results import load


@pytest.fixture
def srrr():
    """Sparse reduced-rank regression over the strength of its penalty, on scaled data."""
    record = load(REPOSITORY / "saved_models" / "simulated" / "cv_srrr.pickle.xz")
    record.settings = {"scaling": "all"}
    return record


@pytest.fixture
def accuracy(srrr):
    """Compared with ridge on 9, 12 and 12 genes, which fails on the second of three folds."""
    ridge = ridge_record()
    ridge.settings = {"scaling": "fold"}
    ridge.values["preselected"] = np.arange(40) < [[9], [12], [12]]
    ridge.values["test_r2"] = np.array([[-1.5], [-7.5], [0.5]])
    return plotting.accuracy_comparison({"sRRR": (srrr, {"rank": 16}), "ridge": ridge})


@pytest.mark.parametrize(
    "text",
    [
        "ridge, 11 genes, scaled per fold",
        "sRRR, 25 genes, scaled over all cells",
        "−2.833",
        "mean ± SD over 3 or 10 folds",
    ],
)
def test_accuracy_names_genes_scaling_and_folds(accuracy, text):
    assert text in figure_text(accuracy)


def test_failed_folds_lie_outside_the_panel(accuracy):
    low, high = accuracy.axes[0].get_xlim()
    assert -1.3 < low < -1
    assert high < 1.2


@pytest.fixture(scope="module")
def trust():
    """Of 90 cells; number 7 was never held out."""
    rng = np.random.default_rng(0)
    record = ridge_record()
    record.values["latent"] = rng.normal(size=(90, 2))
    record.values["spread"] = rng.uniform(size=90)
    record.values["errors"] = rng.uniform(size=90)
    record.values["errors"][7] = np.nan
    record.values["agreement"] = np.array([0.8, 0.9])
    return record


@pytest.fixture(scope="module")
def trust_panels(trust):
    return plotting.map_trust_panels(trust).axes[:2]


def test_titles_of_trust_sum_up_cells_and_seeds(trust_panels, trust):
    errors, spread = trust_panels
    mean_error = np.nanmean(trust.errors)
    assert errors.get_title() == f"held-out cells: mean error {mean_error:.2f}"
    assert spread.get_title() == "maps of 2 other seeds: R² 0.80 to 0.90"


@pytest.mark.parametrize(("panel", "name"), [(0, "errors"), (1, "spread")])
def test_colours_of_trust_leave_out_largest_values(trust_panels, trust, panel, name):
    [dots] = trust_panels[panel].collections
    largest = np.nanquantile(trust.values[name], 0.95)
    assert dots.get_clim() == pytest.approx((0, largest))


@pytest.fixture
def selection():
    return load(REPOSITORY / "saved_models" / "citeseq_cd8" / "gene_selection.pickle.xz")


def test_few_genes_far_away_leave_the_panel(selection):
    has_counts = np.flatnonzero(np.isfinite(selection.mean_log2))
    selection.mean_log2[has_counts[:2]] = 40
    [ax] = plotting.gene_selection_curve(selection).axes
    assert ax.get_xlim()[1] < 14


def test_genes_are_ordered_by_norm():
    fit = fit_record(n_genes=4)
    assert latent.order_of_genes(fit).tolist() == [3, 2, 1, 0]


def test_genes_without_norms_are_ordered_by_prediction():
    fit = fit_record(n_genes=4, norms=False)
    fit.expression[:] = 1  # predicted as 0.1, 0.73, 1.37 and 2
    assert latent.order_of_genes(fit).tolist() == [1, 2, 0, 3]


def test_published_outputs_come_first():
    names = np.array(["p", "Tau", "AI", "q"])
    order = latent.preferred_order(names, latent.PUBLISHED_FEATURES, merit=np.arange(4))
    assert names[order].tolist() == ["AI", "Tau", "q", "p"]


def test_a_family_is_enlarged_with_its_types():
    shown = figure_text(plotting.family_zoom(fit_record(), family="C")).splitlines()
    assert any(line.endswith("C enlarged") for line in shown)
    assert {"C1 (15)", "C1", "C2"} <= set(shown), "types stand in the legend and on the map"


def test_the_most_frequent_family_replaces_an_absent_one():
    figure = plotting.family_zoom(fit_record())
    assert "A enlarged" in figure_text(figure)


@pytest.fixture(scope="module")
def overview():
    """Of 30 genes and three outputs, with mean test R2 of 0.2, -0.25 and 1.4."""
    fit = fit_record(n_genes=30, features=("a", "b", "c"))
    r2 = [
        [[0.9, 0.9, 0.9], [0.1, -0.25, 1.5]],
        [[0.9, 0.9, 0.9], [0.3, -0.25, 1.3]],
    ]  # (n_folds, n_points, n_outputs)
    values = {
        "test_r2": np.mean(r2, axis=2),
        "test_feature_r2": np.array(r2),
        "feature_names": np.array(["a", "b", "c"]),
    }
    params = [{"n_components": 64}, {"n_components": 2}]
    folds = replace(ridge_record(), params=params, values=values)
    return plotting.model_overview(fit, folds=folds, true_genes=["Gene1", "Gene29", "none"])


def test_overview_counts_true_genes(overview):
    assert "✓ true: 2 of 3" in overview.axes[0].get_title()


def test_overview_lists_genes_by_norm(overview):
    texts = [text.get_text() for text in overview.axes[0].texts]
    unmarked = [f"Gene{i}" for i in range(28, 4, -1)]
    assert texts == ["Gene29 ✓", *unmarked, "and 5 more"]


def test_bars_of_overview_stay_between_zero_and_one(overview):
    lengths = [bar.get_width() for bar in overview.axes[4].patches]
    assert lengths == pytest.approx([1, 0.2, 0])


@pytest.fixture(scope="module")
def two_units():
    """A fit whose first two genes and outputs follow its units."""
    fit = fit_record()
    fit.values["latent"] = fit.embedding
    fit.outputs[:, :2] += fit.embedding
    fit.expression[:, :2] += fit.embedding
    return fit


@pytest.fixture(scope="module")
def bibiplot(two_units):
    return plotting.bibiplot(two_units)


def regressed_latents(fit):
    model = LinearRegression().fit(fit.outputs, fit.latent)
    return model.predict(fit.outputs)


def long_correlations(values, latents):
    """Correlations of the columns with both latents, without those of short lines."""
    n_columns = values.shape[1]
    correlations = np.corrcoef(values.T, latents.T)[:n_columns, n_columns:]
    lengths = np.linalg.norm(correlations, axis=1)
    return correlations[lengths >= dimensions.SHORTEST_LINE]


def test_bibiplot_counts_drawn_outputs(bibiplot, two_units):
    drawn = long_correlations(two_units.outputs, regressed_latents(two_units))
    assert f"{len(drawn)} of 4 outputs drawn" in figure_text(bibiplot)


def test_names_are_drawn_literally(tmp_path):
    names = ["$$", r"$\bad$", "a$b$", "y"]
    fit = fit_record(features=names)
    fit.labels["family"] = np.resize(names[:3], len(fit.labels))
    figure = plotting.latent_panels(fit)
    plotting.save_figure(figure, tmp_path / "names")
    shown = figure_text(figure).replace(r"\$", "$")
    assert all(name in shown for name in names)


@pytest.fixture(scope="module")
def halves():
    """Genes of which the first 60 are always kept; 80 at least once, one of them added RNA."""
    n_kept = np.linspace(60, 80, 20)
    selected = np.arange(8000) < n_kept[:, np.newaxis]
    genes = [f"Gene{i}" for i in range(1, 8000)]
    record = halves_record(selected, np.array(["ERCC-00009", *genes]))
    record.values["cells_behind"] = np.full(8000, 100.0)
    return record


@pytest.fixture(scope="module")
def frequencies(halves):
    return plotting.selection_frequencies(halves)


@pytest.fixture(scope="module")
def gene_frequency(halves):
    """Without added RNA, (7999,)."""
    return halves.selected[:, 0, 1:].mean(axis=0)


def test_trusted_genes_are_counted(frequencies, gene_frequency):
    threshold = frequencies.axes[0].lines[0].get_ydata()[0]
    n_trusted = (gene_frequency >= threshold).sum()
    assert f"{n_trusted} trusted genes, frequency ≥ 0.65" in figure_text(frequencies)


def test_genes_left_out_are_counted(frequencies):
    assert "60 of 79 genes kept at least once" in figure_text(frequencies)


def test_added_rna_is_no_gene(frequencies):
    assert "ERCC" not in figure_text(frequencies)


def test_outputs_left_out_are_counted():
    names = [f"o{i}" for i in range(30)]
    figure = plotting.latent_panels(fit_record(features=names))
    assert "9 of 30 predicted outputs" in figure_text(figure)


@pytest.fixture(scope="module")
def strength():
    """Effect on each of 120 outputs: a permutation of 0 to 119."""
    return 7 * np.arange(120) % 120


@pytest.fixture(scope="module")
def effects(strength):
    """Effects, (25 genes, 120 outputs), the largest on the first output."""
    effects = np.tile(strength.astype(float), (25, 1))
    effects[3, 0] = -1000
    return effects


@pytest.fixture(scope="module")
def effect_map(effects):
    names = np.array([f"o{i}" for i in range(120)])
    record = ridge_record()
    record.values = {"effects": effects, "kept_genes": names[:25], "feature_names": names}
    return plotting.effect_map(record)


def positions(labels):
    """Numbers in names such as "o12"."""
    return [int(label.get_text()[1:]) for label in labels]


def test_outputs_with_largest_effects_are_drawn(effect_map, strength):
    outputs = positions(effect_map.axes[0].get_yticklabels())
    assert set(outputs) == {0, *np.flatnonzero(strength > 60)}


def test_outputs_with_small_effects_are_counted(effect_map):
    assert "60 of 120 outputs" in figure_text(effect_map)


def test_one_output_does_not_take_all_colours(effect_map):
    [image] = effect_map.axes[0].images
    largest = [*range(61, 120), 1000]  # of each output
    assert image.get_clim()[1] == pytest.approx(3 * np.median(largest))


def test_colour_bar_names_the_largest_effect(effect_map):
    assert "largest 1e+03" in effect_map.axes[1].get_ylabel()
