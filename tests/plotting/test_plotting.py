"""Figures from small made-up records: what is drawn is what the record holds, and no label hides another."""

import io
import re
import zlib
from dataclasses import replace
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
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
from matplotlib import colormaps
from matplotlib.tri import Triangulation
from PIL import Image

from sbnn import plotting
from sbnn.data.checks import OKABE_ITO
from sbnn.plotting import reading
from sbnn.plotting.cells import draw_crowd, name_families
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import in_few_colors, new_panels
from sbnn.plotting.latent import HALF, rank_genes
from sbnn.plotting.maps import map_image, map_triangles


@pytest.mark.parametrize(
    ("options", "panels"),
    [({"n_folds": 1}, 3), ({"variants": (False,)}, 2), ({"widths": (2, 4, 6, 8)}, 3)],
)
def test_bottleneck_comparison_of_any_grid(options, panels):
    network = network_record(**options)
    published = [
        {"rank": 2, "n_genes": n, "test_r2": r2} for n, r2 in ((1, 0.2), (4, 0.3), (30, 0.4))
    ]
    models = network, linear_record(n_folds=len(network.test_r2)), ridge_record()
    figure = plotting.bottleneck_comparison(*models, None if "widths" in options else published)
    assert_tidy(figure)
    assert len(figure.axes) == panels and ("(published 0.300)" in words(figure)) == (
        "widths" not in options
    )
    dots = [
        float(line.get_xdata()[0]) for line in figure.axes[0].lines if line.get_marker() in [*"s^v"]
    ]
    assert dots == pytest.approx(
        [5 * 1.045**place for place in ([1], [-2, 2, 6])[len(dots) > 1]]
    ), "side by side"


def test_a_crowded_place_of_a_map_is_drawn_once_more_in_an_empty_corner():
    rng = np.random.default_rng(0)
    # two corners are empty
    spread = np.column_stack([np.linspace(0.1, 0.9, 60), np.linspace(0.9, 0.1, 60)])
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
    place = inset.get_window_extent().transformed(ax.transAxes.inverted())
    assert place.bounds == pytest.approx((-0.1, 0, 0.3, 0.3)), "at the lower left"
    full, x = (
        np.where(np.arange(120)[:, None] % 4, xy, [1, 0] + [-1, 1] * xy),
        np.linspace(0.1, 0.9, 120),
    )
    even = np.column_stack([x, 1 - x + np.resize([-0.1, 0.1], 120)])
    for families, places in (("a", xy), ("aaaaaaaaab", xy), ("ab", full), ("ab", even)):
        ax, fit.labels["family"] = mpl.figure.Figure().subplots(), np.resize([*families], 120)
        draw_crowd(ax, places, Groups(fit))
        assert not ax.child_axes, (
            "one group or nearly so, no room, or no crowd: nothing needs a second look"
        )


def test_cells_without_types_are_coloured_by_clusters_of_their_outputs():
    fit = fit_record()
    rng = np.random.default_rng(0)
    own = rng.permutation(np.repeat([0, 1, 2], [45, 30, 15]))
    fit.values["outputs"] = np.eye(4)[own] * 5 + 0.3 * rng.normal(size=(90, 4))
    fit.labels.loc[:, ["family", "type"]] = "", "unknown"
    groups = Groups(fit)
    assert [set(own[groups.families == f"cluster {i + 1}"]) for i in range(3)] == [{0}, {1}, {2}], (
        "the largest first"
    )
    text = words(plotting.latent_panels(fit))
    assert (
        "no types are known: clusters of the outputs (cells)" in text and "cluster 3 (15)" in text
    )
    assert list(groups.colors[own == 1]) == [OKABE_ITO[1]] * 30
    maps = {name: fit.embedding for name in ("transcriptome", "outputs")} | {
        "n_transcriptome": 2,
        "n_outputs": 2,
    }
    tsne = replace(fit, values=maps | {name: fit.values[name] for name in ("labels", "colors")})
    assert "cluster 3 (15)" in words(plotting.tsne_pair(tsne, fit=fit))
    assert "unknown (90)" in words(plotting.tsne_pair(tsne))
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
    # half covered: the outline is smooth
    assert (inner < outline - 20).any() and (outline < 255).any()


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
    assert (
        0.8 < (np.abs(ux * vy - uy * vx) / 2)[middle[:, 0] < 1.5].sum() / (np.pi * (1 - 0.7**2)) < 1
    )
    assert len(np.unique(shown)) > 970  # and hardly a cell is left out
    assert map_triangles(np.column_stack([np.arange(5.0), np.arange(5.0)])) is None


