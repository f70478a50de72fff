"""The command line of ./duel: flags in, one call out, errors as one line.

Only the standard library is imported here, so that --help works before setup. Exit status: 0 done,
1 failed, 2 wrong usage, 130 and 143 for SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType

from scripts import bench_cli, processes
from scripts.errors import Stopped, UserError
from scripts.flags import Command, Parser, absolute, positive
from scripts.paths import PRESETS, ROOT, TESTED_PRESETS

SERVER = "build/release/servers/duel-server"


def modules() -> dict[str, ModuleType]:
    """Commands with a file of their own in scripts/commands, by name. Each has SUMMARY, DETAIL,
    add_flags(parser) and run(given), which returns the exit status; all imports that setup brings
    stand inside run."""
    names = sorted(path.stem for path in (ROOT / "scripts" / "commands").glob("[a-z]*.py"))
    return {name: importlib.import_module(f"scripts.commands.{name}") for name in names}


def parser() -> Parser:
    top = Parser(prog="./duel", description="One HTTP server under four execution models: build, test, measure.",
                 allow_abbrev=False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Command)

    def command(name: str, summary: str, detail: str = "", epilog: str | None = None, within=commands) -> Parser:
        return within.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {detail}",
                                 epilog=epilog, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)

    command("setup", "install what is missing", "From apt and, pinned, from PyPI into .venv; lists it first.\n"
            "An nginx for the tests to compare with is unpacked into .cache, not installed.")
    build = command("build", "configure and build")
    build.add_argument("--preset", choices=PRESETS, default="release", help="default: release")
    test = command("test", "build, then run the unit and whole-program tests",
                   "By default under dev, asan\nand tsan; then, with dev, every model of the explorer and every mutant. The last line is\n"
                   "`N passed, N failed`.")
    which = test.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=TESTED_PRESETS, help="this build only (release has no unit tests)")
    which.add_argument("--all-presets", action="store_true", help="dev, release, asan and tsan")
    which.add_argument("--coverage", action="store_true", help="one counting build; which lines of the kit ran, and "
                       "failure below 90 %% of runtimes")
    test.add_argument("-k", metavar="EXPR", dest="expression", help="only tests whose name matches")
    test.add_argument("--soak", type=positive, metavar="MINUTES", help="instead: valid load, abuse and restarts against "
                      "every model, for so long; under asan unless --preset says otherwise")
    test.add_argument("--seed", type=positive, metavar="N", help="what the soak draws from, as an earlier one printed it")
    fuzz = command("fuzz", "feed the HTTP parser what a fuzzer makes up", "Under asan; failing inputs\nare kept in "
                   "build/fuzz/TARGET/failures. Ctrl-C ends it; the next run goes on from what it found.")
    fuzz.add_argument("--minutes", type=positive, default=10, metavar="N", help="all targets together (default: 10)")
    fuzz.add_argument("--target", metavar="NAME", help="this target only: request or chunked")
    bench_cli.table_flags(command("demo", "measure every model and print the seed table",
                                  "Writes results/NAME/:\nresult.json, machine.json, table.md, plots, raw wrk output."))
    command("bench", "run benchmarks")
    command("explore", "run the kit's own sources through every interleaving", "All flags go to duel-explore;\n"
            "--mutants instead sees that defects put into the kit are found (--json F: as JSON, too).",
            epilog="example: ./duel explore --all")
    command("serve", "run the server in the foreground", "All flags go to duel-server;\n"
            "Ctrl-C, SIGTERM or SIGHUP drains it.", epilog="example: ./duel serve --model sharded --listen 127.0.0.1:8080")
    for name, module in modules().items():
        module.add_flags(command(name, module.SUMMARY, module.DETAIL))
    clean = command("clean", "remove build folders and caches", "Results are never removed.")
    clean.add_argument("--all", action="store_true", help="also the Python environment, .venv")
    return top


def dispatch(argv: list[str]) -> int:
    if argv[:1] == ["serve"]:
        return _serve(argv[1:])
    if argv[:1] == ["explore"]:
        return _explore(argv[1:])
    if argv[:1] == ["bench"]:
        return bench_cli.bench(argv[1:])
    given = parser().parse_args(argv)
    if given.command == "build":
        from scripts.build import build
        build(given.preset)
    elif given.command == "test":
        from scripts import coverage, soak, suite
        if given.seed is not None and given.soak is None:
            raise UserError("--seed is for the soak (say --soak MINUTES, too)", 2)
        if given.soak is not None:
            if given.all_presets or given.coverage or given.expression is not None:
                raise UserError("--soak runs alone, under one build (only --preset and --seed go with it)", 2)
            return 0 if soak.run(given.soak, given.preset or "asan", given.seed) else 1
        if given.coverage and given.expression is not None:
            raise UserError("--coverage counts what the whole suite runs (leave -k out)", 2)
        if given.coverage:
            return 0 if coverage.run() else 1
        return 0 if suite.run(suite.expand(given.preset, given.all_presets), given.expression) else 1
    elif given.command == "fuzz":
        return _fuzz(given)
    elif given.command == "clean":
        from scripts.clean import clean
        clean(given.all)
    elif given.command == "demo":
        bench_cli.table(given)
    elif given.command in modules():
        return int(modules()[given.command].run(given))
    return 0


def _fuzz(given: argparse.Namespace) -> int:
    from scripts import fuzz
    known = fuzz.targets()
    if given.target is not None and given.target not in known:
        raise UserError(f"no fuzz target {given.target!r} (one of {', '.join(known)})", 2)
    return 0 if fuzz.run([given.target] if given.target else known, given.minutes) else 1


def _serve(flags: list[str]) -> int:
    """Becomes the server, so that signals and the exit status are the server's own."""
    if any(flag in ("-h", "--help") for flag in flags):
        with contextlib.suppress(SystemExit):
            parser().parse_args(["serve", "--help"])
        if not (ROOT / SERVER).is_file():
            print("\nThe server's own flags are listed here once it is built (./duel build).")
            return 0
        print(flush=True)
    else:
        from scripts.build import build
        build("release", ["duel-server"])
    server = str(ROOT / SERVER)
    os.execv(server, [server, *flags])


