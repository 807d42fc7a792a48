"""Print the tables and the numbers of README from committed results: ``python
benchmarks/readme.py``.

``--example`` also runs its example (40 seconds); ``--figure`` draws the picture of the stacked
prediction.
"""

import re
import sys
from math import ceil
from pathlib import Path

import accuracy
import claims
import pandas as pd
import weak_signals

from sbnn import selection_table
from sbnn.data.datasets import DATASETS
from sbnn.dynamics import report as dynamics
from sbnn.evaluation.verdict import verdict
from sbnn.plotting import headline, save_figure
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import draw_differences, finish, name_rows, new_subplots, with_style
from sbnn.plotting.reading import dataset_title
from sbnn.study import report

ROOT = Path(__file__).resolve().parents[1]
SAVED = ROOT / "saved_models"
#: Records of M1 in the first table, and how the row is called: model, genes, map.
ROWS = {
    "cv_published": "| network of the paper: group lasso, pruned, fine-tuned | 25 | yes",
    "cv_distilled": "| **distilled network**, the default | 25 | yes",
    "cv_ridge": "| ridge regression | 1000 | no",
    "cv_stacked": "| **both stacked**: weighted mean of distilled network and ridge | 1000 | yes",
}
#: What models are called in the picture.
SHOWN = {"distilled": "network", "ridge": "ridge", "stacked": "both stacked"}
FIGURE = ROOT / "docs" / "images" / "stacked"
MADE_UP = "simulated"
SAME_CELLS = "scala_ion_channels"  # as M1
COUNTS = ("none", "one", "two", "three", "four", "five", "six", "seven")
ROW_HEIGHT, PANEL_HEIGHT = 0.25, 1.6  # inches


def passages():
    """Rows of tables and parts of sentences of README, as they stand there."""
    return [
        *of_m1(),
        *of_claims(),
        *of_stacking(),
        *of_genes(),
        *of_losses(),
    ]


def of_m1():
    """Test R2 of M1 with its interval, and of other mice and later dates."""
    records = report.read_study_records(SAVED / "scala")
    rows = []
    for name, row in ROWS.items():
        interval = verdict(records[name], point=_two_units(records[name])).interval
        rows.append(f"{row} | {format_interval(interval)} |")
    seeds = records["map_trust"].agreement
    mice = records["apart_mouse_distilled"].test_r2.mean()
    dates = {}
    for name in ("distilled", "ridge", "stacked"):
        dates[name] = f"{records[f'apart_date_{name}'].test_r2.mean():.3f}"
    gap = report.model_differences(records)["distilled minus ridge"]
    return [
        *rows,
        f"the default and ridge are {'not ' if gap.low <= 0 <= gap.high else ''}distinguishable",
        f"{len(records['fit_distilled_2d'].cell_names)} neurons of mouse motor cortex",
        f"R² {seeds.min():.2f} to {seeds.max():.2f}",
        f"R² of the default on M1 is {mice:.3f}; on later recording dates it is {dates['distilled']} "
        f"(ridge {dates['ridge']}, stacked {dates['stacked']})",
    ]


def of_claims():
    """Numbers in the sentences about the published claims."""
    ours = claims.measure()
    of_abstracts = claims.claims_tables()["Claims of the abstracts"]
    n_claims, n_reproduced, n_in_part = claims.count_verdicts(of_abstracts)
    n_open = (of_abstracts["verdict"] == "open").sum()
    grn = dynamics.read_dynamics_records(SAVED / "grn_350")
    prior = dynamics.mean_scores(grn, "noise_5").loc["prior", "balanced_accuracy"]
    return [
        f"Of {n_claims} claims of their abstracts, {n_reproduced} are reproduced, {n_in_part} in "
        f"part, {n_claims - n_reproduced - n_in_part - n_open} are not, and {n_open} is open",
        f"R² {ours['sbnn'].mean:.3f}, published {claims.published('sbnn'):.3f}",
        f"{ours['dash, 5 %'].mean:.3f}, published {claims.published('dash, 5 %'):.3f}",
        f"the prior alone has {prior:.3f}",
    ]


def of_stacking():
    """On how many measured data sets the stacked prediction is better than ridge."""
    studies = stacked_studies()
    gains = {
        dataset_title(name): report.model_differences(records)["stacked minus ridge"]
        for name, records in studies.items()
        if name not in (MADE_UP, SAME_CELLS)
    }
    n_better = sum(gain.low > 0 for gain in gains.values())
    level = [title for title, gain in gains.items() if gain.low <= 0 <= gain.high]
    return [
        f"of {COUNTS[len(gains)]} measured data sets that share no cells, it is better than ridge "
        f"on {COUNTS[n_better]} and not distinguishable from it on {COUNTS[len(level)]}, "
        f"{', '.join(level)}"
    ]


