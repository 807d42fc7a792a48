"""What notebooks write by hand is what the package does: the cells that show it are run."""

import numpy as np
import pytest
from material.notebooks import run_proof

from sbnn.data.datasets import list_datasets

QUICKLY_AND_AS_SHOWN = pytest.mark.parametrize(
    "fast", [True, pytest.param(False, marks=pytest.mark.slow)]
)


@QUICKLY_AND_AS_SHOWN
def test_the_published_network_is_trained_alike_in_every_epoch(fast):
    shown = run_proof("differs by up to", dataset="simulated", fast=fast)
    assert len(shown["here"]) >= 10
    assert shown["largest"] < 1e-6


@QUICKLY_AND_AS_SHOWN
def test_the_distilled_network_is_the_same_in_its_first_steps(fast):
    shown = run_proof("of one map from the other", dataset="simulated", fast=fast)
    assert len(shown["first"]) == (1 if fast else 5)  # each after 100 steps
    assert shown["first"].max() < 1e-6
    assert shown["agreement"] > 0.995


@pytest.mark.filterwarnings("ignore:the one-step error")
@pytest.mark.parametrize("proof", ["np.abs(by_hand - model.pred", "np.abs(mean - both.pred"])
def test_probabilities_of_types_are_those_written_down(proof):
    """Of the published network, and of the default, which are means of its two members."""
    shown = run_proof(proof, dataset="simulated_ephys", fast=True)
    assert shown["difference"] < 1e-6


@pytest.mark.filterwarnings("ignore:the one-step error")
@pytest.mark.parametrize("proof", ['print("equal:', 'print("output masks equal:'])
def test_the_network_of_genes_and_its_pruning_are_those_of_the_package(proof, capsys):
    run_proof(proof, dataset="simulated_grn", fast=True)
    printed = capsys.readouterr().out
    assert "equal: True" in printed
    assert "equal: False" not in printed


@pytest.mark.skipif(
    list_datasets()["state"]["scala"] != "here", reason="the Scala data are not on this machine"
)
def test_derived_outputs_of_motor_cortex_are_the_released_ones():
    shown = run_proof("of the released outputs", dataset="scala")
    assert len(shown["derived"]) == 1213
    assert np.nanmax(shown["difference"]) < 1e-6
