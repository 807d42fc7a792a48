"""Print the tables and the numbers of README from committed results: ``python
benchmarks/readme.py``.

``--example`` also runs its example (40 seconds).
"""

import re
import sys
from pathlib import Path

import claims
from pages import to_markdown

from sbnn import selection_table
from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import report as types
from sbnn.evaluation.verdict import paired_difference
from sbnn.study import report

ROOT = Path(__file__).resolve().parents[1]
SAVED = ROOT / "saved_models"
MODELS = [
    "distilled, d=2",
    "published, d=2",
    "sRRR, rank 2",
    "ridge, all genes",
    "distilled + ridge, all genes",
]


def passages():
    """Tables, rows and parts of sentences of README, as they stand there."""
    networks, *_ = report.study_overview(SAVED).values()
    return [
        to_markdown(networks[MODELS]),
        *of_claims(),
        *of_stacking(),
        *of_networks(),
        *of_companions(),
    ]


def of_claims():
    """Numbers in the sentences about the published claims."""
    ours = claims.measure()
    grn = dynamics.read_dynamics_records(SAVED / "grn_350")
    prior = dynamics.mean_scores(grn, "noise_5").loc["prior", "balanced_accuracy"]
    return [
        f"R² {ours['sbnn'].mean:.3f}, published {claims.published('sbnn'):.3f}",
        f"by {format_interval(ours['pretraining'])}",
        f"by {ours['mcc over vae'].mean:.3f}, {ours['mcc over ivae'].mean:.3f} and "
        f"{ours['mcc over svae'].mean:.3f}",
        f"{ours['human bilstm'].mean:.3f}, published {claims.published('human bilstm'):.3f}",
        f"{ours['dash, 5 %'].mean:.3f}, published {claims.published('dash, 5 %'):.3f}",
        f"prior has {prior:.3f}",
    ]


def of_stacking():
    """On how many data sets the stacked prediction is better than ridge, and its largest loss."""
    gains = []
    for path in sorted(SAVED.glob("*/cv_stacked.pickle.xz")):
        gains.append(report.stacking_gains(report.read_study_records(path.parent)))
    over_ridge = [gain["distilled + ridge, minus ridge"] for gain in gains]
    n_better = sum(gain.low > 0 for gain in over_ridge)
    n_worse = sum(gain.high < 0 for gain in over_ridge)
    largest_loss = max(-difference.mean for gain in gains for difference in gain.values())
    n_level = len(gains) - n_better - n_worse
    return [
        f"better than ridge on {n_better} of {len(gains)} data sets",
        f"not distinguishable from it on {n_level}",
        f"by more than {max(largest_loss, 0):.3f}",
    ]


def of_networks():
    """Numbers in the text about mouse M1, CD8 and PBMC."""
    m1 = report.read_study_records(SAVED / "scala")
    fit = m1["fit_distilled_2d"]
    trusted = selection_table(m1["halves_distilled"])["trusted"]
    cd8 = report.read_study_records(SAVED / "citeseq_cd8")
    tumours = report.read_study_records(SAVED / "tcga_breast")
    pbmc = report.read_study_records(SAVED / "pbmc_10k_protein")
    return [
        f"{len(fit.kept_genes)} of {len(fit.gene_names)} genes",
        f"{len(m1['halves_distilled'].folds)} random halves",
        f"on M1, {trusted.sum()} of {len(fit.kept_genes)}",
        f"{len(fit.gene_names)} genes of M1",
        _difference(m1, "cv_distilled", "cv_ridge"),
        _difference(cd8, "cv_distilled", "cv_ridge"),
        _difference(tumours, "cv_distilled", "cv_ridge"),
        f"{len(pbmc['cv_distilled'].cell_names)} cells of pbmc_10k_protein",
        f"without frozen layers it has {pbmc['cv_published_at_once'].test_r2.mean():.3f}",
        _difference(pbmc, "cv_distilled", "cv_published_at_once"),
    ]


def _difference(records, one, other):
    a, b = records[one], records[other]
    # the networks have two units; ridge has no such parameter
    points = [next(iter(record.points(n_components=2)), 0) for record in (a, b)]
    return format_interval(paired_difference(a, b, "test_r2", points))


def format_interval(difference):
    """Mean with its interval, without a plus sign."""
    return f"{difference.mean:.3f} [{difference.low:.3f}, {difference.high:.3f}]"


def of_companions():
    """Numbers in the text about types and dynamics."""
    *_, classes = types.types_overview(SAVED).values()
    classes = classes.loc["human, 4 classes"]
    records = dynamics.read_dynamics_records(SAVED / "yeast_pramila")
    yeast = dynamics.dynamics_methods_table(records, "real")["one-step MSE"]
    error = {name: text.split()[0] for name, text in yeast.items()}
    return [
        f"{classes['cells']} human neurons",
        f"macro-F1 of {classes['EphysTypeClassifier']}",
        f"LightGBM {classes['LightGBM'].split()[0]}",
        f"AR(1) with ridge {error['AR(1), and ridge on the rest']}",
        f"PHOENIX {error['PHOENIX']}",
        f"DASH {error['DASH']}",
    ]


def run_example():
    """Run the Python code of README."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec(code, {})


if __name__ == "__main__":
    print(*passages(), sep="\n\n")
    if "--example" in sys.argv:
        run_example()
