"""Which published claims hold, and what pretraining and freezing are worth.

    python benchmarks/claims.py [--arrays]

Prints the first table of docs/results.md and the table of strategies of benchmarks/paper.md from
committed records, ``claims.csv`` and ``strategies_published.csv``. With ``--arrays``, the latter is
computed again from the arrays stored with the published code (downloaded if they are missing).

Rules of the verdicts:

- A score is reproduced if ours differs by at most 0.02. If it differs by more, and the published
  one is inside our 95 % interval, the claim is open.
- A difference is reproduced if its interval is above 0. It is open if both differences are above 0
  and our interval includes 0 and the published one. If the published interval includes 0, too, the
  difference is shown in neither.
- A claim that two models are level is reproduced if the interval of their difference includes 0.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pages import print_tables

from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import report as types
from sbnn.evaluation.scores import scores_table
from sbnn.evaluation.verdict import PairedDifference, corrected_difference, paired_difference
from sbnn.mechanism_shift import report as screens
from sbnn.metrics import folds_counted, test_fraction
from sbnn.results import load_folder
from sbnn.study import report
from sbnn.study.published import FOLDERS, published_curves, published_differences

HERE = Path(__file__).resolve().parent
SAVED = HERE.parent / "saved_models"
TOLERANCE = 0.02  # of a score that is reproduced
STRATEGIES_FILE = HERE / "strategies_published.csv"
#: Data sets of the table of strategies, ours and published.
OURS = ("scala", "scala_ion_channels", "citeseq_cd8", "pbmc_10k_protein", "simulated")
DATA_TITLES = {
    "scala": "M1",
    "scala_ion_channels": "ion channels",
    "gouwens": "V1",
    "stoeckius": "cord blood",
}


def claims_table():
    """Published claims with their numbers, ours, verdicts, and where to read more."""
    claims = pd.read_csv(HERE / "claims.csv")
    texts = ["label", "text", "where"]
    claims[texts] = claims[texts].fillna("")
    ours = measure()
    rows = []
    for (system, claim), of_claim in claims.groupby(["system", "claim"], sort=False):
        theirs, found = [], []
        verdicts = {}
        for comparison in of_claim.itertuples():
            measured = ours.get(comparison.measure)
            verdicts[comparison.label] = judge(comparison, measured)
            theirs.append(format_published(comparison))
            if measured is not None:
                found.append(label_number(comparison.label, format_number(measured, comparison)))
        row = {
            "system": system,
            "claim": claim,
            "published": "; ".join(filter(None, theirs)),
            "ours": "; ".join(found),
            "verdict": summarise(verdicts),
            "where": of_claim["where"].iloc[0],
        }
        rows.append(row)
    return pd.DataFrame(rows).set_index("system")


def published(name):
    """Published number of a comparison."""
    claims = pd.read_csv(HERE / "claims.csv", index_col="measure")
    return claims.loc[name, "published"]


def judge(comparison, measured):
    """Verdict of one comparison, by the rules at the top of this file."""
    if measured is None:
        return "not testable here"
    is_inside = measured.low <= comparison.published <= measured.high
    includes_0 = measured.low <= 0 <= measured.high
    if comparison.kind == "score":
        if abs(measured.mean - comparison.published) <= TOLERANCE:
            return "reproduced"
        return "open" if is_inside else "not reproduced"
    if comparison.kind == "level":
        return "reproduced" if includes_0 else "not reproduced"
    if measured.low > 0:
        return "reproduced"
    if comparison.low <= 0:  # the published interval
        return "shown in neither"
    is_open = measured.mean > 0 and is_inside and comparison.published > 0
    return "open" if is_open else "not reproduced"


def summarise(verdicts):
    """The verdict of several comparisons, or each verdict with the labels that have it."""
    labels = {}
    for label, verdict in verdicts.items():
        labels.setdefault(verdict, []).append(label)
    if len(labels) == 1:
        return verdict
    return "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in labels.items())


def format_published(comparison):
    """Published number with its interval; a figure if no number is printed."""
    if comparison.kind == "untestable" or np.isnan(comparison.published):
        return comparison.text
    number = PairedDifference(comparison.published, comparison.low, comparison.high)
    return label_number(comparison.label, format_number(number, comparison))


def label_number(label, number):
    """A number after its label, if it has one."""
    return f"{label} {number}".strip()


def format_number(number, comparison):
    """Mean with its interval, if it has one; differences with their sign."""
    sign = "" if comparison.kind == "score" else "+"
    text = f"{number.mean:{sign}.3f}"
    if np.isnan(number.low):
        return text
    return f"{text} [{number.low:{sign}.3f}, {number.high:{sign}.3f}]"


def measure():
    """Our numbers by the names that ``claims.csv`` gives them."""
    return of_networks() | of_screens() | of_types() | of_dynamics()


def of_networks():
    """Scores and differences of sparse bottleneck networks on mouse M1."""
    m1 = report.read_study_records(SAVED / "scala")
    networks = m1["cv_published_scaled_over_all_cells"]
    srrr = m1["cv_srrr_scaled_over_all_cells"]
    usual = networks.find(n_components=2, **report.STANDARD)
    straight_64 = networks.find(n_components=64, **report.STANDARD | {"pretraining": False})
    weak = networks.find(n_components=2, pretraining=True, group_lasso=1e-4)
    rank_2 = srrr.best_with_at_most(report.N_GENES, rank=2)
    full_rank = srrr.best_with_at_most(24, rank=16)
    strategies = report.strategy_differences(m1)
    return {
        "sbnn": mean_over_folds(networks, "test_r2", usual),
        "sbnn, d=64": mean_over_folds(networks, "test_r2", straight_64),
        "sbnn, weak lasso": mean_over_folds(networks, "test_r2", weak),
        "srrr": mean_over_folds(srrr, "test_r2", rank_2),
        "sbnn minus srrr": paired_difference(networks, srrr, "test_r2", (usual, full_rank)),
        "pretraining": strategies["pretrained, all layers, minus straight"],
        "freezing": strategies["frozen first minus all layers"],
    }


def of_screens():
    """Differences between SVAE+ and other published methods, on simulated and real screens."""
    records = screens.read_screens_records(SAVED / "simulated_screen")
    methods = {name: records[f"script_{name}"] for name in ("svae+", "vae", "ivae", "svae")}
    scores = scores_table(methods)
    found = {}
    for score in ("mcc", "f1"):
        by_screen = scores[score].unstack("method")
        for rival in ("vae", "ivae", "svae"):
            ahead = by_screen["svae+"] - by_screen[rival]
            found[f"{score} over {rival}"] = corrected_difference(ahead, 0)
    for rival in ("vae", "ivae"):
        by_screen = likelihood_by_screen(records[f"new_script_{rival}"])
        ahead = likelihood_by_screen(records["new_script_svae+"]) - by_screen
        found[f"new perturbations over {rival}"] = corrected_difference(ahead, 0)
    new = load_folder(SAVED / "papalexi", "shift_new_")
    after = {name: likelihood_by_fold(record) for name, record in new.items()}
    for rival in ("VAE", "iVAE"):
        ahead = after["SVAE+"] - after[rival]
        # five folds: a quarter as many test as training targets
        found[f"papalexi over {rival}"] = corrected_difference(ahead, 1 / 4)
    return found


def likelihood_by_screen(record):
    """IWELBO of held-out perturbations whose shifts are learned, mean of each simulated screen."""
    bounds = record.bounds[record.bounds["step"] == "after"]
    return bounds.groupby("seed")["iwelbo"].mean()


def likelihood_by_fold(record):
    """IWELBO of targets whose shifts are learned, mean of each fold but the pathway."""
    bounds = record.bounds[record.bounds["step"] == "after"]
    pathway, *_ = bounds["together"]
    return bounds.groupby("together")["IWELBO"].mean().drop(pathway)


def of_types():
    """Scores and differences of types from electrophysiology, with splits as published."""
    human = types.records_of_kind(load_folder(SAVED / "lee_human"), "types_stratified")
    mouse = types.records_of_kind(load_folder(SAVED / "gouwens_ephys"), "types5_stratified")
    transfer = load_folder(SAVED / "lee_human_shared", "transfer_stratified_")
    found = {"mouse forest": mean_over_folds(mouse["sparse_pca_forest"], "macro_f1")}
    for name in ("bilstm", "bilstm_smote", "bilstm_arcface"):
        found[f"human {name}"] = mean_over_folds(human[name], "macro_f1")
        found[f"human {name}, accuracy"] = mean_over_folds(human[name], "accuracy")
        gain = paired_difference(mouse[name], mouse["bilstm_no_attention"])
        found[f"mouse {name} minus no attention"] = gain
    found["joint"] = paired_difference(transfer["joint"], transfer["bilstm_accuracy"])
    return found


def of_dynamics():
    """Balanced accuracy of edges in simulated networks, and AUROC of shares on breast cancer."""
    records = dynamics.read_dynamics_records(SAVED / "grn_350")
    found = {}
    for noise in (0, 5, 10):
        # DASH and PHOENIX with the prior in its loss were fitted to more draws than the others
        draws = [f"noise_{noise}", f"more_noise_{noise}"]
        scores = pd.concat([dynamics.condition_scores(records, name) for name in draws])
        by_method = scores["balanced_accuracy"].drop("prior", level="method").unstack("method")
        for name, values in by_method.items():
            found[f"{name}, {noise} %"] = corrected_difference(values.dropna(), 0)
        ahead = (by_method["dash"] - by_method["biological"]).dropna()
        found[f"dash minus biological, {noise} %"] = corrected_difference(ahead, 0)
    breast = dynamics.read_dynamics_records(SAVED / "breast_desmedt")
    # the published score of an edge is its share of all effects on the target
    of_dash, of_prior = (breast[f"published_{name}"].scores for name in ("dash", "prior"))
    ahead = of_dash["auroc_share"] - of_prior["auroc_share"]
    found["breast, dash minus prior"] = corrected_difference(ahead, 0)
    return found


def mean_over_folds(record, metric, point=0):
    """Mean of a metric over folds, with its interval."""
    values = record.values[metric][:, point]
    return corrected_difference(values, test_fraction(record.folds), folds_counted(record.folds))


def strategies_table():
    """Differences between the strategies on all data sets, ours and published."""
    rows = {}
    for name in OURS:
        records = report.read_study_records(SAVED / name)
        rows["ours", name, 2] = report.strategy_differences(records)
    published = pd.read_csv(STRATEGIES_FILE)
    for row in published.itertuples():
        place = ("published", DATA_TITLES[row.dataset], row.n_components)
        difference = PairedDifference(row.mean, row.low, row.high)
        rows.setdefault(place, {})[row.difference] = difference
    table = pd.DataFrame(rows).T.map(str, na_action="ignore")
    return table.rename_axis(["whose", "data", "d"])


def published_strategies(dataset):
    """Differences between the published strategies at the last epoch, from the stored arrays."""
    differences = published_differences(published_curves(dataset))
    rows = [[dataset, *place, *difference] for place, difference in differences.items()]
    columns = ["dataset", "n_components", "difference", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns).round(6)


def main():
    """Print both tables."""
    if "--arrays" in sys.argv:
        differences = [published_strategies(dataset) for dataset in FOLDERS]
        pd.concat(differences).to_csv(STRATEGIES_FILE, index=False)
    tables = {"Published claims": claims_table(), "Strategies": strategies_table()}
    print_tables(tables)


if __name__ == "__main__":
    main()
