"""Tables in another order change nothing or are refused, and what is wrong is called by its name.

Public functions and methods that take tables are found by their signatures: one without a case
here fails.
"""

import inspect
import pkgutil
import re
import traceback
from collections import defaultdict
from functools import cache, partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import anndata as ad
import joblib
import narwhals
import numpy as np
import pandas as pd
import pytest
import torch
from material.calls import answer, entries, record_of_fit, record_of_halves
from material.cells import cells, courses, screened_cells, typed_cells
from material.comparisons import assert_alike, backwards, named
from material.estimators import network, quick
from material.layouts import MOTOR_CORTEX, as_published, mouse_features
from material.paths import ROOT
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

import sbnn
from sbnn import preprocessing
from sbnn.data.readers import scala
from sbnn.dynamics import PhoenixRegressor, trajectories
from sbnn.dynamics.baselines import AutoRegression, PriorAlone
from sbnn.dynamics.simulate import prior_table
from sbnn.ephys_types import AttentionBiLSTMClassifier
from sbnn.ephys_types.features import to_shared_features
from sbnn.mechanism_shift import (
    LinearShift,
    SparseShiftVAE,
    edges_of,
    recovery,
    recovery_of_genes,
    screen,
    z_score_expression,
)
from sbnn.own_data.explorer.columns import page_data
from sbnn.own_data.new_cells import predict_cells
from sbnn.own_data.results import write_tables
from sbnn.own_data.values import values_table
from sbnn.plotting.colors import Groups, color_by

PACKAGE = Path(sbnn.__file__).parent
API = (ROOT / "docs" / "api.md").read_text()
#: Types and names of arguments that are tables.
TABLES = re.compile(r"DataFrame|Series\b|AnnData|Counts|CellFeatures|\b(X|x|counts|x0)\b")
#: Functions that take arrays or one table without names, give positions, or write in its order.
BY_POSITION = {
    "LinearShift.fit",
    "LinearShift.transform",
    "MeanShares.bounds",
    "MeanShares.elbo",
    "MeanShares.fit",
    "MeanShares.fit_new_perturbations",
    "MeanShares.iwelbo",
    "Phoenix.targets",
    "cell_maps",
    "choose_folds",
    "differences_from_published",
    "edges_table",
    "format_numbers",
    "intervals_over_days",
    "kept_counts_table",
    "later_fold",
    "new_targets_table",
    "published_bottleneck_comparison",
    "published_differences",
    "published_training",
    "r2_without_offsets",
    "repeated_donor_folds",
}


def public_values():
    """All that are in the reference."""
    for path in re.findall(r"^   (\w[\w.]*)$", API, re.M):
        yield pkgutil.resolve_name(f"sbnn.{path}")


def functions_of_tables():
    """Names of all that are in the reference, with the class of methods."""
    names = []
    for value in public_values():
        functions = {value.__name__: value} if inspect.isfunction(value) else {}
        if inspect.isclass(value):
            for name, method in inspect.getmembers(value, inspect.isfunction):
                if method.__module__.startswith("sbnn.") and not name.startswith("_"):
                    functions[f"{value.__name__}.{name}"] = method
        for name, function in functions.items():
            arguments = str(inspect.signature(function)).partition(" -> ")[0]
            if TABLES.search(arguments) and name not in BY_POSITION:
                names.append(name)
    return names


ANSWERS = ("predict", "predict_proba", "transform", "reconstruct_genes", "attention_weights")
#: In whose order weights are drawn.
WEIGHTS = ("X columns", "y columns", "counts columns", "trajectories columns")


def cases_of_estimators():
    """Those with a seed are in `entries`."""
    pair = (cells().to_df(), cells().obsm["outputs"])
    counts = cells().to_df("counts")
    dynamics = (courses(), prior_table(courses()))
    models = [
        (sbnn.LeaveOneOutRidge(), pair),
        (sbnn.ReducedRankRegression(2, alpha=0.1), pair),
        (sbnn.SparseReducedRankRegression(2, alpha=0.1), pair),
        (sbnn.CountNormalizer(), (counts,)),
        (AutoRegression(), dynamics),
        (PriorAlone(), dynamics),
    ]
    for entry in entries().values():
        if entry.fit_arguments and entry.function is not LinearShift:
            model = entry.function(**entry.arguments).set_params(random_state=0)
            if hasattr(model, "reconstruct"):
                model.set_params(reconstruct=True)
            models.append((model, entry.fit_arguments))
    for model, arguments in models:
        for method, *case in cases_of_estimator(model, arguments):
            yield f"{type(model).__name__}.{method}", *case


