"""All figures of a data set, by name, from whatever results there are."""

from functools import partial

from sbnn.dynamics.experiments import DRAWN_CONDITIONS, SHOWN
from sbnn.dynamics.figures.corrected import corrected_edges
from sbnn.dynamics.figures.cost import cost_by_size
from sbnn.dynamics.figures.degrees import out_degrees
from sbnn.dynamics.figures.network import strongest_edges
from sbnn.dynamics.figures.paths import predicted_paths
from sbnn.dynamics.figures.scores import scores_of_methods
from sbnn.dynamics.figures.sparsity import accuracy_by_sparsity
from sbnn.dynamics.report import TITLES, by_sparsity
from sbnn.dynamics.study import conditions_of, of_condition
from sbnn.plotting.series import FigureSeries

DRAWN = ("dash", "sparse")  # of which the network is drawn


def _figures(records):
    by_condition = {condition: of_condition(records, condition) for condition in conditions_of(records)}
    for condition, methods in by_condition.items():
        needed = [f"{condition}_{name}" for name in methods]
        if condition == "real":
            yield (
                "dynamics_scores",
                needed,
                partial(_by_method, partial(scores_of_methods, condition=condition), methods),
            )
        elif len(methods) > 3:
            yield f"dynamics_{condition}_sparsity", [*needed], partial(_by_sparsity, methods, condition, records)
    corrected = {c: of for c, of in by_condition.items() if c not in ("noise_0", "real") and len(of) > 3}
    if corrected:
        yield "dynamics_corrected", [], partial(corrected_edges, corrected, TITLES)
    for condition in DRAWN_CONDITIONS:
        methods = by_condition.get(condition, {})
        shown = [name for name in SHOWN if name in methods and "predicted" in methods[name].values]
        if "prior" in methods and shown:
            needed = [f"{condition}_{name}" for name in shown]
            yield "dynamics_paths", [f"{condition}_prior", *needed], partial(_with_prior, shown)
        if "prior" in methods and shown and condition != "real":  # of real data too little is known to judge a network
            drawn = [name for name in DRAWN if name in shown]
            needed = [f"{condition}_{name}" for name in drawn]
            yield "dynamics_network", needed, partial(_by_method, strongest_edges, drawn)
            yield "dynamics_out_degree", [f"{condition}_prior"], partial(_degrees, methods)
    yield "dynamics_cost", ["sizes"], cost_by_size


def _by_method(draw, names, *records):
    return draw(dict(zip(names, records, strict=True)))


def _by_sparsity(names, condition, all_records, *records):
    swept = by_sparsity(all_records) if condition == "noise_5" and "sparsities" in all_records else None
    # What is published is of the same network.
    published = condition == "noise_5" and records[0].dataset == "grn_350"
    return accuracy_by_sparsity(dict(zip(names, records, strict=True)), condition, swept, published)


def _with_prior(names, of_prior, *records):
    return predicted_paths(of_prior, dict(zip(names, records, strict=True)))


def _degrees(methods, of_prior):
    return out_degrees(methods, of_prior.values.get("true_out_degree"), of_prior.out_degree)


SERIES = FigureSeries(_figures)
gallery, figure_names, draw_all = SERIES.draw, SERIES.names, SERIES.save
