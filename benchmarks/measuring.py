"""CPU seconds and memory of one task, in a process of its own: what ran before it can neither help nor burden it."""

import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass

from sbnn.determinism import reproducible

# a forked process would begin with the memory of this one
SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Measured:
    """What a task took.

    Parameters
    ----------
    seconds : float
        CPU time of the process, all threads.
    before, peak : float
        Resident memory in bytes: just before the task, with imports and data, and the largest while
        it ran.
    result : object
        What `finish` made of what the task returned, see `measure`.
    """

    seconds: float
    before: float
    peak: float
    result: object = None

    @property
    def growth(self):
        """Bytes that the task added to what was there before it."""
        return self.peak - self.before


def measure(prepare, *arguments, limit=None):
    """Run a task on one thread in a new process.

    Parameters
    ----------
    prepare : function of a module
        ``prepare(*arguments)`` loads what the task needs and returns two functions: the task,
        without arguments, which alone is measured, and ``finish``, which makes of its result
        something that can be pickled.
    *arguments
    limit : int, optional
        CPU seconds after which the task is ended.

    Returns
    -------
    Measured or None
        None if the task was ended at the limit.

    Raises
    ------
    RuntimeError
        If the task failed; its traceback is on the standard error.
    """
    receiver, sender = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=_run, args=(sender, prepare, arguments, limit))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        # what the limit on CPU time sends: SIGKILL, SIGXCPU
        if limit is not None and process.exitcode in (-9, -24):
            return None
        raise RuntimeError(
            f"{prepare.__name__}{arguments} ended with exit code {process.exitcode}"
        ) from None
    finally:
        process.join()


def _run(sender, prepare, arguments, limit):
    with reproducible():
        task, finish = prepare(*arguments)
        if limit is not None:
            end = int(time.process_time() + limit) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (end, end + 5))
        before = _resident_memory()
        started = time.process_time()
        result = task()
        seconds, peak = time.process_time() - started, _peak_memory()
        sender.send(Measured(seconds, before, peak, finish(result)))


def _resident_memory():
    """Resident memory now, from which on the peak counts; if unknown (not Linux), the peak so far."""
    if not sys.platform.startswith("linux"):
        return _peak_memory()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the peak
    return _proc_status("VmRSS")


def _peak_memory():
    if sys.platform.startswith("linux"):
        # Not ru_maxrss, which a new process takes over from the one that started it.
        return _proc_status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def _proc_status(name):
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024
