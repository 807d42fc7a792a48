"""All figures of a data set, by name, from whatever results there are."""

from functools import partial

from sbnn.mechanism_shift.figures.accuracy import accuracy_of_methods
from sbnn.mechanism_shift.figures.cells import cells_by_perturbation
from sbnn.mechanism_shift.figures.held_out import held_out_likelihood
from sbnn.mechanism_shift.figures.latents import true_and_found
from sbnn.mechanism_shift.figures.shift_graph import found_and_true, graph_of_screen
from sbnn.mechanism_shift.figures.trust import trust
from sbnn.mechanism_shift.figures.varied import accuracy_as_varied
from sbnn.mechanism_shift.methods import METHODS
from sbnn.mechanism_shift.report import TITLES, of_configuration
from sbnn.mechanism_shift.simulated_study import CONFIGURATIONS, VARIED
from sbnn.plotting.series import FigureSeries


def _figures(records):
    for configuration in CONFIGURATIONS:
        methods = of_configuration(records, configuration)
        if not methods:
            continue
        needed, title = [f"{configuration}_{name}" for name in methods], TITLES[configuration]
        yield f"shift_{configuration}_accuracy", needed, partial(_by_method, accuracy_of_methods, methods, title)
        networks = [name for name in methods if METHODS[name].kind != "linear" and not METHODS[name].unmixed]
        if networks:
            needed = [f"{configuration}_{name}" for name in networks]
            yield f"shift_{configuration}_held_out", needed, partial(_by_method, held_out_likelihood, networks, title)
        yield f"shift_{configuration}_latents", [f"{configuration}_staged"], true_and_found
        yield f"shift_{configuration}_graph", [f"{configuration}_staged"], found_and_true
    varied = [name for name in VARIED if f"varied_{name}" in records]
    if varied:
        yield "shift_varied", [f"varied_{name}" for name in varied], partial(_varied, varied)
    yield "shift_graph", ["fits"], graph_of_screen
    yield "shift_cells", ["fits"], cells_by_perturbation
    yield "shift_trust", ["sizes", "bootstraps", "permuted", "fits"], trust


def _by_method(draw, names, title, *records):
    return draw(dict(zip(names, records, strict=True)), title)


def _varied(names, *records):
    return accuracy_as_varied(
        dict(zip(names, records, strict=True)), {name: usual for name, (_, usual) in VARIED.items()}
    )


SERIES = FigureSeries(_figures)
gallery, figure_names, draw_all = SERIES.draw, SERIES.names, SERIES.save
