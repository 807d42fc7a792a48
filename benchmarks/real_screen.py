"""Edges and guides of a real perturbation screen, half of the cells of each perturbation held out.

    python benchmarks/real_screen.py [--dataset papalexi] [--splits 3,4,5] [--fresh] [--fast]

Measures what is missing, one thread, and keeps it in saved_models; prints tables. Settings were
chosen on splits 1, 2, 100 and 101; screen_tries.md lists what was tried there.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pages import print_tables
from scipy.stats import false_discovery_control, norm
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from sbnn import load_dataset
from sbnn.data.screens import as_screen
from sbnn.determinism import reproducible
from sbnn.mechanism_shift import Recipe, SparseShiftVAE, unmix
from sbnn.mechanism_shift.direct import log_ratios, mean_shares
from sbnn.mechanism_shift.graph import edges_of
from sbnn.mechanism_shift.records import compute_once
from sbnn.mechanism_shift.report import held_out_tables
from sbnn.results import results_folder

ROOT = Path(__file__).resolve().parents[1]
FAST = Recipe(hidden=16, epochs=2, least_updates=0, updates_per_pair=0)
N_LATENT = 10
FALSE_GENES = 0.01  # expected share of the significant (perturbation, gene) pairs
BOOTSTRAPS = 1000  # of targets, for intervals of the resemblance of guides


def most_counted(adata, n_genes):
    """The screen cut to the genes with most counts, without the cells that have none of them."""
    totals = np.asarray(adata.X.sum(axis=0)).ravel()
    kept = np.sort(np.argsort(-totals, kind="stable")[:n_genes])
    adata = adata[:, kept]
    return adata[np.asarray(adata.X.sum(axis=1)).ravel() > 0].copy()


def halves(perturbation, seed):
    """Positions of half of the cells of each perturbation, and of the others."""
    rng = np.random.default_rng(seed)
    shuffled = [
        rng.permutation(np.flatnonzero(perturbation == name)) for name in np.unique(perturbation)
    ]
    return tuple(
        np.sort(np.concatenate([part(cells) for cells in shuffled]))
        for part in (_first_half, _second_half)
    )


def _first_half(cells):
    return cells[: len(cells) // 2]


def _second_half(cells):
    return cells[len(cells) // 2 :]


def z_scored(screen, of=None):
    """z-scored differences from the control and p-values (perturbations or what is in `of`, by genes); DataFrames."""
    counts, of = screen.counts.toarray(), screen.perturbation if of is None else of
    logs = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e3)
    z, sizes = (
        pd.DataFrame(StandardScaler().fit_transform(logs), columns=screen.gene_names),
        pd.Series(of),
    )
    means, n = z.groupby(of).mean(), sizes.value_counts()
    shown = means.index[means.index != screen.control]
    differences = means.loc[shown] - means.loc[screen.control]
    errors = np.sqrt(1 / n[shown] + 1 / n[screen.control])
    return differences, pd.DataFrame(
        2 * norm.sf(differences.abs().div(errors, axis=0)), shown, screen.gene_names
    )


def significant_pairs(screen):
    """Which genes differ from the control, at a false discovery rate of 1 %: DataFrame of bool."""
    p = z_scored(screen)[1]
    return pd.DataFrame(
        false_discovery_control(p, axis=None).reshape(p.shape) <= FALSE_GENES, p.index, p.columns
    )


def fold_changes(shares, control):
    """Log fold changes from the control of shares (DataFrame, perturbations by genes).

    Nothing is added to the shares; without counts, a change is not finite.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(shares)
        return logs.drop(index=control) - logs.loc[control]


def sums_of(screen, cells):
    """Counts of the genes in the cells of each perturbation; DataFrame."""
    counts = pd.DataFrame(screen.counts[cells].toarray(), columns=screen.gene_names)
    return counts.groupby(screen.perturbation[cells]).sum()


def mean_counts(screen, cells):
    """Shares of the genes in the counts of the cells of each perturbation; DataFrame."""
    sums = sums_of(screen, cells)
    return sums.div(sums.sum(axis=1), axis=0)


