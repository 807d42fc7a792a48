"""Figures from small made-up records: what is drawn is what the record holds, and no label hides another."""

import io
import re
import zlib
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from made_up import (
    PUBLISHED,
    assert_tidy,
    fit_record,
    linear_record,
    lines,
    network_record,
    ridge_record,
    selection_record,
    words,
)
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from matplotlib.tri import Triangulation
from PIL import Image

from sbnn import plotting
from sbnn.data.checks import OKABE_ITO
from sbnn.plotting.cells import draw_crowd
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import in_few_colors
from sbnn.plotting.maps import map_image, map_triangles


def test_training_curves_show_mean_band_and_levels():
    network, srrr = network_record(), linear_record()
    figure = plotting.training_curves(network, srrr, (2,), PUBLISHED)
    assert_tidy(figure)
    left, right = figure.axes
    points = [network.find(n_components=2, group_lasso=a, pretraining=True) for a in (1e-4, 1e-2, 0.1, 1)]
    curves = lines(left, 15)
    assert len(curves) == 4
    bands = [c for c in left.collections if c.get_paths()]
    for point, line, band in zip(points, curves, bands, strict=True):
        folds = np.array([t.eval_r2[t.stage != "pretraining"] for t in network.history[point]])
        np.testing.assert_allclose(line.get_ydata(), folds.mean(0))
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 16))
        edges = band.get_paths()[0].vertices[:, 1]
        assert np.isclose(edges.max(), (folds.mean(0) + folds.std(0, ddof=1)).max())
    shades = [sum(to_rgb(line.get_color())) for line in curves]
    assert shades == sorted(shades), "from dark to pale, as the lasso gets stronger"

    levels = [line.get_ydata()[0] for line in left.lines if list(line.get_xdata()) == [0, 1]]
    within = [srrr.find(rank=rank, alpha=srrr.params[5]["alpha"]) for rank in (2, 16)]  # 3 genes; the next 6, not 5
    np.testing.assert_allclose(sorted(levels), sorted(srrr.test_r2[:, within].mean(0)))
    diamonds = [line.get_ydata()[0] for line in left.lines if line.get_marker() == "D"]
    assert diamonds == [0.397]  # the straight result belongs to another panel

    for norm_line, point in zip(lines(right, 40), points, strict=True):
        expected = -np.sort(-network.gene_norms[:, point], axis=1).astype(float)
        np.testing.assert_allclose(norm_line.get_ydata(), np.exp(np.log(expected).mean(0)), rtol=1e-5)
    assert right.get_yscale() == "log"

    text = words(figure)
    mean = network.test_r2[:, points[2]].mean()
    for part in ("unfreezing", "pruning", "sRRR, rank 2", "sRRR, rank 16", "λ = 10⁻⁴", "mean ± SD over 3 folds"):
        assert part in text
    assert f"λ = 0.1:  {mean:.3f} ± " in text and "(published 0.397)" in text and "5 genes" in text