def cases_of_estimator(model, arguments):
    """A fit, and answers for the cells of a table and of an AnnData."""
    X = arguments[0]
    tables = dict(zip(inspect.signature(model.fit).parameters, arguments, strict=False))
    drawn = WEIGHTS if hasattr(model, "random_state") else ()
    yield "fit", lambda **tables: answer(clone(model).fit(**tables), X), tables, drawn
    if hasattr(model, "fit_transform"):
        yield "fit_transform", lambda **tables: clone(model).fit_transform(**tables), tables, drawn
    fitted = clone(model).fit(*arguments)
    if hasattr(model, "score"):
        yield "score", fitted.score, dict(zip("Xy", arguments, strict=False))
    if hasattr(fitted, "edge_scores_"):
        start = X[X.obs["time"] == 0]
        for x0 in (start, start.to_df()):
            yield "predict", partial(fitted.predict, times=[0.0, 1.0]), {"x0": x0}
        return
    adata = ad.AnnData(X, layers={"counts": X})
    for method, new in product(ANSWERS, (X, adata)):
        if hasattr(fitted, method):
            answer_for = getattr(fitted, method)
            argument, *_ = inspect.signature(answer_for).parameters
            yield method, partial(call_by_position, answer_for), {argument: new}


def call_by_position(function, **tables):
    """Scikit-learn calls the first argument of `transform` X, whatever it is called."""
    return function(*tables.values())


def cases_of_fits():
    """What else fits take."""
    X, Y = cells().to_df(), cells().obsm["outputs"]
    bottleneck = network(random_state=0)

    def follow(eval_set_X, eval_set_y):
        return clone(bottleneck).fit(X, Y, eval_set=(eval_set_X, eval_set_y)).history_

    yield "SparseBottleneckRegressor.fit", follow, {"eval_set_X": X, "eval_set_y": Y}
    features, types = typed_cells().to_df(), typed_cells().obs["type"].astype(str)
    recurrent = quick(
        AttentionBiLSTMClassifier, transfer="joint", validation_share=0.2, random_state=0
    )

    def transfer(source_X, source_y, groups):
        fit = partial(clone(recurrent).fit, features, types, groups=groups)
        return answer(fit(source=(source_X, source_y)), features)

    tables = {"source_X": features[:90], "source_y": types[:90]}
    donors = typed_cells().obs["donor"]
    yield "AttentionBiLSTMClassifier.fit", transfer, tables | {"groups": donors}
    phoenix = quick(
        PhoenixRegressor,
        pruning="dash",
        sparsity=0.5,
        schedule=(1, 0.3, 1, 0.5),
        epochs=4,
        random_state=0,
    )
    prior = prior_table(courses())
    fit_edges = partial(phoenix.fit, courses(), prior)
    interactions = {"interactions": prior.abs()}
    yield "PhoenixRegressor.fit", lambda **tables: fit_edges(**tables).edge_scores_, interactions
    shifts = quick(SparseShiftVAE, random_state=0)
    counts, perturbation = screened_cells().to_df(), screened_cells().obs["perturbation"]
    shifts.fit(counts, perturbation)
    graph = shifts.shift_graph_
    graph["probability"] = np.linspace(0, 1, len(graph)) ** 2
    yield "edges_of", edges_of, {"graph": graph}
    both = {"counts": counts, "perturbation": perturbation}
    new = both | {"perturbation": "new " + perturbation.astype(str)}

    def fit_new(**tables):
        graph = shifts.fit_new_perturbations(**tables).shift_graph_
        return graph.set_index(["latent", "perturbation"])

    def bound(estimate, **tables):
        torch.manual_seed(0)
        return estimate(**tables, n_samples=2)

    yield "SparseShiftVAE.fit_new_perturbations", fit_new, new
    yield "SparseShiftVAE.elbo", partial(bound, shifts.elbo), both
    yield "SparseShiftVAE.iwelbo", partial(bound, shifts.iwelbo), both


