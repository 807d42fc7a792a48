"""All figures of a data set, by name, from whatever results there are: what the notebook and the command line draw."""

from functools import partial

from sbnn import plotting
from sbnn.data.checks import OKABE_ITO, UNKNOWN
from sbnn.plotting.colors import Groups
from sbnn.plotting.latent import zoomable
from sbnn.study import published
from sbnn.study.experiments import CITESEQ, LASSO, LEAK, MAPS, N_GENES, STANDARD
from sbnn.study.gene_priors import TRUE_GENES

#: Where genes are not selected on the cells of the data set itself.
SELECTION_TITLES = {
    "scala_34c_counts": "The 185 cells recorded at 33 to 34 °C, the only ones with counts of all genes.\n"
    "Not the choice behind the 1000 genes of mouse M1, which hold Vip and Pvalb."
}

COMPARED = ("cv_default", "cv_network", "cv_srrr", "cv_ridge")


def figures(records):
    """Name, results that are needed, and the function that draws them, of every figure."""
    suffix = f"_{LEAK}" if f"cv_network_{LEAK}" in records else ""  # published numbers compare with that scaling
    network, srrr, ridge = (f"cv_{name}{suffix}" for name in ("network", "srrr", "ridge"))
    known = published.comparable(records[network]) if network in records else None
    shown = {"n_components": MAPS, "published": known}
    latent = partial(_latent, records)

    def zoom(*fits):
        return plotting.family_zoom(*fits, scores=[_scores(records, fit) for fit in fits])

    def width(default, network, srrr, ridge, repeats):
        widths, how = {"distilled": default, "paper": network}, {"n_genes": N_GENES, "group_lasso": LASSO}
        return plotting.width_and_stability(widths, repeats, _models(records), **how)

    def selection(record):
        return plotting.gene_selection_curve(record, title=SELECTION_TITLES.get(record.dataset))

    argued = {"halves": records.get("halves_default"), "folds": records.get("cv_default")}
    yield "overview", ["fit_default_2d"], partial(plotting.overview, **argued, true_genes=_true_genes(records))
    yield "figure1_training_curves", [network, srrr], partial(plotting.training_curves, **shown)
    compared = partial(plotting.bottleneck_comparison, group_lasso=LASSO, **shown)
    yield "figure2_r2_vs_genes", [network, srrr, ridge], compared
    yield "figure3_latent_network", ["fit_network_2d", "fit_network_64d"], latent
    maps = ["fit_default_2d", *(["fit_default_64d"] if "fit_default_64d" in records else [])]
    yield "figure3_latent_default", maps, latent
    if len(_families(records)) > len(OKABE_ITO):  # up to so many can be told apart in the usual colours
        yield "figure3_latent_default_colorblind", maps, partial(latent, colorblind=True)
    ranks = sorted((name for name in records if name.startswith("fit_srrr")), key=lambda name: (len(name), name))
    yield "figure3_latent_srrr", ranks or ["fit_srrr"], latent
    if "fit_network_2d" in records and zoomable(Groups(records["fit_network_2d"])):
        yield "figure4_family_zoom", ["fit_network_64d", "fit_network_2d"], zoom
    yield "figure6_width_and_stability", [*COMPARED, "repeats_network"], width
    titles = "transcriptome", _second_measurement(next(iter(records.values())).dataset)
    yield "figure7_tsne", ["tsne"], partial(plotting.tsne_pair, titles=titles)
    yield "component_variance", ["components"], partial(plotting.component_variance, titles=titles)
    yield "map_trust", ["map_trust", "fit_default_2d"], plotting.map_trust
    yield "figure8_gene_selection", ["gene_selection"], selection
    yield "accuracy", ["cv_default"], lambda _: plotting.accuracy_comparison(_models(records), n_genes=N_GENES)
    yield "stability_selection", ["halves_default"], plotting.selection_frequencies
    yield "effects", ["interpretation"], plotting.effect_map
    yield "genes_curve", ["genes_curve"], plotting.genes_curve
    yield "noise", ["noise", "map_trust"], plotting.noise_degradation
    yield "gene_prior", ["gene_prior"], plotting.prior_effects


def _latent(records, *fits, **options):
    scores = [_scores(records, fit) for fit in fits]
    return plotting.latent_panels(*fits, scores=scores, true_genes=_true_genes(records), **options)


def _true_genes(records):
    """Genes that drive the outputs of simulated data, a list of which was tried as a prior; None of other data."""
    return records["gene_prior"].values.get("lists", {}).get(TRUE_GENES) if "gene_prior" in records else None


def _scores(records, fit):
    """The cross-validation of the model of a fit, with the parameters of its grid point; None where there is none."""
    params = fit.settings.get("estimator", {}).get("params", {})
    wide = {"n_components": params.get("n_components", 2)}
    if "rank" in params:
        name, wanted = "cv_srrr", {"rank": params["rank"]}
    elif params.get("protocol", "paper") == "paper":
        name, wanted = "cv_network", wide | STANDARD
    else:
        name, wanted = "cv_default", wide
    known = name in records and "test_feature_r2" in records[name].values and records[name].points(**wanted)
    return (records[name], wanted) if known else None


def _second_measurement(dataset):
    if dataset in CITESEQ:
        return "proteins"
    return "electrophysiology" if dataset.startswith(("scala", "gouwens")) else "outputs"


def _families(records):
    """Families, or types, of the cells of the maps, as far as they are known."""
    fits = [records[name] for name in ("fit_default_2d", "fit_network_2d") if name in records]
    known = [groups for groups in (Groups(fit) for fit in fits if "labels" in fit.values) if not groups.clustered]
    return set().union(*(groups.families for groups in known)) - {UNKNOWN}


def _models(records):
    """Rows of the comparisons: the models at about as many genes, all scaled inside the training folds."""
    ranks = sorted({point["rank"] for point in records["cv_srrr"].params}) if "cv_srrr" in records else []
    rows = {
        "sBNN distilled, d = 2": ("cv_default", {"n_components": 2}),
        "sBNN paper, d = 2": ("cv_network", {"n_components": 2, **STANDARD}),
        **{f"sRRR, rank {rank}": ("cv_srrr", {"rank": rank}) for rank in ranks},
        "ridge": ("cv_ridge", {}),
    }
    return {row: (records[name], params) for row, (name, params) in rows.items() if name in records}
