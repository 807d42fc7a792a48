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
        SparseReducedRankRegression cross_validate default_dataset diagnose
        epoch_curves explore fit_full genes_table grouped_folds interpret
        later_fold load_dataset map_trust paired paper_folds
        read_ephys_table read_tables selection_table simulate_patchseq
        stability_selection typed_cells verdict metrics plotting preprocessing results""",
    "sbnn.ephys_types": """AttentionBiLSTMClassifier EphysTypeClassifier FamilyAttentionClassifier
        SparsePCAForest ZeroShotClassifier
        cross_validate_classifier family_importance""",
    "sbnn.mechanism_shift": """LinearShift SparseShiftVAE compute_once edges_of match_latents
        read_screen recovery recovery_of_genes screen simulate_perturbations unmix z_scored""",
    "sbnn.dynamics": """GeneNetwork PUBLISHED PhoenixRegressor SparseRegulationRegressor
        evaluate read_course simulate_network trajectories""",
    "sbnn.plotting": """accuracy_comparison bibiplot bottleneck_comparison bottleneck_widths
        cell_maps effect_map family_colors family_zoom gene_selection_curve
        genes_curve latent_panels map_trust output_accuracy overview
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
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found[name].update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, "imports name their module in full"
                found[name].add(node.module)
                found[name].update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name: others & found.keys() for name, others in found.items()}


def room(module):
    return module.split(".")[1]


def test_imports_run_down_only():
    height = floors()
    trees = imports()
    assert {room(module) for module in trees if module != "sbnn"} == set(height)
    for module, others in trees.items():
        for other in others - {"sbnn"}:
            if module != "sbnn" and room(other) != room(module):
                assert height[room(other)] < height[room(module)], f"{module} imports {other}"


def test_no_two_modules_need_each_other():
    graph = {}
    for module, others in imports().items():
        # `from package import module` needs the module, not what else the package holds
        parents = {other.rpartition(".")[0] for other in others}
        graph[module] = others - parents - {module}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_those_listed_here(module):
    home = importlib.import_module(module)
    assert set(home.__all__) == set(PUBLIC[module].split())
    assert all(hasattr(home, name) for name in home.__all__)


def test_figures_and_records_are_light():
    """Neither torch nor scikit-learn, which take seconds to load, not even for all figures."""
    code = (
        "import sys; from sbnn import plotting, results; early = set(sys.modules); "
        "[getattr(plotting, name) for name in plotting.__all__]; "
        "print(*early & {'torch', 'sklearn', 'scipy', 'matplotlib', 'openTSNE'}); "
        "print(*set(sys.modules) & {'torch', 'sklearn', 'openTSNE', 'sbnn.data.paired'})"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "\n\n"


def test_ridge_needs_few_modules():
    code = (
        "import sys; import sbnn.models.linear; "
        "print(sum(name.split('.')[0] == 'sbnn' for name in sys.modules))"
    )
    assert (
        int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        <= 12
    )


def test_public_figures_are_functions_whatever_was_imported_before():
    """A module of the name of a function would take its place in the package."""
    for path in (PACKAGE / "plotting").glob("[!_]*.py"):
        importlib.import_module(f"sbnn.plotting.{path.stem}")
    for name in PUBLIC["sbnn.plotting"].split():
        assert callable(getattr(importlib.import_module("sbnn.plotting"), name)), name
