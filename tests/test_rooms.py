"""Imports run down only, as `sbnn/README.md` draws them, and public names stay where they are."""

import ast
import importlib
import inspect
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from material.command import run_alone

import sbnn

PACKAGE = Path(sbnn.__file__).parent
PUBLIC = {
    "sbnn": """CountNormalizer DistilledBottleneckRegressor DistilledSettings
        LeaveOneOutRidge ReducedRankRegression SparseBottleneckRegressor
        SparseReducedRankRegression StackedRegressor cross_validate default_dataset
        epoch_curves explore fit_full genes_table grouped_folds interpret
        later_fold load_dataset map_trust paired paper_folds
        read_tables selection_table simulate_patchseq
        stability_selection typed_cells verdict metrics plotting preprocessing results""",
    "sbnn.ephys_types": """AttentionBiLSTMClassifier EphysTypeClassifier FamilyAttentionClassifier
        SparsePCAForest
        cross_validate_classifier family_importance""",
    "sbnn.mechanism_shift": """LinearShift SparseShiftVAE edges_of match_latents recovery
        recovery_of_genes screen simulate_perturbations unmix z_score_expression""",
    "sbnn.dynamics": """GeneNetwork PUBLISHED_OPTIONS PhoenixRegressor
        evaluate gene_set_test known_targets_test simulate_network trajectories""",
    "sbnn.plotting": """accuracy_comparison bottleneck_comparison bottleneck_widths
        cell_maps color_by effect_map family_zoom gene_selection_curve headline
        genes_curve latent_subplots map_trust_subplots model_overview output_accuracy
        save_figure selection_frequencies show_and_save style training_curves
        tsne_pair width_and_stability""",
    "sbnn.results": "Record SavedResults load load_folder results_folder save",
    "sbnn.metrics": "feature_r2 pooled_r2 smallest_sufficient",
}


def floors():
    """Room -> height, from the drawing."""
    drawing = (PACKAGE / "README.md").read_text().split("```")[1]
    rows = [line.split() for line in drawing.splitlines() if line.strip()]
    return {room: height for height, row in enumerate(reversed(rows)) for room in row}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imported_names(path):
    """Modules that a file imports, anywhere in it, and names that may be modules."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their module in full"
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def imports():
    """Module name -> the modules of the package that it imports."""
    names = {module_name(path): imported_names(path) for path in PACKAGE.rglob("*.py")}
    return {module: imported & names.keys() for module, imported in names.items()}


def room(module):
    return module.split(".")[1]


def test_the_drawing_has_every_room():
    trees = imports()
    del trees["sbnn"]
    assert {room(module) for module in trees} == set(floors())


def test_imports_run_down_only():
    height = floors()
    trees = imports()
    del trees["sbnn"]
    for module, imported in trees.items():
        for other in imported - {"sbnn"}:
            if room(other) != room(module):
                assert height[room(other)] < height[room(module)], f"{module} imports {other}"


#: Nothing outside imports from these but the commands and `sbnn/__init__.pyi`; the table of data
#: sets names their readers as text.
CLOSED_ROOMS = {"own_data", "ephys_types", "mechanism_shift", "dynamics"}
COMMANDS = {"sbnn.cli", "sbnn.study.command"}


def test_companions_are_closed():
    """To each other, too."""
    trees = imports()
    del trees["sbnn"]
    for module in trees.keys() - COMMANDS:
        entered = {room(other) for other in trees[module] - {"sbnn"}} & CLOSED_ROOMS
        assert entered <= {room(module)}, module


def test_no_two_modules_need_each_other():
    graph = {}
    for module, imported in imports().items():
        # `from package import module` needs the module, not what else the package holds
        parents = {name.rpartition(".")[0] for name in imported}
        graph[module] = imported - parents - {module}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_those_listed_here(module):
    home = importlib.import_module(module)
    assert set(home.__all__) == set(PUBLIC[module].split())
    assert all(hasattr(home, name) for name in home.__all__)


def public_functions():
    """Functions that the stubs export, by their names."""
    functions = {}
    for path in PACKAGE.rglob("*.pyi"):
        home = importlib.import_module(module_name(path))
        for name in home.__all__:
            exported = getattr(home, name)
            if inspect.isfunction(exported):
                functions[f"{home.__name__}.{name}"] = exported
    return functions


PUBLIC_FUNCTIONS = public_functions()


@pytest.mark.parametrize("name", PUBLIC_FUNCTIONS)
def test_public_functions_are_annotated_whole(name):
    signature = inspect.signature(PUBLIC_FUNCTIONS[name])
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter.name


# What takes seconds to load, and what an import must not load.
OF_FIGURES = {
    "from sbnn import plotting, results": "torch sklearn scipy matplotlib openTSNE",
    "from sbnn.plotting import *": "torch sklearn openTSNE sbnn.data.paired",
}
FIT_RIDGE = """
import numpy as np
import pandas as pd
from sbnn import LeaveOneOutRidge
X, y = np.random.default_rng(0).normal(size=(2, 9, 4))
for x in (X, pd.DataFrame(X).add_prefix("gene")):
    LeaveOneOutRidge().fit(x, y).predict(x)
