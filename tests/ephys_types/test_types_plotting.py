"""Figures of records whose numbers are known."""

import numpy as np
import pandas as pd
from made_up import words
from numpy.testing import assert_allclose

from sbnn.ephys_types import plotting, report
from sbnn.results import Record


def curves(dataset):
    rows = []
    for model in ("kernel", "trees"):
        for step, method in enumerate((report.WITHOUT, "transfer", report.CONTROL)):
            for fold in range(4):
                for n in (25, 50):
                    f1 = 0.1 * fold + n / 100 + 0.01 * step * (model == "trees")
                    rows.append((n, model, method, fold // 2, fold % 2, f1, 0.5))
    names = ["n_cells", "model", "method", "seed", "fold", "macro_f1", "accuracy"]
    values = {"scores": pd.DataFrame(rows, columns=names)}
    return Record(
        "learning curves", dataset, "s", [{}], settings={"sizes": [25, 50]}, values=values
    )


def test_curves_name_the_cells_of_their_data_set_and_the_largest_gain():
    human, simulated = (
        words(plotting.learning_curves(curves(name))) for name in ("lee_human", "simulated_ephys")
    )
    assert "gain by cells of the other species is +0.010 [+0.010, +0.010] (trees, " in human
    assert "labelled human cells" in human
    assert "human only, two experts" in human
    assert "labelled simulated human cells" in simulated
    assert "human only" not in simulated


def test_directions_of_transfer_and_the_levels_of_the_target():
    rows = []
    for way in (
        "simulated_ephys_mouse -> simulated_ephys",
        "simulated_ephys -> simulated_ephys_mouse",
    ):
        rows += [(way, method, 0, 0.1 * i) for i, method in enumerate(plotting.ALIGNMENTS, 1)]
    scores = pd.DataFrame(rows, columns=["way", "method", "seed", "macro_f1"])
    record = Record("zero-shot", "simulated_ephys", "s", [{}], values={"scores": scores})
    levels = {"majority": 0.17, "EphysTypeClassifier": 0.8}
    figure = plotting.zero_shot_scores(record, levels)
    left, right = figure.axes
    assert left.get_title() == "simulated mouse → simulated human"
    assert right.get_title() == "simulated human → simulated mouse"
    assert [text.get_text() for text in left.texts] == ["0.100", "0.200", "0.300", "a"]
    assert len(left.get_legend_handles_labels()[1]) == 2
    assert not right.get_legend_handles_labels()[1]
    assert "macro-F1 0.100 with an estimated shift, 0.200 without" in figure.get_suptitle()


def test_families_in_the_order_of_the_cost_of_shuffling():
    rises = np.array([[0.1, 0.5, 0.2], [0.1, 0.3, 0.2]])
    values = {
        "family_names": ["f", "g", "h"],
        "shuffled_log_loss": rises,
        "left_out_log_loss": -rises,
    }
    record = Record("families", "d", "s", [{}], values=values)
    agreement = pd.Series({"shuffled and left out": -1.0}, name="LightGBM")
    figure = plotting.importance_of_families(record, agreement)
    shuffled, left_out = figure.axes
    assert [label.get_text() for label in shuffled.get_yticklabels()] == ["g", "h", "f"]
    assert_allclose([bar.get_width() for bar in left_out.patches], [-0.4, -0.2, -0.1])
    title = figure.get_suptitle()
    assert "of LightGBM: if shuffled, g (0.400 nats); if left out, f (-0.100 nats)" in title
    assert "−1.00" in title


def test_a_map_counts_nearest_neighbours_of_the_same_type():
    labels = pd.DataFrame({"type": ["SST"] * 3 + ["VIP"]})
    tsne = np.array([[0, 0], [0, 1], [0, 3], [0, 7.0]])
    values = {"labels": labels, "tsne": tsne, "components": np.zeros((4, 9))}
    figure = plotting.maps_of_cells(Record("typed cells", "d", "s", [{}], values=values))
    assert "for 75% of the cells (62% by chance)" in figure.get_suptitle()


def test_features_whose_middle_halves_overlap_are_counted():
    scores = pd.DataFrame({"x": [0, 1, 2, 1, 2, 3.0], "y": [0, 1, 2, 5, 6, 7.0]}).rename(
        "c{}".format
    )
    types = pd.Series(["SST"] * 3 + ["VIP"] * 3, scores.index)
    families = pd.Series(["f", "g"], ["x", "y"])
    figure = plotting.feature_profiles(scores, families, types, {"SST": "c1", "VIP": "c4"})
    assert "overlap in 1 of 2 features" in figure.get_suptitle()


def test_panels_of_few_models_have_one_row_of_letters():
    figure, panels = plotting.new_panels(2, 1, 2)
    plotting.finish(figure, [panels, []])
    assert [ax.texts[0].get_text() for ax in panels] == ["a", "b"]


def test_a_confusion_shows_shares_of_the_true_type_and_cells():
    _, ax = plotting.new_panels(2)
    image = plotting.draw_confusion(ax, np.array([[3, 1], [0, 2]]), ["a", "b"])
    assert image.get_array().tolist() == [[0.75, 0.25], [0, 1]]
    assert [text.get_text() for text in ax.texts] == ["0.75\n3", "0.25\n1", "0.00\n0", "1.00\n2"]