def test_bottleneck_comparison_shows_genes_pretraining_and_training():
    network, srrr = network_record(), linear_record()
    figure = plotting.bottleneck_comparison(network, srrr, ridge_record(), PUBLISHED)
    assert_tidy(figure)
    genes, entropy, training = figure.axes
    path = lines(genes, 6)  # six of the seven points have genes
    assert len(path) == 2
    np.testing.assert_array_equal(path[0].get_xdata(), [3, 6, 9, 14, 25, 38])
    np.testing.assert_allclose(path[0].get_ydata(), srrr.test_r2[:, 5::-1][:, :6].mean(0))
    for marker, width in (("o", 2), ("s", 64)):
        point = network.find(n_components=width, group_lasso=0.1, pretraining=True)
        dots = [line for line in genes.lines if line.get_marker() == marker and len(line.get_xdata()) == 1]
        dots = [line for line in dots if to_hex(line.get_color()) == "#d55e00"]
        assert [float(dot.get_ydata()[0]) for dot in dots] == [network.test_r2[:, point].mean()]
        assert abs(dots[0].get_xdata()[0] - 5) < 0.3
    assert genes.get_xscale() == "log"
    assert any(line.get_ydata()[0] == pytest.approx(0.45) for line in genes.lines)  # ridge

    assert {len(line.get_xdata()) for line in entropy.lines} == {5} and len(entropy.lines) == 4
    assert entropy.get_ylabel() == "cross-entropy"
    handles = {handle.get_label(): handle.get_color() for handle in entropy.get_legend().legend_handles}
    for label, column in (("training", "loss"), ("validation", "eval_loss")):
        (drawn, _) = [line.get_ydata() for line in entropy.lines if line.get_color() == handles[label]]
        table = network.history[network.find(n_components=2, group_lasso=0.1, pretraining=True)][0]
        np.testing.assert_allclose(drawn, table[column][table.stage == "pretraining"])  # the same in all folds
    curves = lines(training, 15)
    assert len({(line.get_linestyle(), line.get_color()) for line in curves}) == 4
    text = words(figure)
    for part in ("sRRR, rank 2", "sRRR\nrank 16", "d = 64", "ridge, 40 genes: 0.450", "published: sBNN, sRRR",
                 "validation", "straight", "unfreezing", "pruning", "selected genes", "± SD"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(
    ("options", "panels"), [({"n_folds": 1}, 3), ({"variants": (False,)}, 2), ({"widths": (2, 4, 6, 8)}, 3)]
)
def test_bottleneck_comparison_of_any_grid(options, panels):
    network = network_record(**options)
    figure = plotting.bottleneck_comparison(network, linear_record(n_folds=len(network.test_r2)), ridge_record())
    assert_tidy(figure)
    assert len(figure.axes) == panels


def test_latent_panels_choose_genes_and_features():
    top, bottom = fit_record(), fit_record(width=8, norms=False, seed=1)
    figure = plotting.latent_panels(top, bottom)
    assert_tidy(figure)
    text = words(figure)
    for part in ("sBNN, d = 2, 12 genes", "sBNN, d = 8 + t-SNE", "A (30)", "prediction (z-score)"):
        assert part in text
    names = [t for t in figure.texts if t.get_fontstyle() == "italic"]
    assert sorted(names[:9], key=lambda name: -name.get_position()[1]) == names[:9], "from top to bottom"
    italic = [t.get_text() for t in names]
    assert italic[:9] == [f"Gene{i}" for i in range(11, 2, -1)]  # by weight norm
    assert italic[9:] == [f"Gene{i}" for i in range(9)]  # by how well the expression is predicted
    features = [t.get_text() for t in figure.texts if t.get_text() in top.feature_names]
    assert features == ["AP width", "Tau", "y", "x"] * 2  # known names first, then the best predicted
    cells = [c for ax in figure.axes for c in ax.collections if len(c.get_offsets()) == 90]
    drawn = {to_hex(color) for c in cells for color in c.get_facecolors()}
    assert drawn == {color.lower() for color in top.colors.values()}
    maps = [image.get_array() for ax in figure.axes for image in ax.images if len(image.get_array()) > 100]
    assert len(maps) == 2 * 13
    for image, gene in zip(maps, range(11, 2, -1), strict=False):
        level = (top.predicted_expression[0, gene] + 2) / 4  # z-scores from -2 to 2, the same range in all maps
        shades, counts = np.unique(image[(image < 255).any(2)], axis=0, return_counts=True)
        assert counts.max() > 0.9 * counts.sum() and len(shades) <= 3  # all but the outline
        assert np.abs(shades[counts.argmax()] / 255 - colormaps["inferno"](level)[:3]).max() < 0.06


def test_latent_panels_write_test_r2_beside_outputs():
    fit, folds = fit_record(), network_record(widths=(2,))
    outputs = len(fit.feature_names)
    folds.values["test_feature_r2"] = np.arange(folds.test_r2.size * outputs).reshape(*folds.test_r2.shape, outputs) / 9
    folds.dataset, folds.sha256 = fit.dataset, fit.sha256
    params = {"n_components": 2, "group_lasso": 0.1, "pretraining": True}
    text = words(plotting.latent_panels(fit, scores=[(folds, params)]))
    for name, r2 in zip(fit.feature_names, folds.test_feature_r2[:, folds.find(**params)].mean(0), strict=True):
        assert f"{name} {r2:.2f}" in text
    zoom = words(plotting.family_zoom(fit, family="B", scores=[(folds, params)]))
    assert f"{name} {r2:.2f}" in zoom and ", test R² " in zoom


def test_a_crowded_place_of_a_map_is_drawn_once_more_in_an_empty_corner():
    rng = np.random.default_rng(0)
    spread = np.column_stack([np.linspace(0.1, 0.9, 60), np.linspace(0.9, 0.1, 60)])  # two corners are empty
    xy = np.vstack([spread, 0.5 + 0.02 * rng.normal(size=(60, 2))])
    fit = fit_record(n=120)
    fit.labels["family"] = np.array(["a", "b"])[np.arange(120) % 2]
    ax = mpl.figure.Figure().subplots()
    draw_crowd(ax, xy, Groups(fit))
    [inset] = ax.child_axes
    (x0, x1), (y0, y1) = inset.get_xlim(), inset.get_ylim()
    inside = ((xy > (x0, y0)) & (xy < (x1, y1))).all(1)
    assert inside[60:].all() and len(inset.collections[0].get_offsets()) == inside.sum()
    assert (x1 - x0, y1 - y0) == pytest.approx((0.12, 0.12)), "2.5 times larger in an inset of 0.3"
    ax, fit.labels["family"] = mpl.figure.Figure().subplots(), "a"
    draw_crowd(ax, xy, Groups(fit))
    assert not ax.child_axes, "one group alone needs no second look"


def test_cells_without_types_are_told_apart_by_clusters_of_their_outputs():
    fit = fit_record()
    rng = np.random.default_rng(0)
    own = rng.permutation(np.repeat([0, 1, 2], [45, 30, 15]))
    fit.values["outputs"] = np.eye(4)[own] * 5 + 0.3 * rng.normal(size=(90, 4))
    fit.labels.loc[:, ["family", "type"]] = "", "unknown"
    groups = Groups(fit)
    assert [set(own[groups.families == f"cluster {i + 1}"]) for i in range(3)] == [{0}, {1}, {2}], "the largest first"
    text = words(plotting.latent_panels(fit))
    assert "no types are known: clusters of the outputs (cells)" in text and "cluster 3 (15)" in text
    assert list(groups.colors[own == 1]) == [OKABE_ITO[1]] * 30
    fit.labels.loc[0, "type"] = "A1"
    assert set(Groups(fit).types) == {"A1", "unknown"}, "one known type is enough"


def test_a_map_shows_the_values_between_the_cells_in_few_colours():
    rng = np.random.default_rng(0)
    xy = np.vstack([[[0, 0], [0, 1], [1, 0], [1, 1]], rng.uniform(size=(400, 2))]) * [0.5, 1]
    outline = Triangulation(*xy.T)
    with plotting.style():
        image = map_image(outline, 8 * xy[:, 0] - 2, 60)  # from -2 at the left to 2 in the middle
        upwards = map_image(outline, 4 * xy[:, 1] - 2, 60)[:, 10].astype(int).sum(1)
        narrow = map_image(Triangulation(*(0.95 * xy).T), xy[:, 0], 20)
    assert image.shape == (60, 60, 3)
    assert (image[:, 30:] == 255).all()  # nothing where there are no cells
    across = colormaps["inferno"]((np.arange(30) + 0.5) / 30)[:, :3]
    np.testing.assert_allclose(image[:, :30] / 255, np.broadcast_to(across, (60, 30, 3)), atol=0.04)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) <= 65
    assert upwards[0] > 2 * upwards[-1]  # the first row is the top
    inner, outline = narrow[10, 8].astype(int), narrow[10, 9].astype(int)
    assert (inner < outline - 20).any() and (outline < 255).any()  # half covered: the outline is smooth


