"""Model files: what is saved comes back, and nothing else does."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from damage import edits, slots, with_edits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from sbnn import (
    CountNormalizer,
    DistilledBottleneckRegressor,
    DistilledSettings,
    SparseBottleneckRegressor,
)
from sbnn.models.bottleneck import persistence
from sbnn.models.saved import load_network

REFUSED = "m.safetensors is not an sbnn model"
QUICK = {
    "hidden_layers": (4, 3),
    "epochs": (1, 1, 1, 1),
    "pretraining": False,
    "n_genes": 4,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def small():
    """Fitted to 30 cells x 9 genes -> 2 outputs."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 9)), rng.normal(size=(30, 2))
    return SparseBottleneckRegressor(**QUICK, reconstruct=True).fit(X, Y)


@pytest.fixture(scope="module")
def parts(small, tmp_path_factory):
    """Header and tensors of its file."""
    return persistence._parts(
        small.save(tmp_path_factory.mktemp("model") / "m.safetensors").read_bytes()
    )


def sealed(header, tensors):
    """A file with any content and the right checksum, as somebody who means harm would write it."""
    return persistence._sealed(
        save(tensors, {"sbnn": json.dumps(header | {"sha256": persistence.UNSET})})
    )


def read(path, content):
    path.write_bytes(content)
    return SparseBottleneckRegressor.load(path)


def assert_same_model(again, model):
    X = np.random.default_rng(1).normal(size=(5, model.n_features_in_))
    for method in ("predict", "transform", "reconstruct_genes"):
        np.testing.assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))
    assert again.get_params() == model.get_params()
    assert again.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()
    assert again.output_names_.tolist() == model.output_names_.tolist()
    pd.testing.assert_frame_equal(again.history_, model.history_)


def test_a_model_comes_back(small, parts, tmp_path):
    assert_same_model(SparseBottleneckRegressor.load(small.save(tmp_path / "m.safetensors")), small)
    header, tensors = parts
    assert_same_model(read(tmp_path / "m.safetensors", sealed(header, tensors)), small)
    # as after a fit to a stream, which looks at the other genes no more
    dropped = ~tensors["support_"]
    tensors = {
        k: v.masked_fill(dropped, 0) if k in persistence.OF_GENES[1:] else v
        for k, v in tensors.items()
    }
    again = read(tmp_path / "m.safetensors", sealed(header, tensors))
    assert again.predict(np.random.default_rng(1).normal(size=(5, 9))).shape == (5, 2)


