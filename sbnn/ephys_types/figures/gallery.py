"""All figures of a data set, by name, from whatever results there are."""

from functools import partial

from sbnn.ephys_types.figures.accuracy import accuracy_of_models
from sbnn.ephys_types.figures.calibration import calibration_curves
from sbnn.ephys_types.figures.cells import cells_by_type
from sbnn.ephys_types.figures.conditions import within_conditions
from sbnn.ephys_types.figures.confusion import confusion_matrices
from sbnn.ephys_types.figures.families import family_map
from sbnn.ephys_types.figures.transfer import learning_curves, zero_shot
from sbnn.ephys_types.models import MODELS
from sbnn.ephys_types.published import of_data
from sbnn.ephys_types.report import CLASSES_OF, FEWEST, GROUPS, of_kind
from sbnn.ephys_types.study import CELLS, CURVES, FAMILIES, INTERPRETED, KINDS, ZERO_SHOT
from sbnn.plotting.series import FigureSeries

SHOWN = ("lightgbm", "sparse_pca_forest", "bilstm_published", "bilstm", "bilstm_no_attention", "family_attention",
         "ephys_type")  # fmt: skip


def _figures(records):
    for kind in KINDS:
        models = of_kind(records, kind)
        if not models:
            continue
        needed = [f"{kind}_{name}" for name in models]
        yield f"{kind}_accuracy", needed, partial(_accuracy, kind, tuple(models))
        shown = [name for name in SHOWN if name in models]
        if shown:
            needed = [f"{kind}_{name}" for name in shown]
            labels = [MODELS[name].label for name in shown]
            sorts = [MODELS[name].kind for name in shown]
            yield f"{kind}_confusion", needed, partial(_confusion, labels)
            yield f"{kind}_calibration", needed, partial(_calibration, labels, sorts)
    yield CELLS, [CELLS], cells_by_type
    for name in (name for name in INTERPRETED if name in MODELS):
        yield f"{FAMILIES}_{name}", [f"{FAMILIES}_{name}"], partial(family_map, label=MODELS[name].label)
    shown = [name for name in SHOWN if f"types_{name}" in records]
    for column in GROUPS:
        if CELLS in records and shown and _several(records[CELLS].labels, column):
            needed = [CELLS, *(f"types_{name}" for name in shown)]
            labels = [MODELS[name].label for name in shown]
            yield f"types_within_{column}", needed, partial(_within, column, labels)
    yield ZERO_SHOT, [ZERO_SHOT], zero_shot
    yield CURVES, [CURVES], learning_curves


def _several(labels, column):
    return column in labels and (labels[column].value_counts() >= FEWEST).sum() > 1


def _confusion(labels, *records):
    return confusion_matrices(dict(zip(labels, records, strict=True)))


def _calibration(labels, sorts, *records):
    return calibration_curves(dict(zip(labels, zip(sorts, records, strict=True), strict=True)))


def _within(column, labels, cells, *records):
    return within_conditions(dict(zip(labels, records, strict=True)), cells.labels, column)


def _accuracy(kind, names, *records):
    rows = {name: (MODELS[name].label, MODELS[name].kind, r) for name, r in zip(names, records, strict=True)}
    dataset = records[0].dataset
    return accuracy_of_models(rows, of_data(dataset, kind), f"{dataset}, {CLASSES_OF[kind]}")


SERIES = FigureSeries(_figures)
gallery, figure_names, draw_all = SERIES.draw, SERIES.names, SERIES.save