def test_map_has_the_outline_of_the_cloud():
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 800), np.sqrt(rng.uniform(0.49, 1, 800))
    ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    island = [3, 0] + 0.2 * rng.normal(size=(200, 2))
    triangles = map_triangles(np.vstack([ring, island]))
    shown = triangles.triangles[~triangles.mask]
    corners = np.vstack([ring, island])[shown]
    middle = corners.mean(1)
    assert not ((shown < 800).any(1) & (shown >= 800).any(1)).any()  # no bridge
    assert np.linalg.norm(middle, axis=1).min() > 0.5  # the hole stays open
    (ux, uy), (vx, vy) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    covered = (np.abs(ux * vy - uy * vx) / 2)[middle[:, 0] < 1.5].sum()
    assert 0.8 < covered / (np.pi * (1 - 0.7**2)) < 1
    assert len(np.unique(shown)) > 970  # and hardly a cell is left out
    assert map_triangles(np.column_stack([np.arange(5.0), np.arange(5.0)])) is None


def test_gene_selection_curve():
    record = selection_record()
    figure = plotting.gene_selection_curve(record)
    assert_tidy(figure)
    (ax,) = figure.axes
    text = words(figure)
    assert f"{record.selected.sum()} selected of 400 genes" in text and "2.50" in text
    assert "more than 30" in ax.get_xlabel() and "at most 30" in ax.get_ylabel()
    names = [t for t in ax.texts if t.get_fontstyle() == "italic"]
    assert sorted(t.get_text() for t in names) == ["Gad1", "Lamp5", "Pvalb", "Sst", "Vip"]
    curve = max(ax.lines, key=lambda line: line.get_linewidth())
    x, y = curve.get_data()
    np.testing.assert_allclose(y, np.exp(-1.5 * (x - 2.5)) + 0.02)
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert sorted(len(line.get_xdata()) for line in dots) == sorted(np.bincount(record.selected[:-1]))
    assert all(line.get_rasterized() for line in dots)


