"""CPU seconds and memory of one fit of 25 genes: sbnn, its peers, and a plain PyTorch version of the paper protocol.

    python benchmarks/speed.py [--repeats 3] [--models sbnn_d2,ridge]

Data: the first training fold of mouse M1 (1092 cells x 1000 genes -> 16 outputs) where its files can be found, else
simulated data of that shape. Every fit runs on one thread in a process of its own, after a fit to a corner of the data,
which imports and compiles what is needed; the models take turns. Memory is what the fit adds to the process. The peers
live in an environment of their own (benchmarks/requirements.txt); one that is not installed is reported as such.
"""

import argparse
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from accuracy import AT, MODELS, installed
from measuring import measure
from sklearn.base import clone
from sklearn.cluster import KMeans
from torch import nn

from sbnn import default_dataset, load_dataset, paper_folds
from sbnn.metrics import pooled_r2
from sbnn.study.published import SECONDS_PER_FIT

PLAIN = "plain_pytorch"
LABELS = {name: model.label for name, model in MODELS.items()} | {PLAIN: "plain PyTorch, paper protocol, d=2"}
SLOW = 10  # CPU seconds from which on a model is not fitted again


def plain_pytorch_fit(X, Y, seed=0, group_lasso=0.1, n_genes=25):
    """The paper protocol as one would first write it: modules, autograd, Adam. Returns a function that predicts."""
    torch.manual_seed(seed)
    X, Y = torch.as_tensor(X), torch.as_tensor(Y)

    def body(n_inputs):
        widths = [n_inputs, 512, 128, 2, 128, 512]
        layers = []
        for i in range(5):
            layers.append(nn.Linear(widths[i], widths[i + 1]))
            if i != 2:
                layers.append(nn.ELU())
        return layers

    def start(layer):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)

    def train(model, inputs, targets, loss_function, epochs, rate, lasso):
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate, eps=1e-7)
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(32):
                loss = loss_function(model(inputs[rows]), targets[rows])
                if lasso:
                    loss = loss + lasso * model[0].weight.norm(dim=0).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    labels = KMeans(20, n_init=50, random_state=seed).fit(Y.numpy()).labels_
    large = [k for k in range(20) if (labels == k).sum() >= 10]
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(labels, large)))
    rows = rows[: int(0.6 * len(rows))]
    classes = torch.as_tensor(np.searchsorted(large, labels[rows]))
    model = nn.Sequential(*body(X.shape[1]), nn.Linear(512, len(large)))
    for layer in model:
        if isinstance(layer, nn.Linear):
            start(layer)
    train(model, X[rows], classes, nn.CrossEntropyLoss(), 50, 1e-4, group_lasso)

    model[-1] = nn.Linear(512, Y.shape[1])
    start(model[-1])
    for layer in model[:4]:
        layer.requires_grad_(False)
    train(model, X, Y, nn.MSELoss(), 50, 1e-4, 0)
    model.requires_grad_(True)
    train(model, X, Y, nn.MSELoss(), 50, 5e-5, group_lasso)

    kept = model[0].weight.norm(dim=0).topk(n_genes).indices
    first = nn.Linear(n_genes, 512)
    with torch.no_grad():
        first.weight.copy_(model[0].weight[:, kept])
        first.bias.copy_(model[0].bias)
    model[0] = first
    train(model, X[:, kept], Y, nn.MSELoss(), 100, 5e-5, 0)
    return lambda Z: model(torch.as_tensor(Z)[:, kept]).detach().numpy()


def fit_model(name, X, Y, seed, n_genes=AT):
    """Fit a model of the accuracy benchmark, or the plain one. Returns a function that predicts."""
    if name == PLAIN:
        return plain_pytorch_fit(X, Y, seed, n_genes=n_genes)
    model, wanted = clone(MODELS[name].estimator), {"n_genes": n_genes, "random_state": seed}
    known = model.get_params()
    return model.set_params(**{key: value for key, value in wanted.items() if key in known}).fit(X, Y).predict


def prepare(name, path, seed):
    """Load the data and warm up; gives the fit, and the test R2 of the fold."""
    with np.load(path) as arrays:
        X, Y, train, test = (arrays[key] for key in ("X", "Y", "train", "test"))
    fit_model(name, X[train[:200], :50], Y[train[:200]], seed, n_genes=5)
    X_train, Y_train = X[train], Y[train]

    def task():
        return fit_model(name, X_train, Y_train, seed)

    return task, lambda predict: pooled_r2(Y[test], predict(X[test]), 0.0)


def write_fold(path):
    """Write the first fold, z-scored over all cells and centred on the training cells; returns a line about it."""
    name = default_dataset()
    data = load_dataset(name) if name == "scala" else load_dataset(name, n_cells=1213, n_genes=1000)
    train, test = paper_folds(data.n_cells)[0]
    X, Y = ((A - A.mean(0)) / A.std(0) for A in (data.X.astype(np.float64), data.Y.astype(np.float64)))
    X, Y = ((A - A[train].mean(0)).astype(np.float32) for A in (X, Y))
    np.savez(path, X=X, Y=Y, train=train, test=test)
    return f"{len(train)} cells x {data.n_genes} genes -> {data.n_outputs} outputs of {name!r}, fold 1, {AT} genes kept"


def run(names, repeats, path):
    """Measure the models in turn; returns name -> list of `Measured`."""
    done = {name: [] for name in names}
    for repeat in range(repeats):
        for name, fits in done.items():
            if not fits or fits[0].seconds < SLOW:
                fits.append(measure(prepare, name, path, repeat))
                print(f"{LABELS[name]}: {fits[-1].seconds:.1f} CPU s", file=sys.stderr)
    return done


def table(done):
    """Lines of the Markdown table; models without a measurement are not installed."""
    yield "| model | fits | CPU seconds, median (min - max) | memory of the fit, MiB | test R2 of the fold, mean |"
    yield "|---|---|---|---|---|"
    for name, fits in done.items():
        if not fits:
            yield f"| {LABELS[name]} | not installed | | | |"
            continue
        seconds, memory, r2 = np.array([(fit.seconds, fit.growth / 2**20, fit.result) for fit in fits]).T
        spread = f"{np.median(seconds):.2f} ({seconds.min():.2f} - {seconds.max():.2f})"
        yield f"| {LABELS[name]} | {len(fits)} | {spread} | {np.median(memory):.0f} | {r2.mean():.3f} |"
    yield f"| published TensorFlow code (a number taken over, not measured by this command) | | {SECONDS_PER_FIT} | | |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help=f"fits of each model; one of more than {SLOW} s")
    parser.add_argument("--models", help=f"comma-separated, of: {', '.join(LABELS)}; default: all")
    options = parser.parse_args()
    names = list(LABELS) if options.models is None else options.models.split(",")
    if not set(names) <= LABELS.keys():
        parser.error(f"--models: {sorted(set(names) - LABELS.keys())} are unknown, expected some of {list(LABELS)}")

    present = [name for name in names if name == PLAIN or installed(MODELS[name])]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fold.npz"
        about = write_fold(path)
        done = dict.fromkeys(names, ()) | run(present, options.repeats, path)
    print(f"\n{about}")
    print(f"one thread, {platform.machine()}, torch {torch.__version__}\n")
    print(*table(done), sep="\n")
    if {"sbnn_d2", PLAIN} <= set(present):
        ours, plain = (np.median([fit.seconds for fit in done[name]]) for name in ("sbnn_d2", PLAIN))
        print(f"\nplain PyTorch takes {plain / ours:.1f} times as long as sbnn (medians)")


if __name__ == "__main__":
    main()
