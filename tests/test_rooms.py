"""Imports run down only, as `sbnn/README.md` draws them, and public names stay where they are."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sbnn

PACKAGE = Path(sbnn.__file__).parent
PUBLIC = {
    "sbnn": """CountNormalizer DistilledBottleneckRegressor DistilledSettings
        LeaveOneOutRidge ReducedRankRegression SparseBottleneckRegressor
        SparseReducedRankRegression cross_validate default_dataset
        epoch_curves explore fit_full genes_table grouped_folds interpret
        later_fold load_dataset map_trust paired_cells paper_folds
        read_tables selection_table simulate_patchseq
        stability_selection typed_cells verdict metrics plotting preprocessing results""",
    "sbnn.ephys_types": """AttentionBiLSTMClassifier EphysTypeClassifier FamilyAttentionClassifier
        SparsePCAForest
        cross_validate_classifier family_importance""",
    "sbnn.mechanism_shift": """LinearShift SparseShiftVAE compute_once edges_of match_latents
        recovery recovery_of_genes screen simulate_perturbations unmix z_scored""",
    "sbnn.dynamics": """GeneNetwork PUBLISHED PhoenixRegressor
        evaluate gene_set_test simulate_network trajectories""",
    "sbnn.plotting": """accuracy_comparison bibiplot bottleneck_comparison bottleneck_widths
        cell_maps effect_map family_zoom gene_selection_curve
        genes_curve latent_panels map_trust_panels model_overview output_accuracy
        save_figure selection_frequencies style training_curves tsne_pair
        width_and_stability""",
    "sbnn.results": "Record load load_folder results_folder save",
    "sbnn.metrics": "feature_r2 pooled_r2 smallest_sufficient",
}


def floors():
    """Room -> height, from the drawing."""
    drawing = (PACKAGE / "README.md").read_text().split("```")[1].split("\n")
    rows = [line.split() for line in drawing if line.strip()]
    return {room: height for height, row in enumerate(reversed(rows)) for room in row}


def imports():
    """Module name -> the modules of the package that it imports, anywhere in it."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        others = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                others.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, "imports name their module in full"
                others.update([node.module, *(f"{node.module}.{a.name}" for a in node.names)])
        found[".".join(parts).removesuffix(".__init__")] = others
    return {name: others & found.keys() for name, others in found.items()}


def room(module):
    return module.split(".")[1]


def test_imports_run_down_only():
    height = floors()
    trees = imports()
    del trees["sbnn"]
    assert {room(module) for module in trees} == set(height)
    for module, others in trees.items():
        for other in others - {"sbnn"}:
            if room(other) != room(module):
                assert height[room(other)] < height[room(module)], f"{module} imports {other}"


def test_no_two_modules_need_each_other():
    graph = {}
    for module, others in imports().items():
        # `from package import module` needs the module, not what else the package holds
        parents = {other.rpartition(".")[0] for other in others}
        graph[module] = others - parents - {module}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_those_listed_here(module):
    home = importlib.import_module(module)
    assert set(home.__all__) == set(PUBLIC[module].split())
    assert all(hasattr(home, name) for name in home.__all__)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        # what takes seconds to load
        ("from sbnn import plotting, results", "torch sklearn scipy matplotlib openTSNE"),
        ("from sbnn.plotting import *", "torch sklearn openTSNE sbnn.data.paired"),
        ("import sbnn.models.linear", "sbnn.models.network sbnn.evaluation sbnn.data.paired"),
    ],
)
def test_modules_load_no_more_than_they_need(code, heavy):
    code = f"import sys; {code}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert not {*loaded.decode().split()} & {*heavy.split()}


def test_public_figures_are_functions_whatever_was_imported_before():
    """A module of the name of a function would take its place in the package."""
    modules = {path.stem for path in (PACKAGE / "plotting").glob("*.py")}
    assert not modules & {*PUBLIC["sbnn.plotting"].split()}