def test_names_and_vectors_come_back(data, tmp_path):
    frame = pd.DataFrame(data.X[:40, :8], data.cell_names[:40], data.gene_names[:8])
    model = SparseBottleneckRegressor(**QUICK | {"random_state": np.random.RandomState(0)}).fit(
        frame, data.Y[:40, 0]
    )
    # as of the distilled network
    model.x_min_, model.x_max_ = frame.to_numpy().min(0), frame.to_numpy().max(0) / 2
    again = SparseBottleneckRegressor.load(model.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    assert again.predict(frame).ndim == 1 and again.random_state is None
    assert again.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_array_equal(again.x_max_, model.x_max_)


def test_a_flipped_bit_anywhere_is_noticed(small, tmp_path):
    path = small.save(tmp_path / "m.safetensors")
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for byte in [*range(0, header, 9), *range(header, len(whole), 21)]:
        flipped = bytearray(whole)
        flipped[byte] ^= 1 << byte % 8
        with pytest.raises(ValueError, match=REFUSED):
            read(path, flipped)
    for content in (whole + b"\0", whole[:-1], whole[1:], whole + whole, b""):
        with pytest.raises(ValueError, match=REFUSED):
            read(path, content)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    for content in (
        b"not a model",
        pickle.dumps({"a": 1}),
        save({"x": torch.zeros(1)}),
        b"\xff" * 8,
        bytes(8),
    ):
        with pytest.raises(ValueError, match=REFUSED):
            read(path, content)
    for header in ({"format": "sbnn-model-0"}, [], 3, {}):
        with pytest.raises(ValueError, match=f"{REFUSED}.*format"):
            read(path, save({"x": torch.zeros(1)}, {"sbnn": json.dumps(header)}))
    with pytest.raises(FileNotFoundError):
        SparseBottleneckRegressor.load(tmp_path / "missing")


def test_a_header_or_a_tensor_of_another_kind_is_refused(parts, tmp_path):
    header, tensors = parts
    for entry, value, message in (
        ("shapes", [[40_000, 40_000]] * 5 + [[40_000, 2]], "network: expected"),
        ("shapes", [[4, 4], [5, 3], [3, 2], [2, 3], [3, 4], [4, 2]], "shapes: expected layers"),
        ("shapes", [[4, 4], [4, 3], [3, 2], [2, 4], [4, 3], [3, 2]], "shapes: expected layers"),
        ("shapes", [[4, 2], [2, 2]], "shapes: expected four"),
        ("shapes", [], ""),
        ("shapes", [[4, -4], [-4, 3], [3, -4], [-4, 2]], "shapes: expected"),
        ("shapes", [[4.0, 4], [4, 3], [3, 2], [2, 3], [3, 4], [4, 2]], "shapes: expected"),
        ("activation", "relu", "activation: expected one of"),
        ("flat_output", True, "flat_output: expected one output, got 2"),
        ("library_size", -1.0, "library_size"),
        ("output_names", ["a"], "names: expected"),
        ("feature_names_in", ["a"], "names: expected"),
        ("history", {"loss": [[1]]}, "history: expected numbers"),
        ("params", {"gene_prior": [1.0]}, "one weight"),
        ("params", {"n_genes": 10}, "n_genes"),
        ("params", {"n_threads": 10**9}, "n_threads.* 1024"),
        ("params", {"device": "meta"}, "device: expected one of"),
        ("flat_output", 0, "flat_output: entry of the wrong type"),
        ("params", {"distillation": {"n_tree": 1}}, "n_tree"),
        ("more", 1, "more"),
    ):
        value = header["params"] | value if entry == "params" else value
        with pytest.raises(ValueError, match=f"{REFUSED}.*{message}"):
            read(tmp_path / "m.safetensors", sealed(header | {entry: value}, tensors))
    for name, change, message in (
        ("network", lambda t: t[:1], "expected 78 numbers"),  # broadcasts over all weights
        ("network", lambda t: t * np.nan, "expected finite"),
        ("support_", lambda t: t.to(torch.uint8), "expected 9 numbers"),
        ("support_", lambda t: ~t, "expected 4 genes, got 5"),
        ("support_", lambda t: (2 * t.to(torch.uint8)).view(torch.bool), "expected boolean values"),
        ("x_mean_", lambda t: t / 0, "expected finite"),
        ("x_scale_", lambda t: 0 * t, "expected positive"),
        ("y_scale_", lambda t: 0 * t, "expected positive"),
        ("y_mean_", lambda t: t[:1], "expected 2 numbers"),
        ("x_min_", lambda t: t * np.nan, "expected finite"),
        ("x_min_", lambda t: -t, "expected limits below"),  # from -inf
        ("gene_norms_", lambda t: -t, "expected numbers >= 0"),
    ):
        with pytest.raises(ValueError, match=f"{REFUSED}.*{name}: {message}"):
            read(
                tmp_path / "m.safetensors", sealed(header, tensors | {name: change(tensors[name])})
            )
    for changed in (
        {k: v for k, v in tensors.items() if k != "x_mean_"},
        tensors | {"more": torch.zeros(1)},
    ):
        with pytest.raises(ValueError, match=f"{REFUSED}.*expected the tensors"):
            read(tmp_path / "m.safetensors", sealed(header, changed))
    for entry in set(persistence.ENTRIES) - {"sha256"}:  # which is set anew
        with pytest.raises(ValueError, match=REFUSED):
            read(
                tmp_path / "m.safetensors",
                sealed({k: v for k, v in header.items() if k != entry}, tensors),
            )


def test_a_normalizer_comes_back(small, parts, tmp_path):
    path = tmp_path / "m.safetensors"
    header = parts[0] | {"library_size": 100.0}
    shares = torch.arange(9) / 36
    again = read(path, sealed(header, parts[1] | {"count_share_": shares}))
    rewritten = SparseBottleneckRegressor.load(again.save(tmp_path / "again.safetensors"))
    for model in (again, rewritten):
        np.testing.assert_array_equal(model.normalizer_.count_share_, shares)
        assert model.normalizer_.library_size_ == 100
        assert model.normalizer_.n_features_in_ == 9
    counts = pd.DataFrame(np.arange(1, 28).reshape(3, 9))
    normalizer = CountNormalizer().fit(counts)
    saved = SparseBottleneckRegressor.load(small.save(path, normalizer))
    expected = normalizer.transform(counts)
    np.testing.assert_array_equal(saved.normalizer_.transform(counts), expected)
    assert SparseBottleneckRegressor.load(small.save(path)).normalizer_ is None
    for wrong in (shares * 2, shares / 2, shares * 2 - shares.flip(0), shares[:-1]):
        with pytest.raises(ValueError, match=f"{REFUSED}.*count_share_: expected"):
            read(path, sealed(header, parts[1] | {"count_share_": wrong}))
    with pytest.raises(ValueError, match=f"{REFUSED}.*count_share_: expected only with a lib"):
        read(path, sealed(parts[0], parts[1] | {"count_share_": shares}))


def former(header, protocol):
    """Header of the format in which one class had both protocols."""
    params = FORMER_DEFAULTS | {"protocol": protocol} | header["params"]
    header = {name: value for name, value in header.items() if name != "class"}
    return header | {"format": "sbnn-model-3", "params": params}


FORMER_DEFAULTS = {
    "group_lasso": 0.1,
    "pretraining": True,
    "epochs": [50, 50, 50, 100],
    "learning_rate": 1e-4,
    "batch_size": 32,
    "weight_decay": 1e-10,
    "n_clusters": 20,
    "distillation": None,
}


def test_files_of_the_former_class_come_back(small, parts, tmp_path):
    path = tmp_path / "m.safetensors"
    content = sealed(former(parts[0], "paper"), parts[1])
    assert_same_model(read(path, content), small)
    assert_same_model(load_network(path), small)
    X, Y = np.random.default_rng(2).normal(size=(2, 30, 9))
    short = DistilledSettings(n_trees=2, n_augmented=9, steps_of_teachers=1, steps_of_student=1)
    model = DistilledBottleneckRegressor(n_genes=4, random_state=0, distillation=short).fit(X, Y)
    header, tensors = persistence._parts(model.save(path).read_bytes())
    header = former(header, "distilled")
    header["params"]["n_genes"] = "auto"  # which the former class chose in a fit
    path.write_bytes(sealed(header, tensors))
    for again in (load_network(path), DistilledBottleneckRegressor.load(path)):
        assert again.get_params() == model.get_params()
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="load it with sbnn.DistilledBottleneckRegressor.load"):
        SparseBottleneckRegressor.load(path)


