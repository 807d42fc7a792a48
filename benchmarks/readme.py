"""Print the tables and the numbers of README from committed results: ``python
benchmarks/readme.py``.

``--example`` also runs its example (40 seconds); ``--figure`` draws its second picture.
"""

import re
import sys
from math import ceil
from pathlib import Path

import accuracy
import claims
import maps
import network_forest
import pandas as pd

from sbnn import selection_table
from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import report as types
from sbnn.evaluation.verdict import paired_difference, verdict
from sbnn.mechanism_shift import report as screens
from sbnn.plotting import save_figure
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import draw_differences, finish, name_rows, new_subplots, with_style
from sbnn.study import report

ROOT = Path(__file__).resolve().parents[1]
SAVED = ROOT / "saved_models"
#: Records of M1 in the first table, and how the row is called: model, genes, map.
ROWS = {
    "cv_distilled": "| **sbnn** (distilled network, the default) | 25 | yes",
    "cv_published": "| network as published (Bernaerts et al.) | 25 | yes",
    "cv_ridge": "| ridge regression | 1000 | no",
    "cv_stacked": "| **sbnn** and ridge, stacked | 1000 | that of sbnn",
}
#: Panels of the picture: a model, and the one that it is compared with.
COMPARISONS = (
    ("distilled, d=2", "ridge, all genes"),
    ("distilled + ridge, all genes", "ridge, all genes"),
    ("distilled + ridge, all genes", "distilled, d=2"),
)
FIGURE = ROOT / "docs" / "images" / "stacked"
NAMES = {
    "scala": "M1",
    "scala_ion_channels": "ion channels",
    "pbmc_10k_protein": "PBMC",
    "citeseq_cd8": "CD8",
    "citefuse": "citefuse",
    "tcga_breast": "tumours",
    "simulated": "simulated cells",
}
COUNTS = ("none", "one", "two", "three", "four", "five", "six", "seven")
ROW_HEIGHT = 0.25  # inches


