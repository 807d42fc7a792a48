"""Two processes that write the same results; each function gives how often that was tried."""

import random
from pathlib import Path

from victims import Victim, finished, fits_of, left_in, same, undisturbed, validate

from sbnn.results import load


def same_experiment(folder, seed):
    """The second waits, or goes on after the first was killed; nothing is fitted twice but what was under way."""
    rng, path = random.Random(seed), Path(folder, "cv.pickle")
    runs = [Victim("validate", path) for _ in range(3)]
    runs[0].ends_within(rng.uniform(0, 0.3))
    runs[0].kill()
    assert [run.end() for run in runs[1:]] == [0, 0]
    whole, which = undisturbed()
    assert same(load(path), whole) and left_in(folder) == ["cv.pickle"]
    assert len(fits_of(folder)) <= len(which) + 1
    return 1


def different_experiments(folder, seed):
    """One of them gets the file, the other an error that names it; nothing is mixed."""
    grids, path = [{"alpha": [1.0]}, {"alpha": [3.0]}], Path(folder, "cv.pickle")
    runs = [Victim("validate", path, 1, grid) for grid in grids[:: 1 if seed % 2 else -1]]
    assert sorted(run.end() for run in runs) == [0, 1]
    kind, message = next(run.error for run in runs if run.error[0])
    assert kind == "ValueError" and str(path) in message and "would be lost" in message
    record = load(path)
    assert record.params in [[{"alpha": 1.0}], [{"alpha": 3.0}]]
    assert same(record, validate(Path(folder, "again.pickle"), grid={"alpha": [record.params[0]["alpha"]]}))
    return 1


def another_experiment_after_a_kill(folder, seed):
    """What a killed run has finished is not dropped by another experiment, unless it is told to."""
    path = Path(folder, "cv.pickle")
    rng, other = random.Random(seed), {"alpha": [3.0]}
    run = Victim("validate", path)
    while len(list(Path(folder).glob("cv.pickle.parts/*.pickle"))) < rng.randrange(1, 8):
        run.ends_within(0.002)
    run.kill()
    kept = finished(path)
    run = Victim("validate", path, 1, other)
    assert run.end() == 1
    kind, message = run.error
    assert kind == "ValueError" and f"{path}.parts holds {len(kept)} finished fit(s) of an unfinished run" in message
    assert finished(path) == kept
    before = len(fits_of(folder))
    assert same(validate(path), undisturbed()[0])
    assert len(fits_of(folder)) - before == len(undisturbed()[1]) - len(kept)
    return 1
