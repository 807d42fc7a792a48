"""What a prior of the genes does: lists of genes at growing influence, beside as many genes drawn at random."""

from pathlib import Path

import numpy as np

from sbnn.data.readers.scala import ion_channel_genes
from sbnn.data.registry import find_file
from sbnn.evaluation.folds import paper_folds
from sbnn.evaluation.identity import described, version_of
from sbnn.evaluation.repeats import compare_priors
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record, load
from sbnn.study.experiments import SEED, network

FEW = 60  # training cells, as in a small study: what little they say leaves more to a prior
ALL_CELLS, FEW_CELLS, PAPER = "distilled", f"distilled, {FEW} cells", "paper"
#: Model -> influences: few, as each is a fit of several seconds in every fold.
INFLUENCES = {ALL_CELLS: (0.0, 0.1, 0.25, 0.5, 1.0), FEW_CELLS: (0.0, 0.1, 0.25), PAPER: (0.0, 0.25)}
N_FOLDS = 3  # the first of the ten of the paper
CONTROL = "random genes"
TRUE_GENES = "true genes"  # the list of those that drive simulated outputs
#: Those of the 1000 genes of M1 that its transcriptomic types are called after, as in "Sst Calb2" or "L6b Kcnip1": the
#: taxonomy of Yao et al., Nature 598, 103 (2021), made of other cells.
TYPE_MARKERS = (
    "Calb1", "Calb2", "Chat", "Col6a1", "Crhr2", "Egln3", "Gpc3", "Hpse", "Kcnip1", "Lamp5", "Lhx6", "Mybpc1", "Npy2r",
    "Penk", "Pvalb", "Reln", "Sst", "Tac2", "Th", "Vip",
)  # fmt: skip
WITH_LISTS = ("scala", "simulated")  # data sets for which lists are known here


def gene_lists(data):
    """Lists of genes that somebody may believe in, and one of random genes, as long as the first."""
    rng = np.random.default_rng(SEED)
    if data.name == "scala":
        channels = set(ion_channel_genes(find_file("go_ion_channel_term_summary.txt")))
        lists = {"ion channels": _ordered(data, channels), "type markers": _ordered(data, TYPE_MARKERS)}
    elif data.name == "simulated":
        true = rng.permutation(data.truth["genes"])
        half = len(true) // 2
        wrong = rng.permutation(np.setdiff1d(data.gene_names, true))
        lists = {"half right": _ordered(data, [*true[:half], *wrong[:half]]), TRUE_GENES: _ordered(data, true)}
    else:
        raise ValueError(f"no lists of genes are known for {data.name!r}, but for {', '.join(WITH_LISTS)}; give some")
    return lists | {CONTROL: random_genes(data, len(next(iter(lists.values()))))}


def random_genes(data, n_genes):
    """Genes drawn at random, a list of str."""
    return _ordered(data, np.random.default_rng(SEED).choice(data.gene_names, n_genes, replace=False))


def _ordered(data, genes):
    """Those of some genes that the data have, in their order."""
    return [str(gene) for gene in data.gene_names if gene in set(genes)]


def run_gene_priors(data, path, lists=None, *, fast=False, fresh=False, n_jobs=1, verbose=True):
    """Cross-validate the network with each list of genes as its prior, at growing influence; or load it."""
    if lists is None:
        lists = gene_lists(data)
    else:
        lists = {name: _ordered(data, genes) for name, genes in lists.items()}
        empty = [name for name, genes in lists.items() if not genes]
        if empty or not lists:
            raise ValueError(f"lists: expected names of genes of the data, there are none of them in {empty}")
        lists[CONTROL] = random_genes(data, len(next(iter(lists.values()))))
    influences = dict.fromkeys(INFLUENCES, (0.0, 0.25)) if fast else INFLUENCES
    n_folds = 2 if fast else N_FOLDS
    models = {name: network(data, fast, protocol=name.partition(",")[0]) for name in influences}
    folds = folds_of(data, n_folds)
    known = load(path).settings if Path(path).exists() and not fresh else {}  # what was added since has its default
    wanted = Record("gene prior", data.name, data.sha256, [{}], SEED)
    wanted.settings = {"scaling": "fold", "folds": f"the first {n_folds} of ten", "lists": lists} | {
        name: described(model, known.get(name))
        | {"version": version_of(model, len(folds[name][0][0])), "influences": list(influences[name])}
        for name, model in models.items()
    }
    how = {"n_jobs": n_jobs, "seed": SEED, "verbose": verbose}
    return load_or_compute(wanted, lambda: compare_priors(models, data, folds, lists, influences, **how), path, fresh)


def folds_of(data, n_folds=N_FOLDS):
    """The first folds of the paper for each model, one of which is given `FEW` training cells of each."""
    usual = paper_folds(data.n_cells)[:n_folds]
    few = [(_some(train, FEW, fold), test) for fold, (train, test) in enumerate(usual)]
    return {ALL_CELLS: usual, FEW_CELLS: few, PAPER: usual}


def _some(cells, n_cells, seed):
    """Cells drawn at random; all, where there are no more."""
    return np.sort(np.random.default_rng(seed).permutation(cells)[:n_cells])