"""
OF_MODELS = {
    "import sbnn.cli": "pandas torch sklearn scipy matplotlib joblib",
    "import sbnn.models.linear": "sbnn.models.network sbnn.evaluation sbnn.data.paired",
    FIT_RIDGE: "torch matplotlib anndata",
    "from sbnn import DistilledBottleneckRegressor": "anndata",
}


@pytest.mark.parametrize("heavy", [OF_FIGURES, OF_MODELS], ids=["figures", "models"])
def test_modules_load_no_more_than_they_need(heavy):
    """Code in one process, each piece of which loads more than the one before."""
    lines = ["import sys"]
    for code in heavy:
        lines += [code, "print(*sys.modules)"]
    printed = run_alone("\n".join(lines))
    for loaded, (code, forbidden) in zip(printed.splitlines(), heavy.items(), strict=True):
        assert not set(loaded.split()) & set(forbidden.split()), code


def test_public_figures_are_functions_whatever_was_imported_before():
    """A module of the name of a function would take its place in the package."""
    modules = {path.stem for path in (PACKAGE / "plotting").glob("*.py")}
    assert not modules & set(PUBLIC["sbnn.plotting"].split())


# Calls of the first are identified by the name in saved results; the second is public in two rooms.
SHARED_NAMES = {"fit_and_score", "map_trust"}


def top_level_names(path):
    """Functions, classes and constants of a file, without leading underscores."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name.lstrip("_")
        if isinstance(node, ast.AnnAssign):
            yield from constant_names([node.target])
        if isinstance(node, ast.Assign):
            yield from constant_names(node.targets)


def constant_names(targets):
    for target in targets:
        if isinstance(target, ast.Name) and target.id.isupper():
            yield target.id.lstrip("_")


def test_no_name_has_two_meanings():
    """A reader who meets a name in two modules finds one definition."""
    modules = {}
    for path in PACKAGE.rglob("*.py"):
        if path.name != "__init__.py":
            for name in set(top_level_names(path)):
                modules.setdefault(name, []).append(module_name(path))
    homonyms = {name: places for name, places in modules.items() if len(places) > 1}
    assert {name: homonyms[name] for name in homonyms.keys() - SHARED_NAMES} == {}


def returns_a_value(function):
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return any(value is not None for value in returned)


def test_what_is_called_check_only_raises():
    """What makes, decides or fills in has a verb that says so."""
    makers = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_check = isinstance(node, ast.FunctionDef) and "check" in node.name.split("_")
            if is_check and returns_a_value(node):
                makers.append(f"{module_name(path)}.{node.name}")
    assert makers == []