def measured_changes(screen, cells):
    """Log fold changes as `gene_effects_` measures them: half a count is added."""
    sums = sums_of(screen, cells)
    expected = np.outer(sums.sum(axis=1), sums.sum() / sums.to_numpy().sum())
    logs = log_ratios(sums, expected)
    return logs.drop(index=screen.control) - logs.loc[screen.control]


def of_split(screen, seed, recipe=None):
    """Fold changes and edges on one split, by method."""
    (train, test), control, genes = (
        halves(screen.perturbation, seed),
        screen.control,
        screen.gene_names,
    )
    pairs, observed = significant_pairs(screen), fold_changes(mean_counts(screen, test), control)
    # a change without held-out counts is infinite: such pairs are left out and counted
    scored = pairs & np.isfinite(observed[genes])
    rows = {}

    def fold_scores(predicted):
        x, y = (table.loc[pairs.index, genes].to_numpy()[scored] for table in (observed, predicted))
        effects = [
            np.corrcoef(*(t.loc[name, genes][scored.loc[name]] for t in (observed, predicted)))[
                0, 1
            ]
            for name in scored.index[scored.sum(axis=1) >= 5]
        ]
        return {
            "pairs": int(scored.sum().sum()),
            "slope": np.polyfit(x, y, 1)[0],
            "r": np.corrcoef(x, y)[0, 1],
            "effect_r": np.mean(effects),
        }

    def edge_counts(edges):
        found = edges.index[edges.any(axis=1)]
        return {
            "edges": int(edges.sum().sum()),
            "targets": int(pairs.loc[found].any(axis=1).sum()),
            "other_targets": int((~pairs.loc[found].any(axis=1)).sum()),
        }

    def genes_by(model, column):
        table = model.gene_effects_.assign(gene=np.tile(genes, len(pairs)))
        return table.pivot(index="perturbation", columns="gene", values=column)

    def all_edges(model):
        return pd.concat([edges_of(model.shift_graph_), genes_by(model, "edge")], axis=1)

    rows["means"] = fold_scores(measured_changes(screen, train))
    training, labels = screen.counts[train], screen.perturbation[train]
    permuted = np.random.default_rng(seed).permutation(labels)
    half = [
        significant_pairs(replace(screen, counts=training, perturbation=of))
        for of in (labels, permuted)
    ]
    rows["z"] = edge_counts(half[0]) | {"permuted": int(half[1].sum().sum())}
    logs = StandardScaler().fit_transform(np.log1p(training.toarray()))
    latents = PCA(N_LATENT, random_state=0).fit_transform(logs)
    rows["linear"] = edge_counts(unmix(latents, labels, control).edges)
    rows["linear"]["permuted"] = int(unmix(latents, permuted, control).edges.sum().sum())
    started = time.process_time()
    model = SparseShiftVAE(N_LATENT, recipe=recipe, random_state=seed)
    model.fit(training, labels, control)
    seconds = time.process_time() - started
    with reproducible():
        shares = mean_shares(model.network_, model.prior_.means().detach(), model.direct_)
    predicted = fold_changes(pd.DataFrame(shares, model.perturbations_, genes), control)
    rows["staged"] = {"seconds": seconds} | fold_scores(predicted)
    rows["staged"] |= edge_counts(edges_of(model.shift_graph_))
    rows["effects"] = fold_scores(genes_by(model, "log_fold_change"))
    rows["effects"] |= edge_counts(all_edges(model))
    model.fit(training, permuted, control)
    rows["staged"]["permuted"] = int(edges_of(model.shift_graph_).sum().sum())
    rows["effects"]["permuted"] = int(all_edges(model).sum().sum())
    return {"scores": pd.DataFrame(rows).T.rename_axis("method").reset_index()}