def cases_of_data():
    X, Y, labels = cells().to_df(), cells().obsm["outputs"], cells().obs
    counts = cells().to_df("counts")
    about = {"Y": Y, "labels": labels, "counts": counts}
    yield "paired", sbnn.paired, {"X": X} | about
    yield "paired", partial(sbnn.paired, None), about
    tables = {"expression": counts, "outputs": Y, "labels": labels}
    yield "read_tables", sbnn.read_tables, tables
    totals = counts.sum(axis=1).max() * pd.Series(np.linspace(2, 3, 80), counts.index)
    normalizer = sbnn.CountNormalizer().fit(counts)
    yield "CountNormalizer.transform", normalizer.transform, {"X": counts, "totals": totals}
    normalize = partial(preprocessing.normalize_library_size, target=1e4)
    yield "normalize_library_size", normalize, {"counts": counts, "totals": totals}
    yield "log2p1", preprocessing.log2p1, {"x": counts.astype("float32")}
    yield "select_genes", select_genes, {"counts": counts}
    values = np.random.default_rng(0).uniform(1, 2, (4, len(scala.EPHYS_FEATURES)))
    raw = pd.DataFrame(values, columns=list(scala.EPHYS_FEATURES))
    raw["name sample"] = [f"x/09 18 2018 sample {i}.mat" for i in range(4)]
    tables = {"cell_features": raw, "metadata": as_published(MOTOR_CORTEX, "\t")}
    yield "ephys_from_raw", lambda **tables: scala.ephys_from_raw(**tables)[0], tables
    features, types = typed_cells().var, typed_cells().obs
    tables = {"X": typed_cells().to_df(), "labels": types, "families": features["family"]}
    yield "typed_cells", sbnn.typed_cells, tables | {"units": features["unit"]}
    mouse_cells = sbnn.typed_cells(mouse_features().drop(columns="ID"))
    yield "to_shared_features", to_shared_features, {"data": mouse_cells}
    counts, perturbation = screened_cells().to_df(), screened_cells().obs["perturbation"]
    replicates = pd.DataFrame({"replicate": counts.index.str[-1]}, counts.index)
    tables = {"counts": counts, "perturbation": perturbation, "labels": replicates}
    yield "screen", screen, tables
    samples = courses().obs[["sample", "time"]]
    yield "trajectories", trajectories, {"values": courses().to_df().join(samples)}


def select_genes(counts):
    return pd.Series(preprocessing.select_genes(counts, 5).selected, counts.columns)


def cases_of_evaluation():
    """Folds, and sets of genes, are drawn by position."""
    X, Y, adata = cells().to_df(), cells().obsm["outputs"], cells()
    pair = {"X": X, "Y": Y}

    def validate(X, Y):
        record = sbnn.cross_validate(sbnn.LeaveOneOutRidge(), (X, Y), 3, verbose=False)
        return pd.Series(record.test_feature_r2.sum(axis=(0, 1)), record.feature_names)

    def select(data):
        record = entries()["gene_selection"](data=data)
        return pd.Series(record.selected, record.gene_names)

    yield "cross_validate", validate, pair
    yield "gene_selection", select, {"data": adata}
    few_genes = network(n_genes=3, random_state=0).fit(X, Y)
    stability = sbnn.selection_table(record_of_halves())
    interpret = partial(sbnn.interpret, few_genes)
    tables = pair | {"stability": stability}
    yield "interpret", lambda **tables: interpret(**tables).table, tables
    for name in ("fit_full", "tsne_maps"):
        of_pair = partial(call_with_pair, entries()[name])
        yield name, of_pair, pair, ("X columns", "Y columns")
    for name in ("stability_selection", "interpret_held_out"):
        grouped = partial(entries()[name], data=adata)
        yield name, grouped, {"groups": adata.obs["donor"]}
    yield "map_trust", entries()["map_trust"], {"data": adata}
    explore = partial(page_data, record_of_fit())
    yield "explore", lambda data: explore(data=data)["genes"], {"data": adata}
    screened = {"adata": screened_cells()}
    yield "recovery", lambda adata: recovery(LinearShift(3), adata)[0], screened
    yield "recovery_of_genes", recovery_of_genes, screened
    yield "z_score_expression", lambda adata: z_score_expression(adata)[0], screened
    evaluate, test_sets = entries()["evaluate"], entries()["gene_set_test"]
    yield "evaluate", lambda data: evaluate(data={0: data}).scores, {"data": courses()}
    find_targets = entries()["known_targets_test"]
    choice = ["regulator", "genes"]
    yield (
        "known_targets_test",
        lambda data: find_targets(data={0: data}).tests.groupby(choice)["n_genes"].sum(),
        {"data": courses()},
    )
    values = test_sets.arguments["values"]
    yield "gene_set_test", lambda values: test_sets(values=values)["n_genes"], {"values": values}


