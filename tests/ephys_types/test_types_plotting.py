"""Figures of records whose numbers are known."""

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose

from sbnn.ephys_types import plotting, report
from sbnn.results import Record


def texts(figure):
    found = [
        text.get_text() for text in figure.findobj(match=lambda part: hasattr(part, "get_text"))
    ]
    return " ".join(found)


def curves(dataset):
    rows = []
    for model in ("kernel", "trees"):
        for method in (report.WITHOUT, "transfer", report.CONTROL):
            for fold in range(4):
                for n in (25, 50):
                    rows.append((n, model, method, fold // 2, fold % 2, 0.1 * fold + n / 100, 0.5))
    names = ["n_cells", "model", "method", "seed", "fold", "macro_f1", "accuracy"]
    values = {"scores": pd.DataFrame(rows, columns=names)}
    return Record(
        "learning curves", dataset, "s", [{}], settings={"sizes": [25, 50]}, values=values
    )


def test_curves_name_the_cells_of_their_data_set():
    human, simulated = (
        texts(plotting.learning_curves(curves(name))) for name in ("lee_human", "simulated_ephys")
    )
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
    left, right = plotting.zero_shot_scores(record, levels).axes
    assert left.get_title() == "simulated mouse → simulated human"
    assert right.get_title() == "simulated human → simulated mouse"
    assert_allclose([bar.get_width() for bar in left.patches], [0.1, 0.2, 0.3])
    assert len(left.get_legend_handles_labels()[1]) == 2
    assert not right.get_legend_handles_labels()[1]


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
    assert "−1.00" in figure.get_suptitle()