def lowest_text():
    """Whether test R2 of the stacked prediction is anywhere lower, from the least difference."""
    least = min(
        difference.mean
        for records in stacked_studies().values()
        for title, difference in report.model_differences(records).items()
        if title.startswith("stacked")
    )
    text = "On none is its R² lower than that of ridge or of the network"
    return f"{text}." if least >= 0 else f"{text} by more than {ceil(-1000 * least) / 1000:.3f}."


def of_losses():
    """How far the network is behind ridge on weak signals, and where a forest is as good."""
    scores = pd.read_csv(weak_signals.SAVED).groupby(["signal", "cells"]).mean()
    loss = scores["ridge"] - scores["distilled"]
    like_a_forest = []
    studies = stacked_studies()
    for name in studies:
        of_peers = accuracy.scores_of(name)
        of_peers = of_peers[of_peers["n_genes"] == accuracy.AT]
        forest = accuracy.differences_of(of_peers, name)["greedy_forest"]
        if forest.low <= 0 <= forest.high:
            like_a_forest.append(name)
    return [
        f"by {loss['microRNA', 240]:.3f} on microRNA of tumours and by "
        f"{loss['factors', 240]:.3f} on simulated factors",
        f"on {COUNTS[len(like_a_forest)]} of {COUNTS[len(studies)]} data sets",
    ]


def stacked_studies():
    """Records of each data set with a stacked prediction, by its name, as in the list of data."""
    studies = {}
    for folder in sorted(
        report.study_folders(SAVED), key=lambda folder: DATASETS.index.get_loc(folder.name)
    ):
        records = report.read_study_records(folder)
        if "cv_stacked" in records:
            studies[folder.name] = records
    return studies


@with_style
def draw_comparison():
    """Differences of test R2 between network, ridge and both stacked, on each data set."""
    studies = stacked_studies()
    made_up = {MADE_UP: studies.pop(MADE_UP)}  # whose differences are several times larger
    figure, subplots = new_subplots(
        PANEL_HEIGHT + ROW_HEIGHT * len(studies),
        n_rows=2,
        n_columns=len(report.COMPARISONS),
        height_ratios=(len(studies), len(made_up)),
        sharex="row",
        sharey="row",
    )
    n_better = []
    for row, shown in zip(subplots, (studies, made_up), strict=True):
        of_studies = pd.DataFrame(map(report.model_differences, shown.values()))
        for ax, (model, reference) in zip(row, report.COMPARISONS, strict=True):
            differences = of_studies[f"{model} minus {reference}"]
            colors = [model_color(records[f"cv_{model}"]) for records in shown.values()]
            draw_differences(ax, differences, colors=colors, reference=SHOWN[reference])
            n_better.append(sum(difference.low > 0 for difference in differences))
        name_rows(row[0], [_with_cells(name, records) for name, records in shown.items()])
    for ax, (model, _) in zip(subplots[0], report.COMPARISONS, strict=True):
        ax.set(title=f"test R² of {SHOWN[model]}", xlabel="")
    _, than_ridge, than_network, *_ = n_better
    finding = (
        f"Network and ridge stacked: better than ridge on {than_ridge} of {len(studies)} measured "
        f"sets, than the network on {than_network}"
    )
    return headline(finish(figure, [subplots[0]]), finding)


def _with_cells(name, records):
    """Title of a data set with its number of cells."""
    train, test = records["cv_ridge"].folds[0]
    return f"{dataset_title(name)} (n = {len(train) + len(test)})"


def of_genes():
    """Numbers in the text about the genes of M1."""
    m1 = report.read_study_records(SAVED / "scala")
    fit = m1["fit_distilled_2d"]
    trusted = selection_table(m1["halves_distilled"])["trusted"]
    return [
        f"the {len(fit.kept_genes)} genes that were kept, of {len(fit.gene_names)}",
        f"{len(m1['halves_distilled'].folds)} random halves",
        f"On M1, {trusted.sum()} of {len(fit.kept_genes)} genes are trusted",
    ]


def _two_units(record):
    """The grid point with two units; ridge has no such parameter, and one grid point."""
    return next(iter(record.points(n_components=2)), 0)


def format_interval(difference):
    """Mean with its interval, without a plus sign."""
    return f"{difference.mean:.3f} [{difference.low:.3f}, {difference.high:.3f}]"


def run_example():
    """Run the Python code of README."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec(code, {})


if __name__ == "__main__":
    print(*passages(), sep="\n\n")
    if "--figure" in sys.argv:
        save_figure(draw_comparison(), FIGURE)
    if "--example" in sys.argv:
        run_example()