def _explore(flags: list[str]) -> int:
    from scripts import explore
    if any(flag in ("-h", "--help") for flag in flags):
        with contextlib.suppress(SystemExit):
            parser().parse_args(["explore", "--help"])
        if not explore.PROGRAM.is_file():
            print("\nIts own flags are listed here once it is built (./duel explore --list).")
            return 0
        print(flush=True)
    elif "--mutants" in flags:
        return _mutants(flags)
    else:
        explore.build()
    os.execv(explore.PROGRAM, [explore.PROGRAM.name, *flags])


def _mutants(flags: list[str]) -> int:
    mutants_parser = Parser(prog="./duel explore", allow_abbrev=False)
    mutants_parser.add_argument("--mutants", action="store_true", help="put defects into the kit and see them found")
    mutants_parser.add_argument("--json", type=absolute, metavar="F", help="also write the table to F")
    given = mutants_parser.parse_args(flags)
    from scripts import explore, mutants, results
    if given.json is not None:
        results.check_writable(given.json)
    explore.build()
    return 0 if mutants.run(given.json) else 1


def guarded(action: Callable[[], int]) -> int:
    """Runs `action` with signals and errors turned into one line and an exit status."""
    processes.install_signal_handlers()
    try:
        return action()
    except UserError as error:
        print(f"duel: {error}", file=sys.stderr)
        return error.exit_code
    except Stopped as stopped:
        print("\nduel: stopped; everything it started has ended, no result was written", file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        print(f"duel: the Python package {error.name} is missing (run ./duel setup)", file=sys.stderr)
        return 1
    except OSError as error:
        place = f" {error.filename}:" if error.filename else ""
        fix = "free some disk space" if error.errno == errno.ENOSPC else "check the path and its permissions"
        print(f"duel:{place} {error.strerror or error} ({fix})", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(guarded(lambda: dispatch(sys.argv[1:])))