def load_or_refuse(path, content):
    """The only two outcomes: a model that predicts finite numbers, or a ValueError that names the file."""
    try:
        model = read(path, content)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        repr(model)
        assert model.predict(np.zeros((1, model.n_features_in_))).reshape(1, -1).shape == (
            1,
            len(model.output_names_),
        )


FUZZ = {"suppress_health_check": list(HealthCheck)}
PLAIN = st.sampled_from(
    [None, True, -1, 0, 1, 2, 9, 2**31, 10**400, 0.5, float("nan"), 1e308, "", "a", "cpu"]
)
TREES = (
    PLAIN
    | st.lists(PLAIN, max_size=4)
    | st.dictionaries(st.sampled_from(["a", "n_genes", "loss"]), PLAIN, max_size=2)
)


@settings(max_examples=100, **FUZZ)
@given(st.integers(0, 9999), TREES)
def test_fuzzed_headers(parts, tmp_path_factory, place, odd):
    header = json.loads(json.dumps(parts[0]))
    places = list(slots(header))
    container, key = places[place * len(places) // 10_000]
    container[key] = odd
    load_or_refuse(tmp_path_factory.getbasetemp() / "m.safetensors", sealed(header, parts[1]))


@settings(max_examples=100, **FUZZ)
@given(edits(b'{}[]",:0123456789-.eNaIF\\'))
def test_fuzzed_bytes_of_the_header(parts, tmp_path_factory, changes):
    content = sealed(*parts)
    checksum = persistence._parts(content)[0]["sha256"]
    end = 8 + int.from_bytes(content[:8], "little")
    header = with_edits(content[8:end], changes)
    content = len(header).to_bytes(8, "little") + header + content[end:]
    content = persistence._sealed(content, checksum)
    load_or_refuse(tmp_path_factory.getbasetemp() / "m.safetensors", content)