def test_the_same_record_gives_the_same_bytes_whatever_the_users_style(tmp_path):
    record, before = fit_record(), dict(mpl.rcParams)
    first = plotting.save_figure(
        plotting.latent_panels(record), tmp_path / "one" / "figure1.v2", pdf=True
    )
    assert dict(mpl.rcParams) == before
    with mpl.rc_context(
        {"font.size": 20, "axes.facecolor": "yellow", "savefig.dpi": 50, "pdf.fonttype": 3}
    ):
        second = plotting.save_figure(
            plotting.latent_panels(record), tmp_path / "two" / "figure1.v2", pdf=True
        )
    [third] = plotting.save_figure(
        plotting.latent_panels(record), tmp_path / "three" / "figure1.v2"
    )
    assert [path.name for path in first] == ["figure1.v2.png", "figure1.v2.pdf"]
    assert third.read_bytes() == first[0].read_bytes()
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    pdf = first[1].read_bytes()
    packed = re.findall(rb"/FlateDecode.*?stream\n(.*?)\nendstream", pdf, re.S)
    # objects may be packed in streams
    pdf += b"".join(zlib.decompressobj().decompress(part) for part in packed)
    assert b"CreationDate" not in pdf
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf  # TrueType: text stays text
    with Image.open(first[0]) as image:
        assert image.mode == "P" and image.size[0] == round(7.2 * 200)
    figure, ax = new_panels(1)
    figure.colorbar(ax.imshow(np.linspace(0, 1, 1000)[np.newaxis], aspect="auto"))
    with Image.open(plotting.save_figure(figure, tmp_path / "bar")[0]) as image:
        assert len(image.convert("RGB").getcolors(10_000)) > 256, (
            "a palette puts steps into a colour bar"
        )