def passages():
    """Rows of tables and parts of sentences of README, as they stand there."""
    return [
        *of_m1(),
        *of_claims(),
        *of_few_genes(),
        *of_stacking(),
        *of_networks(),
        *of_companions(),
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
    return [
        *rows,
        f"{len(records['fit_distilled_2d'].cell_names)} neurons of mouse motor cortex",
        f"R² {seeds.min():.2f} to {seeds.max():.2f}",
        f"R² on M1 is {mice:.3f}; on later recording dates it is {dates['distilled']} "
        f"(ridge {dates['ridge']}, stacked {dates['stacked']})",
        *of_maps(),
    ]


def of_maps():
    """Share of held-out cells of M1 with the right family by their neighbours on a map."""
    rows = pd.read_csv(maps.SAVED)
    families = rows[(rows["data"] == "scala") & (rows["label"] == "family")]
    accuracy = families.groupby("method")["accuracy"].mean()
    best_linear = max(accuracy[name] for name in accuracy.index if name.endswith("all genes"))
    return [
        f"give {accuracy[maps.NETWORK]:.3f} of held-out cells the right family, on the best "
        f"linear map {best_linear:.3f}"
    ]


def of_claims():
    """Numbers in the sentences about the published claims."""
    ours = claims.measure()
    of_abstracts = claims.claims_tables()["Claims of the abstracts"]
    n_claims, n_reproduced, n_in_part = claims.count_verdicts(of_abstracts)
    grn = dynamics.read_dynamics_records(SAVED / "grn_350")
    prior = dynamics.mean_scores(grn, "noise_5").loc["prior", "balanced_accuracy"]
    return [
        f"Of {n_claims} claims of their abstracts, {n_reproduced} are reproduced, and {n_in_part} "
        "in part",
        f"R² {ours['sbnn'].mean:.3f}, published {claims.published('sbnn'):.3f}",
        f"by {format_interval(ours['pretraining, all layers'])}",
        f"{ours['human bilstm'].mean:.3f}, published {claims.published('human bilstm'):.3f}",
        f"{ours['dash, 5 %'].mean:.3f}, published {claims.published('dash, 5 %'):.3f}",
        f"prior has {prior:.3f}",
    ]


def of_stacking():
    """On how many data sets the stacked prediction is better than ridge, and the least of its gains."""
    gains = [report.stacking_gains(records) for records in stacked_studies().values()]
    over_ridge = [gain["distilled + ridge, minus ridge"] for gain in gains]
    n_better = sum(gain.low > 0 for gain in over_ridge)
    n_worse = sum(gain.high < 0 for gain in over_ridge)
    least = min(difference.mean for gain in gains for difference in gain.values())
    n_level = len(gains) - n_better - n_worse
    over_network = [gain["distilled + ridge, minus distilled"] for gain in gains]
    n_better_than_network = sum(gain.low > 0 for gain in over_network)
    return [
        f"better than ridge on {n_better} of {len(gains)} data sets",
        f"not distinguishable from it on {n_level}",
        f"better than the network on {n_better_than_network}",
        lowest_text(least),
    ]


def lowest_text(difference):
    """Whether test R2 is anywhere lower than that of ridge or of the network, from the least."""
    text = "On none is its R² lower than that of ridge or of the network"
    if difference >= 0:
        return f"{text}."
    return f"{text} by more than {ceil(-1000 * difference) / 1000:.3f}."


def of_few_genes():
    """On how many data sets the network is better than ridge, and not better than a forest."""
    studies = stacked_studies()
    n_better = 0
    for records in studies.values():
        n_better += _difference_of(records, "cv_distilled", "cv_ridge").low > 0
    like_a_forest = []
    for name in studies:
        scores = accuracy.scores_of(name)
        scores = scores[scores["n_genes"] == accuracy.AT]
        forest = accuracy.differences_of(scores, name)["greedy_forest"]
        if forest.low <= 0 <= forest.high:
            like_a_forest.append(name)
    n_all = COUNTS[len(studies)]
    names = ", ".join(NAMES[name] for name in sorted(like_a_forest, key=[*NAMES].index))
    return [
        f"On {COUNTS[n_better]} other data sets, it is better than ridge",
        f"not distinguishable from ridge on {COUNTS[len(studies) - n_better]} of the {n_all}",
        f"On {COUNTS[len(like_a_forest)]} of the {n_all} ({names})",
    ]


def stacked_studies():
    """Records of each data set with a stacked prediction, by its name."""
    studies = {}
    for folder in report.study_folders(SAVED):
        records = report.read_study_records(folder)
        if "cv_stacked" in records:
            studies[folder.name] = records
    return studies


@with_style
def draw_comparison():
    """Differences of test R2 between network, ridge and both stacked, on each data set."""
    studies = stacked_studies()
    height = 0.9 + ROW_HEIGHT * len(studies)
    headline = "Difference in test R², paired over ten folds"
    figure, axes = new_subplots(height, headline, n_columns=len(COMPARISONS), sharey=True)
    for ax, (model, reference) in zip(axes, COMPARISONS, strict=True):
        differences = []
        for records in studies.values():
            models = report.main_models(records)
            pair, points = zip(models[model], models[reference], strict=True)
            differences.append(paired_difference(*pair, "test_r2", points))
        colors = [model_color(pair[0])] * len(differences)
        draw_differences(ax, differences, colors=colors, reference=reference.partition(",")[0])
        ax.set_title(model.partition(",")[0])
    name_rows(axes[0], [*studies])
    return finish(figure, [axes])


def of_networks():
    """Numbers in the text about the genes of M1, and about M1, CD8 and tumours."""
    m1 = report.read_study_records(SAVED / "scala")
    fit = m1["fit_distilled_2d"]
    trusted = selection_table(m1["halves_distilled"])["trusted"]
    cd8 = report.read_study_records(SAVED / "citeseq_cd8")
    tumours = report.read_study_records(SAVED / "tcga_breast")
    return [
        f"the {len(fit.kept_genes)} genes that were kept out of {len(fit.gene_names)}",
        f"{len(m1['halves_distilled'].folds)} random halves",
        f"On M1, {trusted.sum()} of {len(fit.kept_genes)} genes are trusted",
        _difference(m1, "cv_distilled", "cv_ridge"),
        _difference(cd8, "cv_distilled", "cv_ridge"),
        _difference(tumours, "cv_distilled", "cv_ridge"),
    ]


def _difference(records, one, other):
    return format_interval(_difference_of(records, one, other))


def _difference_of(records, one, other):
    a, b = records[one], records[other]
    return paired_difference(a, b, "test_r2", (_two_units(a), _two_units(b)))


def _two_units(record):
    """The grid point with two units; ridge has no such parameter, and one grid point."""
    return next(iter(record.points(n_components=2)), 0)


def format_interval(difference):
    """Mean with its interval, without a plus sign."""
    return f"{difference.mean:.3f} [{difference.low:.3f}, {difference.high:.3f}]"


def of_companions():
    """Numbers in the text about types, screens and dynamics."""
    *_, classes = types.types_overview(SAVED).values()
    classes = classes.loc["human, 4 classes"]
    ours, lightgbm = (classes[name].split()[0] for name in ("EphysTypeClassifier", "LightGBM"))
    papalexi = screens.screens_tables(screens.read_screens_records(SAVED / "papalexi"))
    edges = papalexi["Edges in half of the cells"]["targets"].droplevel("screen")
    records = dynamics.read_dynamics_records(SAVED / "yeast_pramila")
    error = dynamics.mean_scores(records, "real")["relative"]
    auroc = network_forest.all_scores("grn_350", "noise_5")["auroc"].groupby("method").mean()
    return [
        f"{classes['cells']} human neurons",
        f"a macro-F1 of {ours}",
        f"LightGBM {lightgbm}",
        f"a test of single genes finds {edges['z-scored differences']}, "
        f"SVAE+ finds {edges['SVAE+, our training + effects']} with its edges to genes, "
        f"and {edges['SVAE+, our training']} by its latents",
        f"unmixed principal components find {edges['PCA, unmixed']}",
        f"relative to that of no change is {error['ar1_ridge']:.3f}",
        f"PHOENIX and DASH are {error['none']:.3f} and {error['dash']:.3f}",
        f"its AUROC is {auroc['forest_prior']:.3f}, that of the best network, PHOENIX with the "
        f"prior in its loss, {auroc['phoenix']:.3f}",
    ]


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
