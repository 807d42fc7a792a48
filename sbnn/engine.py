"""One engine for all studies: experiments on data sets, and the tables, figures and commands made of their records.

Each experiment is a call ``(path, fresh)`` that loads its record from `path` or computes and saves it; they are run in
their order, so that one may read the records of those before it. The studies of the companions show the use.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from sbnn.data.datasets import default_dataset, names_of, require_study
from sbnn.plotting.common import save_figure
from sbnn.results import load, results_folder
from sbnn.tables import print_tables


class Step(NamedTuple):
    """A command that computes: ``experiments(data, fast, n_jobs)`` gives a dict of name to ``call(path, fresh)``.

    `tables` of the records are printed when all is done, by default every table of the study; `parallel` offers --jobs.
    """

    about: str
    experiments: Callable
    tables: Callable | None = None
    parallel: bool = False


@dataclass(frozen=True)
class Study:
    """A study, from data sets to figures."""

    name: str  # in `sbnn.data.datasets`; its commands are ``sbnn <name, with hyphens> <step>``
    steps: dict  # name -> Step
    tables: Callable  # ``tables(records)`` gives a dict of title to DataFrame
    figures: Callable  # of the records: name of each figure, names of the records it needs, and what draws it of these
    prefix: str = ""  # of the files of its records, which are named without it
    note: str | Callable = ""  # printed below all tables; a callable makes it of the records
    shown: tuple = ()  # columns of ``record.scores`` whose means are printed when an experiment is done
    extra: tuple = ()  # patterns of experiments that are run only if ``only`` asks for them
    data: Callable = str  # what experiments are given for the name of a data set
    data_of: Callable = field(default=lambda record: record.dataset)  # the same for all records of a folder, or None
    overview: Callable | None = None  # ``overview(saved_models)`` gives the tables of ``report all``
    progress: Callable | None = None  # ``progress(folder)`` gives a table of what is missing
    help: str = ""  # description of the commands of a companion
    others: Callable | None = None  # adds commands to the sub-parsers; each sets ``run``, a function of the options

    @property
    def command(self):
        """Beginning of its commands."""
        return "sbnn" if self.name == "sbnn" else f"sbnn {self.name.replace('_', '-')}"

    def run(self, data, folder, step=None, *, only=None, fast=False, fresh=False, n_jobs=1, verbose=True):
        """Compute or load the experiments of a step, by default the first; a dict of name to Record.

        `data` is a name, or what the experiments take; `only` lists names of experiments or patterns such as
        ``small_*``, whose beginning may be left out up to an underscore.
        """
        if isinstance(data, str):
            require_study(data, self.name)
            data = self.data(data)
        planned = self.steps[step or next(iter(self.steps))].experiments(data, fast, n_jobs)
        records = {}
        for name in self._chosen(planned, only):
            records[name] = planned[name](Path(folder) / f"{self.prefix}{name}.pickle", fresh)
            if verbose and self.shown:
                scores = records[name].values.get("scores", {})
                means = ", ".join(f"{column} {scores[column].mean():.3g}" for column in self.shown if column in scores)
                print(f"{records[name].dataset} {name}: {means or 'done'}", flush=True)
        return records

    def _chosen(self, planned, only):
        """Names of the experiments to run."""
        if only is None:
            return [name for name in planned if not any(fnmatchcase(name, pattern) for pattern in self.extra)]
        chosen = []
        for wanted in only:
            found = [name for name in planned if fnmatchcase(name, wanted) or fnmatchcase(name, f"*_{wanted}")]
            if not found:
                raise ValueError(f"only: no experiment matches {wanted!r}; there are {', '.join(planned)}")
            chosen += found
        return list(dict.fromkeys(chosen))

    def load(self, folder):
        """All saved records of a folder by name; an error if there are none, or of different data."""
        paths = sorted(Path(folder).glob(f"{self.prefix}*.pickle"))
        records = {path.stem.removeprefix(self.prefix): load(path) for path in paths}
        if not records:
            trial = "; those of a quick run are there: --fast" if Path(f"{folder}-fast").is_dir() else ""
            commands = " and ".join(f"`{self.command} {step}`" for step in list(self.steps)[:2])
            raise FileNotFoundError(f"no results in {folder}: {commands} compute them{trial}")
        of = {self.data_of(r): f"{name}.pickle of {r.dataset!r} ({r.sha256[:12]})" for name, r in records.items()}
        of.pop(None, None)
        if len(of) > 1:  # a table or a figure would set their numbers side by side
            raise ValueError(f"results in {folder} are of different data: {', '.join(of.values())}; move some away")
        return records

    def report(self, folder):
        """All tables of a folder, that of what is not finished first, and the note below them."""
        unfinished = () if self.progress is None else self.progress(Path(folder))
        tables = {UNFINISHED: unfinished} if len(unfinished) else {}
        some = any(Path(folder).glob(f"{self.prefix}*.pickle"))
        records = self.load(folder) if some or not tables else {}
        return tables | self.tables(records), self.note if isinstance(self.note, str) else self.note(records)

    def figure_names(self, records):
        """Names of the figures whose records are there, in their order."""
        return [name for name, *_ in self._drawable(records)]

    def draw(self, records):
        """Draw the figures whose results are there, as (name, figure); one that fails is a warning."""
        for name, needed, draw in self._drawable(records):
            try:
                figure = draw(*(records[record] for record in needed))
            except Exception as error:  # whatever it is, the other figures can do without this one
                _warn(name, error)
                continue
            yield name, figure

    def save_figures(self, records, folder):
        """Draw all figures and save them as PDF and PNG; returns the paths of the PNG files."""
        paths = []
        for name, figure in self.draw(records):
            try:
                save_figure(figure, Path(folder) / name)
                paths.append(Path(folder) / f"{name}.png")
            except OSError:
                raise
            except Exception as error:  # some texts are read only when they are drawn
                _warn(name, error)
        return paths

    def _drawable(self, records):
        return [entry for entry in self.figures(records) if all(record in records for record in entry[1])]

    def do(self, options):
        """Run the step of a command line."""
        if options.step == "report" and options.dataset == "all" and self.overview is not None:
            print_tables(self.overview(options.saved_models), options.json)
            return
        require_study(options.dataset, self.name)
        name = default_dataset(study=self.name) if options.dataset == "auto" else options.dataset
        folder = results_folder(options.saved_models, name, options.fast)
        if options.step == "figures":
            records = self.load(folder)
            paths = self.save_figures(records, results_folder(options.figures, name, options.fast))
            print(*paths, sep="\n")
            drawn = {path.stem for path in paths}
            if failed := [figure for figure in self.figure_names(records) if figure not in drawn]:
                raise ValueError(f"could not draw {', '.join(failed)}; the warnings say why")
        elif options.step == "report":
            tables, note = self.report(folder)
            print_tables(tables, options.json, options.fast)
            if note and not options.json:
                print(f"\n{note}")
        else:
            self.compute(name, folder, options)

    def compute(self, data, folder, options):
        """Run the experiments of a step and print its tables."""
        how = {"fast": options.fast, "fresh": options.fresh, "only": getattr(options, "only", None)}
        self.run(data, folder, options.step, n_jobs=getattr(options, "jobs", 1), **how)
        tables = self.steps[options.step].tables or self.tables
        print_tables(tables(self.load(folder)), trial=options.fast)

    def parser(self):
        """Parser of the commands of a companion; each sets ``run``, a function of the options."""
        as_written = argparse.RawDescriptionHelpFormatter
        parser = argparse.ArgumentParser(prog=self.command, description=self.help, formatter_class=as_written)
        commands = parser.add_subparsers(required=True, dest="step", metavar="step")
        computed = {name: step.about for name, step in self.steps.items()}
        saved = {"figures": "draw all figures from saved results", "report": "print all tables of saved results"}
        for step, about in (computed | saved).items():
            command = commands.add_parser(step, help=about, description=f"{about[0].upper()}{about[1:]}.")
            command.set_defaults(run=self.do)
            known = f"one of {', '.join(names_of(self.name))}; auto (the default): the first whose files can be had"
            command.add_argument("dataset", nargs="?", default="auto", help=known)
            command.add_argument("--saved-models", default="saved_models", help="folder of the results")
            command.add_argument("--fast", action="store_true", help="a quick run: small models, few steps and folds")
            if step in self.steps:
                command.add_argument("--fresh", action="store_true", help="recompute saved results")
                separated = {"type": lambda text: text.split(","), "help": "experiments, separated by commas"}
                command.add_argument("--only", **separated)
                if self.steps[step].parallel:
                    command.add_argument("--jobs", type=int, default=1, help="worker processes")
            elif step == "figures":
                command.add_argument("--figures", default="figures", help="folder of the figures")
            else:
                command.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
        if self.others is not None:
            self.others(commands)
        return parser


UNFINISHED = "What is not finished"


def _warn(name, error):
    reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    warnings.warn(f"{name} could not be drawn: {reason}", stacklevel=3)
