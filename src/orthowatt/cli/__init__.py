"""The command line: one module a verb, each imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from ..errors import InputError, OrthowattError, closest

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

#: verb -> (module, what it does); the order is the order of the help.
VERBS = {
    "demo": ("demo", "the whole program on real scans: audit, transforms, a small study, a report"),
    "run": ("run", "train one configuration: a recipe or a file, with any setting changed"),
    "study": ("study", "run variants × seeds; only what is missing is done"),
    "status": ("status", "what a study's folder holds and what is missing"),
    "report": ("report", "one self-contained page (or md, json, csv) from study folders"),
    "audit": ("audit", "check printed claims: watts, joules an image, compute floor, unit slips"),
    "doctor": ("doctor", "what this machine can measure and run, and how to mend the rest"),
    "measure": ("measure", "the energy of any command: orthowatt measure -- COMMAND"),
    "bench": ("bench", "measure the transforms on this machine, beside a copy and peers"),
    "list": ("names", "recipes, studies, transforms, data sets and claims by name"),
}


def main(argv: Sequence[str]) -> int:
    """Run one verb; returns the exit code: 0 done, 1 failed, 2 bad usage, 130 interrupted."""
    arguments = list(argv)
    _open_closed_streams()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return DONE if arguments else USAGE
    if arguments[0] in ("-V", "--version"):
        from .. import __version__

        print(f"orthowatt {__version__}")
        return DONE
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        print(f"orthowatt: no verb {verb!r}; {closest(verb, VERBS)}", file=sys.stderr)
        return USAGE
    return _guarded(verb, rest)


def _open_closed_streams() -> None:
    """A stream that the shell closed (>&-) is None in Python; what is written there is dropped."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _guarded(verb: str, rest: list[str]) -> int:
    """Errors become one sentence on stderr, a closed pipe ends quietly, Ctrl-C says so."""
    options = rest[: rest.index("--")] if "--" in rest else rest
    try:
        module = importlib.import_module(f".{VERBS[verb][0]}", __name__)
        code = module.run(rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print(f"\northowatt {verb}: interrupted; finished work is kept", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:  # a source tree that runs without being installed
        missing = (error.name or "").split(".")[0]
        if "--debug" in options or missing in ("", "orthowatt"):
            raise
        print(
            f"orthowatt {verb}: the Python module {missing} is missing; installing orthowatt "
            "brings all that it needs: pip install . in its folder",
            file=sys.stderr,
        )
        return FAILED
    except (OrthowattError, OSError) as error:
        if "--debug" in options:
            raise
        print(f"orthowatt {verb}: {_sentence(error)}", file=sys.stderr)
        return USAGE if isinstance(error, InputError) else FAILED


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items())
    return (
        "orthowatt: orthogonal transforms in convolutional networks, and what they really cost\n\n"
        f"usage: orthowatt VERB [options]\n\n{verbs}\n\n"
        "orthowatt VERB --help shows a verb's options and an example; begin with: orthowatt demo"
    )
