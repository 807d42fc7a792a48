"""Which published claims hold.

    python benchmarks/claims.py

Prints the first tables of docs/results.md from committed records and ``claims.csv``.

Rules of the verdicts:

- A score is reproduced if ours is at most 0.02 lower. If it is lower by more, and the published one
  is inside our 95 % interval, the claim is open. An error is reproduced if ours is not larger, and
  open if the published one is inside our interval.
- A difference is reproduced if its interval is above 0. It is open if ours is above 0, its interval
  includes 0, and the published difference is above 0 and inside it, or stands in no number. If the
  published interval includes 0, too, the difference is shown in neither.
- A claim that two models are level is reproduced if the interval of their difference includes 0.
- Genes that all runs keep are reproduced if there are at least as many. Maps of attention are
  reproduced if those of any two runs correlate by at least 0.8.
"""

from pathlib import Path

import maps
import numpy as np
import pandas as pd
from pages import print_tables
from sklearn.metrics import f1_score

from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import report as types
from sbnn.evaluation.scores import scores_table
from sbnn.evaluation.verdict import PairedDifference, corrected_difference, paired_difference
from sbnn.mechanism_shift import report as screens
from sbnn.metrics import folds_counted, test_fraction
from sbnn.results import load_folder, records_by_name
from sbnn.study import report

HERE = Path(__file__).resolve().parent
SAVED = HERE.parent / "saved_models"
TOLERANCE = 0.02  # of a score that is reproduced
AGREEMENT = 0.8  # least correlation of maps of attention that are reproduced
NOT_TESTABLE = "not testable here"
#: Parts of the table, by title.
PARTS = {"Claims of the abstracts": "abstract", "Numbers of figures": "figure"}


def claims_tables():
    """Published claims with their numbers, ours, verdicts, and where to read more, by part."""
    claims = pd.read_csv(HERE / "claims.csv")
    texts = ["label", "text", "where"]
    claims[texts] = claims[texts].fillna("")
    ours = measure()
    tables = {}
    for title, part in PARTS.items():
        tables[title] = claims_table(claims[claims["part"] == part], ours)
    return tables


def claims_table(claims, ours):
    """A row for each claim; `ours` has our numbers by name."""
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
        return NOT_TESTABLE
    is_inside = measured.low <= comparison.published <= measured.high
    includes_0 = measured.low <= 0 <= measured.high
    is_open = is_inside
    match comparison.kind:
        case "score":
            is_reproduced = measured.mean >= comparison.published - TOLERANCE
        case "error":
            is_reproduced = measured.mean <= comparison.published
        case "count":
            is_reproduced = measured.mean >= comparison.published
        case "correlation":
            is_reproduced = measured.low >= AGREEMENT
        case "level":
            is_reproduced = includes_0
        case "difference":
            is_reproduced = measured.low > 0
            if not is_reproduced and comparison.low <= 0:  # the published interval
                return "shown in neither"
            has_no_number = np.isnan(comparison.published)
            is_published = has_no_number or (is_inside and comparison.published > 0)
            is_open = measured.mean > 0 and is_published
    if is_reproduced:
        return "reproduced"
    return "open" if is_open else "not reproduced"


def summarise(verdicts):
    """The verdict of several comparisons, or each verdict with the labels that have it.

    If verdicts differ, the number of those that are reproduced comes first, among those that can be
    tested.
    """
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values()))
    labels = {}
    for label, verdict in verdicts.items():
        labels.setdefault(verdict, []).append(label)
    reproduced = labels.pop("reproduced", [])
    n_tested = len(verdicts) - len(labels.get(NOT_TESTABLE, []))
    first = f"{len(reproduced)} of {n_tested} reproduced"
    parts = [f"{first}: {', '.join(reproduced)}" if reproduced else first]
    for verdict, names in labels.items():
        parts.append(f"{verdict}: {', '.join(names)}")
    return "; ".join(parts)


def count_verdicts(table):
    """How many claims there are, how many are reproduced, and how many others in part."""
    verdicts = table["verdict"]
    # "2 of 3 reproduced: ..." is in part, "0 of 3 reproduced; ..." is not
    is_in_part = verdicts.str.match(r"[1-9]\d* of ")
    return len(verdicts), (verdicts == "reproduced").sum(), is_in_part.sum()


def sum_up(tables):
    """Counts of verdicts in all parts of the table, as a sentence."""
    counts = []
    for title, table in tables.items():
        n_claims, n_reproduced, n_in_part = count_verdicts(table)
        counts.append(
            f"{n_claims} {title.lower()}, {n_reproduced} are reproduced, and {n_in_part} in part"
        )
    return f"Of {'; of '.join(counts)}"


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
    if comparison.kind == "count":
        return f"{number.mean:.0f}"
    if comparison.kind == "correlation":
        return f"{number.low:.2f} to {number.high:.2f}"
    sign = "" if comparison.kind in ("score", "error") else "+"
    text = f"{number.mean:{sign}.3f}"
    if np.isnan(number.low):
        return text
    return f"{text} [{number.low:{sign}.3f}, {number.high:{sign}.3f}]"