def cases_of_own_data():
    """What `sbnn fit` and `sbnn predict` write and draw."""
    record, adata = record_of_fit(), cells()
    bottleneck = network(random_state=0).fit(adata)
    place = partial(predict_cells, bottleneck, counts=False)
    yield "predict_cells", place, {"expression": adata.to_df()}
    yield "predict_cells", place, {"expression": adata}

    def write(data):
        with TemporaryDirectory() as folder:
            paths = write_tables(folder, data, {"fit": record})
            return pd.read_csv(paths["cells.csv"], index_col="cell")

    yield "write_tables", write, {"data": adata}
    yield "values_table", values_table, {"data": adata}

    def color(labels):
        groups = Groups(color_by(record, labels))
        return pd.DataFrame({"color": groups.colors}, record.cell_names)

    yield "color_by", color, {"labels": adata.obs["donor"]}
    yield "color_by", color, {"labels": adata.obs[["donor"]]}


def call_with_pair(function, X, Y):
    return function(data=(X, Y))


class LearnsOfSource(LogisticRegression):
    """Learns from the cells of the source alone."""

    def fit(self, X, y, source):
        return super().fit(*source)


def cases_of_types():
    """Positions of folds are those of cells."""
    adata = typed_cells()[:, typed_cells().to_df().notna().all()].copy()

    def validate(data, source):
        model = LearnsOfSource(solver="newton-cholesky")
        call = partial(entries()["cross_validate_classifier"], estimator=model)
        return pd.DataFrame(call(data=data, source=source).test_probabilities[0][0])

    def measure(data):
        model = LogisticRegression(solver="newton-cholesky")
        record = entries()["family_importance"](estimator=model, data=data)
        return pd.DataFrame(record.left_out_log_loss, columns=record.family_names)

    both = {"data": adata, "source": adata}
    yield "cross_validate_classifier", validate, both, ("data rows",)
    yield "family_importance", measure, {"data": adata}, ("data rows",)


ROOMS = (
    cases_of_estimators,
    cases_of_fits,
    cases_of_data,
    cases_of_evaluation,
    cases_of_own_data,
    cases_of_types,
)


@cache
def cases():
    """Functions, tables, and rows or columns that are drawn, by the name of the function."""
    every = defaultdict(list)
    for room in ROOMS:
        for name, function, tables, *drawn in room():
            every[name].append((function, tables, *drawn))
    return dict(every)


def call_by_name(function, tables):
    """Tables of the result; arrays have the names of the first argument."""
    first = next(iter(tables.values()))
    like = first.to_df() if isinstance(first, ad.AnnData) else pd.DataFrame(first)
    return named(function(**tables), like)


def orders(tables, drawn=()):
    """The tables, of which one has another order of rows or columns, by which one it is.

    `drawn` are rows or columns by whose position random numbers are drawn.
    """
    for (argument, table), axis in product(tables.items(), (0, 1)):
        which = f"{argument} {('rows', 'columns')[axis]}"
        if which not in drawn and axis < len(table.shape):
            yield which, tables | {argument: backwards(table, axis)}