def test_the_same_record_gives_the_same_bytes_whatever_the_users_style(tmp_path):
    record, before = fit_record(), dict(mpl.rcParams)
    first = plotting.save_figure(plotting.latent_panels(record), tmp_path / "one" / "figure1.v2", pdf=True)
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "yellow", "savefig.dpi": 50, "pdf.fonttype": 3}):
        second = plotting.save_figure(plotting.latent_panels(record), tmp_path / "two" / "figure1.v2", pdf=True)
    [third] = plotting.save_figure(plotting.latent_panels(record), tmp_path / "three" / "figure1.v2")
    assert [path.name for path in first] == ["figure1.v2.png", "figure1.v2.pdf"]
    assert third.read_bytes() == first[0].read_bytes()
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    pdf = first[1].read_bytes()
    packed = re.findall(rb"/FlateDecode.*?stream\n(.*?)\nendstream", pdf, re.S)
    pdf += b"".join(zlib.decompressobj().decompress(part) for part in packed)  # objects may be packed in streams
    assert b"CreationDate" not in pdf
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf  # TrueType: text stays text
    with Image.open(first[0]) as image:
        assert image.mode == "P" and image.size[0] == round(7.2 * 160)


def test_an_image_in_few_colours_looks_as_before():
    across, down = np.meshgrid(np.arange(400), np.arange(300))
    before = np.stack((across * 255 // 400, down * 255 // 300, 120 + across // 8), 2).astype(np.uint8)
    before[:100] = 255
    before[20:60, 20:60] = [1, 2, 3]  # a rare colour
    Image.fromarray(before).save(png := io.BytesIO(), "png")
    with Image.open(io.BytesIO(in_few_colors(png.getvalue()))) as image:
        after = np.asarray(image.convert("RGB"), int)
    assert (after[:60] == before[:60]).all() and np.abs(after - before).mean() < 4


def test_a_wrong_record_is_named():
    network, srrr, ridge = network_record(), linear_record(), ridge_record()
    for draw, message in (
        (lambda: plotting.training_curves(srrr), "network: expected .* history"),
        (lambda: plotting.training_curves(network, replace(srrr, sha256="t")), "srrr: .*same data"),
        (lambda: plotting.bottleneck_comparison(network, srrr, ridge, n_components=(3,)), r".*\(3,\).*only \[2, 64\]"),
        (lambda: plotting.gene_selection_curve({"not": "a record"}), "record: expected .* mean_log2"),
    ):
        with pytest.raises(ValueError, match=message):
            draw()