def measure():
    """Our numbers by the names that ``claims.csv`` gives them."""
    return of_networks() | of_maps() | of_screens() | of_types() | of_dynamics()


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
    widths = m1["cv_published"]
    two, four, ten = (widths.find(n_components=d, **report.STANDARD) for d in (2, 4, 10))
    [selected] = m1["repeats_published"].selected  # (runs, genes)
    of_proteins = {}
    for name in ("citefuse", "citeseq_cd8", "pbmc_10k_protein"):
        record = report.read_study_records(SAVED / name)["cv_published"]
        point = record.find(n_components=2, **report.STANDARD)
        of_proteins[name] = mean_over_folds(record, "test_r2", point)
    return of_proteins | {
        "sbnn": mean_over_folds(networks, "test_r2", usual),
        "sbnn, d=64": mean_over_folds(networks, "test_r2", straight_64),
        "sbnn, weak lasso": mean_over_folds(networks, "test_r2", weak),
        "srrr": mean_over_folds(srrr, "test_r2", rank_2),
        "sbnn minus srrr": paired_difference(networks, srrr, "test_r2", (usual, full_rank)),
        "pretraining, all layers": strategies["pretrained, all layers, minus straight"],
        "pretraining, frozen first": strategies["pretrained, then frozen, minus straight"],
        "freezing": strategies["frozen first minus all layers"],
        "four units minus two": paired_difference(widths, widths, "test_r2", (four, two)),
        "ten units minus four": paired_difference(widths, widths, "test_r2", (ten, four)),
        "genes in all runs": without_interval(selected.all(axis=0).sum()),
    }


def without_interval(number):
    """A number that has no interval."""
    return PairedDifference(number, np.nan, np.nan)


def of_maps():
    """Types of held-out cells on maps of M1, and by sparse principal components."""
    accuracy = pd.read_csv(maps.SAVED)
    by_method = accuracy.pivot_table("accuracy", ["data", "label", "fold"], "method")
    found = {}
    for label in maps.LABELS[maps.PUBLISHED_DATA]:
        of_label = by_method.loc[maps.PUBLISHED_DATA, label]
        for rival in (maps.SPARSE_LINEAR, maps.LINEAR):
            ahead = of_label[maps.PUBLISHED] - of_label[rival]
            found[f"{label} over {rival}"] = corrected_difference(ahead, maps.TEST_FRACTION)
    for dataset, label in maps.EPHYS_LABELS.items():
        of_label = by_method.loc[dataset, label]
        ahead = of_label[maps.COMPONENTS] - of_label[maps.COMMONEST]
        # five folds: a quarter as many test as training cells
        found[f"components of {dataset}"] = corrected_difference(ahead, 1 / 4)
    return found


def of_screens():
    """Differences between SVAE+ and other published methods, on simulated and real screens."""
    records = screens.read_screens_records(SAVED / "simulated_screen")
    methods = {name: records[f"script_{name}"] for name in ("svae+", "vae", "ivae", "svae")}
    scores = scores_table(methods)
    found = {}
    for score, column in {"mcc": "mcc", "f1": "f1_published"}.items():
        by_screen = scores[column].unstack("method")
        for rival in ("vae", "ivae", "svae"):
            ahead = by_screen["svae+"] - by_screen[rival]
            found[f"{score} over {rival}"] = corrected_difference(ahead, 0)
    for rival in ("vae", "ivae", "svae"):
        by_screen = likelihood_by_screen(records[f"new_script_{rival}"])
        ahead = likelihood_by_screen(records["new_script_svae+"]) - by_screen
        found[f"new perturbations over {rival}"] = corrected_difference(ahead, 0)
    after = {}
    for name, records in starts_on_papalexi().items():
        of_starts = pd.DataFrame([likelihood_by_fold(record) for record in records])
        after[name] = of_starts.mean()
    for rival in ("VAE", "iVAE"):
        # five folds: a quarter as many test as training targets
        ahead = after["SVAE+"] - after[rival]
        found[f"papalexi over {rival}"] = corrected_difference(ahead, 1 / 4)
        ahead = after["sVAE"] - after[rival]
        found[f"papalexi, sVAE over {rival}"] = corrected_difference(ahead, 1 / 4)
    return found