@pytest.mark.filterwarnings("ignore:the one-step error")
@pytest.mark.parametrize("name", functions_of_tables())
def test_tables_are_matched_by_name_or_refused(name):
    for function, tables, *drawn in cases()[name]:
        given = joblib.hash(tables)
        usual = call_by_name(function, tables)
        assert joblib.hash(tables) == given, "changed in place"
        for which, changed_tables in orders(tables, *drawn):
            try:
                changed = call_by_name(function, changed_tables)
            except ValueError:
                continue
            assert_alike(changed, usual, which)


# --- what is wrong


def no_tables(table):
    """What none is, or has names that would be ignored."""
    yield from ("text", 3)
    if isinstance(table, pd.DataFrame):
        yield narwhals.from_native(table.iloc[:, ::-1])


@pytest.mark.filterwarnings("ignore:the one-step error")
@pytest.mark.parametrize("name", sorted({*functions_of_tables()} - {"log2p1"}))
def test_what_is_no_table_of_pandas_is_refused(name):
    """Logarithms have no names."""
    for function, tables, *_ in cases()[name]:
        for argument, table in tables.items():
            for wrong in no_tables(table):
                with pytest.raises((TypeError, ValueError, AttributeError, FileNotFoundError)):
                    function(**tables | {argument: wrong})


def wrong_tables(table):
    """What is no table of the cells, with finite numbers or labels."""
    yield from no_tables(table)
    if isinstance(table, pd.DataFrame):
        yield table.assign(day=pd.Timestamp("2020-01-01"))
        yield table.assign(large=np.inf)
        yield table.iloc[:, [0, *range(table.shape[1])]]
    if isinstance(table, pd.Series):
        yield table.iloc[:-1]


def wrong_calls():
    """Name of a function, a call of it with one wrong argument, and which one this is.

    What estimators are made with is declared to scikit-learn, which names it.
    """
    for name, known in cases().items():
        for function, tables, *_ in known:
            for argument, table in tables.items():
                for wrong in wrong_tables(table):
                    yield name, partial(function, **tables | {argument: wrong}), argument
    for name, entry in entries().items():
        if not inspect.isfunction(entry.function):
            continue
        for parameter in inspect.signature(entry.function).parameters.values():
            if isinstance(parameter.default, bool):  # anything is true or false
                continue
            may_be_text = "Path" in str(parameter.annotation)
            for wrong in (-1.5,) if may_be_text else ("text", -1.5):
                yield name, partial(entry, **{parameter.name: wrong}), parameter.name


def own_error(call):
    """The message of a call that the package refuses, or None, if another one does or nothing."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # NumPy and pandas raise any kind
        last = traceback.extract_tb(error.__traceback__)[-1]
        is_own = Path(last.filename).is_relative_to(PACKAGE) and last.line.startswith("raise")
        return str(error) if is_own else None


def begins_with(message, argument):
    """Whether the argument, or one of which it is a part, is named before what was expected."""
    beginning = re.split(":| must | parameter", message)[0].lower()
    own_name = argument.lower()
    return any(
        word == own_name or own_name.startswith(f"{word}_") or own_name.endswith(f"_{word}")
        for word in re.findall(r"\w+", beginning)
    )


@pytest.mark.filterwarnings("ignore")
def test_an_error_begins_with_the_argument_that_is_wrong():
    n_refused, wrong = 0, []
    for name, call, argument in wrong_calls():
        message = own_error(call)
        n_refused += message is not None
        if message is not None and not begins_with(message, argument):
            wrong.append(f"{name}, {argument}: {message}")
    assert n_refused > 300
    assert not wrong, "\n".join(wrong)


def functions_of_records():
    """Those of `sbnn` itself, with the argument that is one."""
    for name in dir(sbnn):
        function = getattr(sbnn, name)
        if inspect.isfunction(function):
            first = next(iter(inspect.signature(function).parameters.values()), None)
            if first and first.annotation == "Record":
                yield function, first.name


@pytest.mark.parametrize(("function", "argument"), [*functions_of_records()])
def test_a_path_is_no_record(function, argument):
    with pytest.raises(TypeError, match=rf"^{argument}: expected a Record, .*results\.load"):
        function("cv.pickle.xz")
