"""CPU seconds of one fit on one thread: sbnn beside a straightforward PyTorch version of the paper protocol.

    python benchmarks/speed.py [--repeats 3]

Data: the first training fold of mouse M1 (1092 cells x 1000 genes -> 16 outputs) where its files can be found, else
simulated data of that shape. All fits run in turn in one process; those of the paper protocol train the same network
through the same stages and epochs. CPU time is that of the process; the machine's own speed cancels in the ratio.
"""

import argparse
import platform
import time
from functools import partial

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn

from sbnn import SparseBottleneckRegressor, default_dataset, load_dataset, paper_folds
from sbnn.metrics import pooled_r2
from sbnn.published import SECONDS_PER_FIT
from sbnn.training import reproducible


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


def sbnn_fit(X, Y, seed=0, protocol="paper"):
    """The same with sbnn."""
    model = SparseBottleneckRegressor(protocol=protocol, standardize=False, device="cpu", random_state=seed)
    return model.fit(X, Y).predict


FITS = {
    "sbnn, paper protocol": sbnn_fit,
    "sbnn, distilled protocol": partial(sbnn_fit, protocol="distilled"),
    "plain PyTorch, paper protocol": plain_pytorch_fit,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats

    name = default_dataset()
    data = load_dataset(name) if name == "scala" else load_dataset(name, n_cells=1213, n_genes=1000)
    train, test = paper_folds(data.n_cells)[0]
    X, Y = ((A - A.mean(0)) / A.std(0) for A in (data.X.astype(np.float64), data.Y.astype(np.float64)))
    X, Y = ((A - A[train].mean(0)).astype(np.float32) for A in (X, Y))
    seconds, r2 = {label: [] for label in FITS}, {label: [] for label in FITS}
    with reproducible(1):
        for repeat in range(repeats):
            for label, fit in FITS.items():
                started = time.process_time()
                predict = fit(X[train], Y[train], seed=repeat)
                seconds[label].append(time.process_time() - started)
                r2[label].append(pooled_r2(Y[test], predict(X[test]), 0.0))

    print(f"\n{len(train)} cells x {data.n_genes} genes -> {data.n_outputs} outputs of {name!r}, fold 1")
    print(f"one thread, {platform.machine()}, torch {torch.__version__}, {repeats} repeats in turn\n")
    print("| version | CPU seconds, median (min - max) | test R2 of the fold, mean |\n|---|---|---|")
    for label in seconds:
        s = seconds[label]
        print(f"| {label} | {np.median(s):.1f} ({min(s):.1f} - {max(s):.1f}) | {np.mean(r2[label]):.3f} |")
    print(f"| published TensorFlow code (a number taken over, not measured by this command) | {SECONDS_PER_FIT} | |")
    ours, plain = (np.array(seconds[f"{name}, paper protocol"]) for name in ("sbnn", "plain PyTorch"))
    print(f"\nplain PyTorch takes {np.median(plain / ours):.1f} times as long as sbnn (median over pairs)")


if __name__ == "__main__":
    main()