def starts_on_papalexi():
    """Records of held-out targets, one for each start, by method."""
    starts = {}
    for name, record in load_folder(SAVED / "papalexi", "shift_new_").items():
        starts.setdefault(name.partition("_start_")[0], []).append(record)
    return starts


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
        for species, records in (("human", human), ("mouse", mouse)):
            gain = paired_difference(records[name], records["sparse_pca_forest"])
            found[f"{species} {name} minus forest"] = gain
    found["human forest"] = over_commonest(human["sparse_pca_forest"])
    found["human attention"] = agreement_of_runs(human["bilstm_arcface"])
    found["mouse attention"] = agreement_of_runs(mouse["bilstm_arcface"])
    for name in ("joint", "pretrained"):
        found[name] = paired_difference(transfer[name], transfer["bilstm_accuracy"])
    return found


def over_commonest(record):
    """Macro-F1 minus that of the commonest class of the training cells, with its interval."""
    ahead = []
    for (train, test), [score] in zip(record.folds, record.macro_f1, strict=True):
        commonest, *_ = pd.Series(record.true[train]).mode()
        of_commonest = np.full(len(test), commonest)
        ahead.append(score - f1_score(record.true[test], of_commonest, average="macro"))
    return corrected_difference(ahead, test_fraction(record.folds), folds_counted(record.folds))


def agreement_of_runs(record):
    """Correlations of the mean attention in any two runs: their mean, least and largest."""
    of_folds = pd.DataFrame(record.attention.reshape(len(record.folds), -1))
    of_runs = of_folds.groupby(record.repeats).mean()
    correlations = np.corrcoef(of_runs)[np.triu_indices(len(of_runs), 1)]
    return PairedDifference(correlations.mean(), correlations.min(), correlations.max())


def of_dynamics():
    """Accuracy, sparsity and errors of simulated networks, and edges of breast cancer."""
    records = dynamics.read_dynamics_records(SAVED / "grn_350")
    scores = {noise: scores_of_noise(records, noise) for noise in (0, 5, 10)}
    found = {}
    accuracy = {}
    for noise, of_noise in scores.items():
        by_method = accuracy[noise] = of_noise["balanced_accuracy"].unstack("method")
        for name, values in by_method.drop(columns="prior").items():
            found[f"{name}, {noise} %"] = mean_over_draws(values)
        for rival in ("biological", "imp", "post_hoc"):
            ahead = by_method["dash"] - by_method[rival]
            found[f"dash minus {rival}, {noise} %"] = mean_over_draws(ahead)
        errors = of_noise["mse_ahead"].unstack("method")
        found[f"error of dash, {noise} %"] = mean_over_draws(1000 * errors["dash"])
        auroc = of_noise["auroc"].unstack("method")
        found[f"auroc of phoenix, {noise} %"] = mean_over_draws(auroc["phoenix"])
    kept = accuracy[10] - accuracy[0]
    found["robustness over imp"] = mean_over_draws(kept["dash"] - kept["imp"])
    sparsity = scores[5]["sparsity"].unstack("method")
    for rival in ("l0", "c_node", "path_reg"):
        found[f"sparsity over {rival}"] = mean_over_draws(sparsity["dash"] - sparsity[rival])
    as_sparse = records_by_name(records, "published_sparsity", dynamics.METHOD_LABELS)
    for name, values in scores_table(as_sparse)["balanced_accuracy"].groupby("method"):
        found[f"{name}, published sparsity"] = mean_over_draws(values)
    return found | of_breast_cancer()


def scores_of_noise(records, noise):
    """Scores of all methods; of some, seven more draws were fitted."""
    conditions = [f"noise_{noise}", f"more_noise_{noise}"]
    return pd.concat([dynamics.condition_scores(records, name) for name in conditions])


def mean_over_draws(values):
    """Mean of the draws that there are, with its interval."""
    return corrected_difference(values.dropna(), 0)


def of_breast_cancer():
    """AUROC of shares of effects, and effects on bound targets, of DASH minus others."""
    records = dynamics.read_dynamics_records(SAVED / "breast_desmedt")
    # the published score of an edge is its share of all effects on the target
    of_dash, of_prior = (records[f"published_{name}"].scores for name in ("dash", "prior"))
    ahead = of_dash["auroc_share"] - of_prior["auroc_share"]
    found = {"breast, dash minus prior": corrected_difference(ahead, 0)}
    z = {}
    for name in ("dash", "imp", "prior"):
        tests = records[f"targets_{name}"].tests
        z[name] = tests[tests["genes"] == "all"].set_index("regulator")["z"]
    for rival in ("imp", "prior"):
        found[f"targets over {rival}"] = corrected_difference(z["dash"] - z[rival], 0)
    return found


def mean_over_folds(record, metric, point=0):
    """Mean of a metric over folds, with its interval."""
    values = record.values[metric][:, point]
    return corrected_difference(values, test_fraction(record.folds), folds_counted(record.folds))


def main():
    """Print the tables, and how many claims are reproduced."""
    claims = claims_tables()
    print_tables(claims)
    print(f"\n{sum_up(claims)}")


if __name__ == "__main__":
    main()
