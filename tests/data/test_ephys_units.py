import pytest

from sbnn.data.ephys_units import feature_table, known_features, multiple_of_unit, unit_factor


@pytest.mark.parametrize(
    ("unit", "to", "factor"),
    [
        ("ms", "ms", 1),
        ("s", "ms", 1e3),
        ("A", "pA", 1e12),
        ("GΩ", "MOhm", 1e3),
        ("Hz/nA", "Hz/pA", 1e-3),
        ("V/s", "mV/ms", 1),
        ("mV*s", "mV s", 1),
        ("%", "", 0.01),
    ],
)
def test_units_convert(unit, to, factor):
    assert unit_factor(unit, to) == factor


def test_units_of_other_quantities_do_not():
    with pytest.raises(ValueError, match="'mV' cannot be converted to 'pA'"):
        unit_factor("mV", "pA")
    with pytest.raises(ValueError, match="'furlong' is not known"):
        unit_factor("furlong", "mV")


def test_every_published_feature_has_a_family_and_its_own_median_is_usual():
    for release, size, n_families in (("gouwens_2020", 45, 7), ("lee_2023", 93, 11)):
        table = feature_table(release)
        assert table.shape[0] == size and table["family"].nunique() == n_families and table.index.is_unique
        ranged = table[table["low"].notna()]
        assert ((ranged["low"] < ranged["median"]) & (ranged["median"] < ranged["high"])).all()
        # narrow enough that a thousand times as much is never usual as well, and of one sign
        assert (ranged["low"] * ranged["high"] > 0).all()
        assert (ranged[["low", "high"]].abs().max(axis=1) < 1000 * ranged[["low", "high"]].abs().min(axis=1)).all()
        assert (table["unit"].isin(["mV", "pA", "MOhm", "GOhm"]) <= table["low"].notna()).all()
        for unit in set(table["unit"]) - {""}:
            assert unit_factor(unit, f" {unit}") == 1, "it can be read"
    with pytest.raises(ValueError, match="release must be 'gouwens_2020' or 'lee_2023', got 'mouse'"):
        feature_table("mouse")


def test_a_name_of_both_releases_is_read_by_the_company_it_keeps():
    assert known_features(["tau", "vrest", "ri"]).loc["tau", "unit"] == "ms"
    assert known_features(["tau", "v_baseline"]).loc["tau", "unit"] == "s" == known_features(["tau"]).loc["tau", "unit"]
    assert not len(known_features(["depth"]))


def test_a_multiple_of_a_unit_has_its_usual_name():
    names = [multiple_of_unit(*of) for of in (("ms", 1000), ("mV", 1000), ("Hz/pA", 1e-3), ("mV/ms", 1000), ("pA", 10))]
    assert names == ["s", "V", "Hz/nA", "V/ms", ""]