def of_guides(adata, seed=0, recipe=None, least=20):
    """How well profiles of guides tell their target: AUC of same against other targets, and nearest neighbours."""
    screen = as_screen(adata)
    guide = np.where(
        screen.perturbation == screen.control, screen.control, adata.obs["guide"].to_numpy(str)
    )
    kept = pd.Series(guide).map(pd.Series(guide).value_counts()).to_numpy() >= least
    target = pd.Series(screen.perturbation[kept], guide[kept]).groupby(level=0).first()
    part = as_screen(adata[kept])
    model = SparseShiftVAE(N_LATENT, recipe=recipe, random_state=seed).fit(
        part.counts, guide[kept], screen.control
    )
    z, latents = z_scored(part, guide[kept])[0], PCA(N_LATENT, random_state=0)
    latents = latents.fit_transform(StandardScaler().fit_transform(np.log1p(part.counts.toarray())))
    effects = model.gene_effects_.assign(gene=np.tile(part.gene_names, len(z)))
    logs = effects.pivot(index="perturbation", columns="gene", values="log_fold_change")[z.columns]
    # errors of log counts fall with it
    z_size = np.sqrt(mean_counts(part, np.arange(len(part.perturbation))).mean())
    graph = model.shift_graph_.pivot(index="perturbation", columns="latent", values="effect")
    profiles = {
        "staged": graph,
        "effects": logs * z_size,
        "linear": unmix(latents, guide[kept], screen.control).shifts,
        "z": z,
    }
    rows, drawn = {}, {}
    for name, table in profiles.items():
        of = target[table.index].to_numpy()
        alone = pd.Series(of).map(pd.Series(of).value_counts()).to_numpy() < 2
        table, of = table.to_numpy()[~alone], of[~alone]
        likeness = table @ table.T / np.outer(*[np.linalg.norm(table, axis=1)] * 2)
        same, upper, rng = of[:, None] == of, np.triu_indices(len(of), 1), np.random.default_rng(0)
        aucs = [roc_auc_score(same[upper], likeness[upper])]
        for _ in range(BOOTSTRAPS):
            times = pd.Series(rng.choice(np.unique(of), len(np.unique(of)))).value_counts()
            times = times.reindex(of, fill_value=0).to_numpy()
            weights = np.where(same, times[:, None], np.outer(times, times))[upper]
            aucs.append(roc_auc_score(same[upper], likeness[upper], sample_weight=weights))
        np.fill_diagonal(likeness, -np.inf)
        nearest = (of[likeness.argmax(axis=1)] == of).mean()
        rows[name], drawn[name] = (
            {"guides": len(of), "auc": aucs[0], "nearest": nearest},
            np.array(aucs),
        )
    table = pd.DataFrame(rows).T
    less = pd.DataFrame(drawn).sub(drawn["z"], axis=0)  # of the same draws
    table["minus_z"], (table["low"], table["high"]) = (
        less.iloc[0],
        less[1:].quantile([0.025, 0.975]).to_numpy(),
    )
    return {"guides": table.rename_axis("method").reset_index()}


def measure(saved_models, dataset="papalexi", splits=(3, 4, 5), fast=False, fresh=False):
    """Compute or load the records of splits and guides; dict of tables by title."""
    adata, records, recipe = load_dataset(dataset, verbose=False), {}, FAST if fast else None
    folder, screen = results_folder(saved_models, dataset, fast), as_screen(adata)
    model = SparseShiftVAE(N_LATENT, recipe=recipe)

    def record(kind, compute, **settings):
        path = folder / f"shift_{'_'.join(map(str, (kind, *settings.values())))}.pickle"
        return compute_once(kind, adata, model, compute, results=path, overwrite=fresh, **settings)

    for split in splits:
        compute = partial(of_split, screen, split, recipe)
        records[f"held_out_{split}"] = record("held_out", compute, split=split)
    if "guide" in adata.obs:
        records["guides"] = record("guides", lambda: of_guides(adata, recipe=recipe))
    return held_out_tables(records)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="papalexi")
    parser.add_argument(
        "--splits", type=lambda text: [int(part) for part in text.split(",")], default=[3, 4, 5]
    )
    parser.add_argument("--saved-models", default=ROOT / "saved_models", type=Path)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args(arguments)
    print_tables(
        measure(options.saved_models, options.dataset, options.splits, options.fast, options.fresh)
    )


if __name__ == "__main__":
    main()
