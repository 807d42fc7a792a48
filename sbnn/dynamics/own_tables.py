"""The command ``sbnn network``: fit a network to a user's time course and compare simple models."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from tqdm.auto import tqdm

from sbnn.data.gene_dynamics import gene_dynamics
from sbnn.data.trajectories import as_trajectories
from sbnn.dynamics import plotting, report
from sbnn.dynamics.baselines import BASELINES
from sbnn.dynamics.evaluation import evaluate
from sbnn.dynamics.sparse_regulation import SparseRegulationRegressor
from sbnn.explorer.report import write_report
from sbnn.plotting.common import save_figure
from sbnn.store import write_atomically

LEAST = 0.01  # smallest probability at which an edge outside the prior is written to the table
# share of the samples (or of the times of a single sample) that is held out
HELD_OUT = 0.2
N_PASSES, FAST_PASSES = 5, 2
FAST_GENES = 100  # largest number of genes in a quick run
LONG = 120  # seconds from which on options that shorten a study are printed


def most_varying(data, n_genes):
    """Select the genes with the largest variance over time within samples."""
    if n_genes is None or n_genes >= data.n_vars:
        return data
    values = data.to_df()
    of_samples = values.groupby(data.obs["sample"].to_numpy(), sort=False)
    variance = (values - of_samples.transform("mean")).var().to_numpy()  # (n_genes,)
    first = np.argsort(-variance, kind="stable")[:n_genes]
    kept = np.isin(np.arange(data.n_vars), first)
    chosen = data[:, kept].copy()
    about = chosen.uns["sbnn"]
    text = f"kept the {n_genes} genes of {data.n_vars} that vary most over time within samples"
    about["notes"] = [*about["notes"], text]
    return chosen


def study(data, prior, out, n_passes=N_PASSES, n_jobs=1):
    """Fit `SparseRegulationRegressor`, compare it with simple models, and write the results.

    The folder gets network.html, verdict.txt, edges.csv, predictions.csv and two figures.
    Predictions are those of fits without `held_out_rows`.
    """
    held = held_out_rows(data)
    split = gene_dynamics(data[~held], data[held], prior, name="own")
    sparse = SparseRegulationRegressor(n_passes, n_jobs, verbose=True)
    seconds = (2 - held.mean()) * sparse.expected_seconds(data, prior)
    print(_time_needed(seconds), file=sys.stderr)
    records = _fitted(sparse, split, data, prior)
    errors = {name: record.scores["mse_ahead"].mean() for name, record in records.items()}
    supported = is_supported(sparse, errors)
    verdict = f"{sparse.verdict_}\n{_scores_sentence(errors, supported)}"
    edges = edges_table(sparse, prior, supported)
    predicted = records["sparse"].predicted.reshape(held.sum(), -1)
    predictions = predictions_table(data, held, predicted, supported)
    out = Path(out)
    write_atomically(f"{verdict}\n".encode(), out / "verdict.txt")
    write_atomically(edges.to_csv(index=False).encode(), out / "edges.csv")
    write_atomically(predictions.to_csv(index=False).encode(), out / "predictions.csv")
    about = data.uns["sbnn"]
    named = {f"real_{name}": record for name, record in records.items()}
    scores = report.methods_table(named, "real")
    write_report(
        out / "network.html",
        f"{data.n_obs} times x {data.n_vars} genes",
        verdict,
        _pictures(records, out),
        [("Held-out samples, from their start", scores), _first_edges(edges, supported)],
        facts={"the tables": "; ".join(about.get("notes", ()))},
        left_out=about.get("dropped", {}),
    )
    return verdict


def _fitted(sparse, split, data, prior):
    """Records of all methods without held-out samples; `sparse` is then fitted to all samples."""
    models = BASELINES | {"sparse": sparse}
    del models["replicate"]
    records = {}
    with tqdm(total=1 + len(models), leave=False) as bar:
        for name in report.METHODS:
            if name in models:
                bar.set_description(f"without held-out samples: {report.METHODS[name]}")
                records[name] = evaluate(
                    models[name], {0: split}, method=name, condition="real", details=True
                )
                bar.update()
        bar.set_description("all samples: SparseRegulation")
        sparse.fit(data, prior)
    return records


def _pictures(records, out):
    """Draw the figures; returns their paths, titles and descriptions."""
    [scores, *_] = save_figure(plotting.scores_of_methods(records), out / "scores")
    drawn = plotting.predicted_paths(records["prior"], {"sparse": records["sparse"]})
    [paths, *_] = save_figure(drawn, out / "paths")
    return [
        (scores, "Held-out samples", "Scores of each method"),
        (paths, "Paths", "Measured and predicted"),
    ]


def _first_edges(edges, supported):
    """Title and table of the most probable edges."""
    first = edges.head(25).set_index("regulator")
    title = "The most probable edges"
    if not supported:
        title += " (not supported by held-out data, whatever their probability)"
        first = first.rename(columns={"probability": "probability (not supported)"})
    return title, first


def _time_needed(seconds):
    if seconds < LONG:
        return f"this takes about {max(seconds, 1):.0f} s"
    shorter = "--genes N keeps the N genes that vary most over time"
    fast = f"--fast takes {FAST_PASSES} passes over at most {FAST_GENES} genes"
    fast = f"{fast}, --jobs N uses N processor cores"
    return f"this takes about {seconds / 60:.0f} minutes; to shorten it: {shorter}, {fast}"


def is_supported(model, errors):
    """Whether held-out samples, with errors by method, confirm the verdict of the model.

    That is about intervals whose neighbours it was fitted to.
    """
    return model.explains_ and report.helps(pd.Series(errors))["sparse"] == "yes"


def _scores_sentence(errors, supported):
    found = "support" if supported else "do not support"
    best = min(set(errors) - {"sparse", "prior"}, key=errors.get)
    return (
        f"held-out samples {found} the network: the one-step MSE is {errors['sparse']:.3g} for "
        f"SparseRegulation, {errors['prior']:.3g} for no change and {errors[best]:.3g} for the "
        f"best model without a network ({report.METHODS[best]})"
    )


def predictions_table(data, held, predicted, supported):
    """Predictions (rows, genes) of the held-out rows, and errors beside simple models."""
    measured = data[held]
    samples = as_trajectories(measured)
    starts = np.stack([values[0] for values in samples.values])
    times = np.stack(samples.times)
    ar1 = clone(BASELINES["ar1"]).fit(data[~held]).predict(starts, times)
    unchanged = np.broadcast_to(starts[:, None], ar1.shape)
    paths = {"mse": predicted, "mse_no_change": unchanged, "mse_ar1": ar1}
    table = measured.obs[["sample", "time"]].assign(supported=yes_no(supported))
    for name, path in paths.items():
        errors = path.reshape(predicted.shape) - measured.X
        table[name] = np.square(errors).mean(axis=1)
    return table.join(pd.DataFrame(predicted, table.index, data.var_names))


def yes_no(flags):
    """Flags as "yes" and "no"."""
    return np.where(flags, "yes", "no")


def held_out_rows(data):
    """Mask of the last fifth of the samples (as long as the last) or of a single sample."""
    # an .h5ad file stores samples as categories
    of_sample, _ = pd.factorize(data.obs["sample"])
    lengths = np.bincount(of_sample)
    n = len(lengths)
    if n == 1:
        return np.arange(data.n_obs) >= min(data.n_obs * (1 - HELD_OUT), data.n_obs - 2)
    last = np.arange(n) >= min(n * (1 - HELD_OUT), n - 1)
    return (last & (lengths == lengths[-1]))[of_sample]


def edges_table(model, prior, supported):
    """Edges of the prior and probable edges, the most probable first."""
    columns = {
        "probability": model.edge_probabilities_.stack(),
        "score": model.edge_scores_.stack(),
        "prior": prior.stack(),
    }
    columns["supported"] = yes_no(supported & (columns["score"] != 0))
    edges = pd.DataFrame(columns).rename_axis(["regulator", "target"])
    edges = edges[(edges["probability"] >= LEAST) | (edges["prior"] != 0)]
    order = ["probability", "score"]
    return edges.sort_values(order, key=np.abs, ascending=False, kind="stable").reset_index()