def test_an_image_in_few_colours_looks_as_before():
    across, down = np.meshgrid(np.arange(400), np.arange(300))
    before = np.stack((across * 255 // 400, down * 255 // 300, 120 + across // 8), 2).astype(
        np.uint8
    )
    before[:100] = 255
    before[20:60, 20:60] = [1, 2, 3]  # a rare colour
    # the edges of letters, which are no paper
    before[70:90] = np.linspace(240, 255, 400)[:, np.newaxis]
    before = before[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
    Image.fromarray(before).save(png := io.BytesIO(), "png")
    with Image.open(io.BytesIO(in_few_colors(png.getvalue()))) as image:
        after = np.asarray(image.convert("RGB"), int)
    assert (after[:60] == before[:60]).all() and np.abs(after - before).mean() < 4
    assert (after[::2, ::2] == after[1::2, 1::2]).all(), "no dots of other colours"


def test_a_few_genes_far_away_do_not_take_half_of_the_panel():
    record = selection_record(n=4000)
    record.values["mean_log2"][2] = np.nan
    text = words(plotting.gene_selection_curve(record))
    assert "beyond" not in text and "Vip" not in text
    record.values["mean_log2"][:2] = 40
    record.values["selected"][np.flatnonzero(record.selected)[9]] = False
    figure = plotting.gene_selection_curve(record)
    assert figure.axes[0].get_xlim()[1] < 14 and "2 genes beyond 12" in (text := words(figure))
    assert "Sst" not in text and "Gad1" in text and "or in too few cells" in text
    assert_tidy(figure)


def test_a_wrong_record_is_named():
    network, srrr, ridge = network_record(), linear_record(), ridge_record()
    for draw, message in (
        (lambda: plotting.training_curves(srrr), "network: expected .* history"),
        (lambda: plotting.training_curves(network, replace(srrr, sha256="t")), "srrr: .*same data"),
        (
            lambda: plotting.bottleneck_comparison(network, srrr, ridge, n_components=(3,)),
            r".*\(3,\).*s \[2, 64\]",
        ),
        (
            lambda: plotting.gene_selection_curve({"not": "a record"}),
            "record: expected .* mean_log2",
        ),
        (
            lambda: plotting.latent_panels(fit_record(), scores=[replace(srrr, sha256="t")]),
            "scores.*same data",
        ),
        (
            lambda: plotting.overview(fit_record(), selection_record()),
            "halves: expected .* same data",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            draw()


def test_accuracy_comparison_names_the_scaling():
    left, right = linear_record(), ridge_record()
    left.settings = right.settings = {"scaling": "all"}
    chosen = {"sRRR": (left, {"rank": 2}), "ridge": right}
    assert "made up, scaled over all cells" in (text := words(plotting.accuracy_comparison(chosen)))
    assert "ridge, 40 genes" in text
    right.settings, right.values["preselected"] = (
        {"scaling": "fold"},
        np.arange(40) < [[9], [12], [12]],
    )
    text = words(plotting.accuracy_comparison(chosen))
    assert "ridge, 11 genes, scaled per fold" in text and "genes, scaled over all cells" in text
    assert "made up, scaled" not in text


def test_models_of_as_many_genes_are_not_chosen_between():
    record = network_record(widths=(2, 64), lassos=(0.1,), variants=(True,))
    with pytest.raises(ValueError, match=r"models\['m'\]: .* match 2 of"):
        reading.choose_models({"m": record}, 5)


def test_a_family_of_one_type_is_not_shown_from_near():
    record = fit_record()
    own = record.labels["family"] == "A"
    record.labels.loc[own, "type"] = "A1"
    assert "B, 30 of 30 cells" in words(plotting.family_zoom(record)), "the first of several types"
    with pytest.raises(
        ValueError,
        match=r"family: expected a family with several types, one of \['B', 'C'\], got 'A'",
    ):
        plotting.family_zoom(record, family="A")
    with pytest.raises(
        ValueError, match=r"family: expected a family with several types, one of \[\], got None"
    ):
        record.labels["type"] = "unknown"
        plotting.family_zoom(record)


def uneven(straight=(0,), **options):
    """A record of networks of which some folds were not pretrained, as with few cells."""
    record, rng = network_record(**options), np.random.default_rng(1)
    for point, tables in zip(record.params, record.history, strict=True):
        # which were pretrained in all folds
        others = point["n_components"] > 2 and len(straight) == 1
        for fold in straight if point["pretraining"] and not others else ():
            tables[fold] = history(rng, (5,) * 4, False, 0.3)
    return record


@pytest.mark.parametrize("straight", [(0,), (0, 1, 2)])
def test_figures_of_folds_without_pretraining(straight):
    network, srrr = uneven(straight), linear_record()
    assert_tidy(plotting.training_curves(network, srrr, (2, 64)))
    figure = plotting.bottleneck_comparison(network, srrr, ridge_record())
    assert_tidy(figure)
    assert f"pretrained in {3 - len(straight)} of 3 folds" in words(figure)
    assert ("cross-entropy" in words(figure)) == (len(straight) < 3)


def test_stages_that_all_folds_share_begin_together():
    record = network_record(widths=(2,), lassos=(0.1,), variants=(True,))
    rng = np.random.default_rng(0)
    record.history[0][0] = history(rng, (5, 3, 5, 5), False, 0.3)  # straight for 8 epochs
    record.history[0][1] = history(rng, (5, 5, 2, 5), True, 0.3)  # unfrozen for 2 epochs
    tables = reading.epochs(record, 0)
    curves = reading.curve(tables, "eval_r2")
    assert curves.shape == (3, 15)
    missing = np.zeros((3, 15), bool)
    missing[0, 8:10] = missing[1, 7:10] = True
    np.testing.assert_array_equal(np.isnan(curves), missing)
    short = record.history[0][0]
    np.testing.assert_array_equal(curves[0, :8], short.eval_r2[short.stage == "unfrozen"])
    assert reading.regression_stages(tables) == (
        [(1, "frozen"), (6, "unfrozen"), (11, "fine-tuning")],
        15,
    )

    published = [{"n_components": 2, "group_lasso": 0.1, "test_r2": -2.0}]
    panel = plotting.training_curves(record, published=published).axes[0]
    assert panel.get_ylim()[0] < -2, "published values are within the panel"
    line = panel.lines[0].get_ydata()
    np.testing.assert_allclose(line[:7], curves[:, :7].mean(0))
    np.testing.assert_allclose(line[7:8], curves[[0, 2], 7:8].mean(0))  # of the folds that trained


def test_genes_are_ranked_by_norm_or_else_by_how_well_they_are_predicted():
    assert rank_genes(fit_record(n_genes=4)).tolist() == [3, 2, 1, 0]
    record = fit_record(n_genes=4, norms=False)
    record.values["expression"] += 1
    assert rank_genes(record).tolist() == [1, 2, 0, 3]


def test_each_map_stands_below_its_name_the_most_important_first():
    figure = plotting.latent_panels(fit_record(n_genes=11))
    images = [image for ax in figure.axes for image in ax.images]
    shown = dict(zip(figure.texts[1:], images[:9], strict=False))  # after the heading
    assert [text.get_text() for text in shown] == [f"Gene{i}" for i in range(10, 1, -1)]
    width, height = figure.get_size_inches()
    values = np.linspace(0.1, 2, 11)[::-1]
    for (text, image), value in zip(shown.items(), values, strict=False):
        left, right, low, top = image.get_extent()
        assert text.get_position() == pytest.approx(
            ((left + right) / 2 / width, (height - HALF + top + 0.03) / height)
        )
        pixels = np.asarray(image.get_array()).reshape(-1, 3)
        middle = np.median(pixels[(pixels < 255).any(1)], axis=0)
        np.testing.assert_allclose(
            middle / 255, colormaps["inferno"](value / 4 + 0.5)[:3], atol=0.04
        )
    places = np.array([image.get_extent() for image in shown.values()])
    assert (np.diff(places[:3, 0]) > 0).all() and (np.diff(places[::3, 2]) < 0).all(), (
        "row by row from the top"
    )


def test_a_name_among_others_has_a_line_to_its_family():
    xy = np.vstack(
        [np.random.default_rng(0).uniform(size=(400, 2)) * [1, 0.9], [[0.5, 0.5], [0.502, 0.5]]]
    )
    families, ax = (
        np.repeat(["large", "small"], [400, 2]),
        mpl.figure.Figure(figsize=(4, 4)).subplots(),
    )
    name_families(
        ax, SimpleNamespace(families=families, table=pd.DataFrame(index=["large", "small"])), xy
    )
    [line], names = ax.lines, {text.get_text(): text for text in ax.texts}
    ends, box = ax.transData.transform(line.get_xydata()), names["small"].get_window_extent()
    assert tuple(line.get_xydata()[0]) in {(0.5, 0.5), (0.502, 0.5)}
    np.testing.assert_allclose(ends[1], np.clip(ends[0], box.min, box.max), atol=1e-6)


def test_two_components_fill_their_panel_and_a_tsne_keeps_its_proportions(monkeypatch):
    xy, drawn = np.random.default_rng(0).uniform(size=(300, 2)) * [1, 0.4], []
    monkeypatch.setattr(
        "sbnn.plotting.dimensions.draw_cloud", lambda ax, groups, places, *_: drawn.append(places)
    )
    maps = {"transcriptome": xy, "n_transcriptome": 3, "outputs": xy, "n_outputs": 2}
    plotting.tsne_pair(replace(fit := fit_record(n=300), values=fit.values | maps))
    tsne, two = (
        np.linalg.cond(np.linalg.lstsq(xy - xy.mean(0), its - its.mean(0))[0]) for its in drawn
    )
    assert tsne < 1.25 and two == pytest.approx(2.5, rel=0.05)
