"""The command line of ./duel: flags in, one call out, errors as one line.

Only the standard library is imported here, so that --help works before setup. Exit status: 0 done,
1 failed, 2 wrong usage, 130 and 143 for SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from scripts import processes
from scripts.errors import Stopped, UserError
from scripts.paths import PRESETS, ROOT, TESTED_PRESETS

SERVER = "build/release/servers/duel-server"
_CONTENTS = """\
benchmarks of their own, each with its own flags (./duel bench NAME --help):
  table     the seed table: every model under wrk -t4 -c1000 --latency (same as ./duel demo)
  floor     CPU time a request of a model against the floor, in interleaved pairs
  counters  CPU time a request with and without the counters, in interleaved pairs
  micro     micro-benchmarks of tasks, wakers, queues and timers

scenarios, one file each in bench/scenarios/ (./duel bench --list says what they ask):
"""
_KINDS = ("table", "floor", "counters", "micro")


class Parser(argparse.ArgumentParser):
    """argparse with errors in one line, naming the fix."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)", 2)


def positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value


def words(text: str) -> list[str]:
    return [each for each in text.split(",") if each]


def absolute(text: str) -> Path:
    """A path as the user means it, whatever folder children run in."""
    return Path(text).absolute()


def parser() -> Parser:
    top = Parser(prog="./duel", description="One HTTP server under four execution models: build, test, measure.",
                 allow_abbrev=False)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, summary: str, detail: str = "", epilog: str | None = None, within=commands) -> Parser:
        return within.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {detail}",
                                 epilog=epilog, allow_abbrev=False,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)

    command("setup", "install what is missing", "From apt and, pinned, from PyPI into .venv; lists it first.")
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
    fuzz = command("fuzz", "feed the HTTP parser what a fuzzer makes up", "Under asan; failing inputs\nare kept in "
                   "build/fuzz/TARGET/failures. Ctrl-C ends it; the next run goes on from what it found.")
    fuzz.add_argument("--minutes", type=positive, default=10, metavar="N", help="all targets together (default: 10)")
    fuzz.add_argument("--target", metavar="NAME", help="this target only: request or chunked")
    _table_flags(command("demo", "measure every model and print the seed table",
                         "Writes results/NAME/:\nresult.json, machine.json, table.md, plots, raw wrk output."))
    command("bench", "run benchmarks")
    command("explore", "run the kit's own sources through every interleaving", "All flags go to duel-explore;\n"
            "--mutants instead sees that defects put into the kit are found (--json F: as JSON, too).",
            epilog="example: ./duel explore --all")
    command("serve", "run the server in the foreground", "All flags go to duel-server;\n"
            "Ctrl-C or SIGTERM drains it.", epilog="example: ./duel serve --model sharded --listen 127.0.0.1:8080")
    clean = command("clean", "remove build folders and caches", "Results are never removed.")
    clean.add_argument("--all", action="store_true", help="also the Python environment, .venv")
    return top


def _bench_parser() -> Parser:
    """./duel bench NAME...: scenarios."""
    names = "\n".join(f"  {path.stem}" for path in sorted((ROOT / "bench" / "scenarios").glob("*.toml")))
    bench = Parser(prog="./duel bench", allow_abbrev=False, epilog=_CONTENTS + names,
                   formatter_class=argparse.RawDescriptionHelpFormatter, description="Run benchmarks. Each writes "
                   "results/NAME/: result.json, machine.json, table.md, plots, raw wrk output.")
    bench.add_argument("names", nargs="*", metavar="NAME", help="scenarios, run one after the other")
    bench.add_argument("--list", action="store_true", help="name everything, with its question and whether it means "
                       "something on this machine")
    bench.add_argument("--models", type=words, metavar="M,M", help="only rows of these models (or MODEL/DRIVER)")
    bench.add_argument("--duration", type=positive, metavar="S", help="seconds a run (default: the scenario's)")
    bench.add_argument("--repeats", type=positive, metavar="N", help="runs a row, interleaved (default: 5)")
    bench.add_argument("--quick", action="store_true", help="2 s a run, one repeat, the ends of each sweep")
    bench.add_argument("--name", help="folder in results/ (default: SCENARIO-<UTC time>; of several: NAME-SCENARIO)")
    bench.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    bench.add_argument("--json", type=absolute, metavar="F", help="also write every figure to F")
    return bench


def _kinds_parser() -> Parser:
    """./duel bench table, floor, counters and micro."""
    top = Parser(prog="./duel bench", allow_abbrev=False)
    kinds = top.add_subparsers(dest="bench", metavar="BENCHMARK", required=True, parser_class=Parser)

    def command(name: str, summary: str, detail: str) -> Parser:
        return kinds.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {detail}",
                                allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    _table_flags(command("table", "the seed table", "As ./duel demo."))
    floor = command("floor", "CPU time a request against the floor", "Sharded against raw io_uring,\nstealing "
                    "against raw epoll; pinned to one CPU, then sharing two with wrk.")
    floor.add_argument("--name", help="also write results/NAME/")
    floor.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    counters = command("counters", "CPU time a request with and without the counters", "The release build\nagainst "
                       "the one with the counters compiled out, one worker alone on a CPU.")
    for each, pairs in ((floor, 7), (counters, 11)):
        each.add_argument("--pairs", type=positive, default=pairs, metavar="N",
                          help=f"interleaved pairs (default: {pairs})")
        each.add_argument("--duration", type=positive, default=3, metavar="S", help="seconds a run (default: 3)")
        each.add_argument("--json", type=absolute, metavar="F", help="write every figure to F")
    micro = command("micro", "micro-benchmarks", "Medians with their range.")
    micro.add_argument("--filter", metavar="RE", help="only benchmarks that match this regular expression")
    micro.add_argument("--repetitions", type=positive, default=5, metavar="N", help="default: 5")
    micro.add_argument("--json", type=absolute, metavar="F", help="keep Google Benchmark's JSON at F")
    return top


def _table_flags(parser: Parser) -> None:
    parser.add_argument("--quick", action="store_true", help="5 s a row instead of 30 s")
    parser.add_argument("--name", help="folder in results/ (default: demo-<UTC time>)")
    parser.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    parser.add_argument("--connections", type=positive, default=1000, metavar="N", help="default: 1000, as the seed's")
    parser.add_argument("--duration", type=positive, metavar="S", help="seconds a row (default: 30, as the seed's)")


def dispatch(argv: list[str]) -> int:
    if argv[:1] == ["serve"]:
        return _serve(argv[1:])
    if argv[:1] == ["explore"]:
        return _explore(argv[1:])
    if argv[:1] == ["bench"]:
        return _bench(argv[1:])
    given = parser().parse_args(argv)
    if given.command == "build":
        from scripts.build import build
        build(given.preset)
    elif given.command == "test":
        from scripts import coverage, suite
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
        _table(given)
    return 0


def _fuzz(given: argparse.Namespace) -> int:
    from scripts import fuzz
    known = fuzz.targets()
    if given.target is not None and given.target not in known:
        raise UserError(f"no fuzz target {given.target!r} (one of {', '.join(known)})", 2)
    return 0 if fuzz.run([given.target] if given.target else known, given.minutes) else 1


def _table(given: argparse.Namespace) -> None:
    from scripts import demo, results
    from scripts.build import build
    seconds = given.duration or (5 if given.quick else 30)
    settings = demo.Settings(given.connections, seconds, 1 if given.quick else 2, given.quick)
    name = given.name or results.default_name("demo")
    demo.check(settings, name, given.force)
    build("release", ["duel-server"])
    demo.run(settings, name, given.force)


def _bench(argv: list[str]) -> int:
    if argv[:1] and argv[0] in _KINDS:
        _kind(_kinds_parser().parse_args(argv))
        return 0
    given = _bench_parser().parse_intermixed_args(argv)
    if given.list:
        _list()
        return 0
    own = [name for name in given.names if name in _KINDS]
    if own:
        raise UserError(f"{own[0]} is not a scenario and runs alone: ./duel bench {own[0]}", 2)
    if not given.names:
        raise UserError("which benchmark? (scenarios, or table, floor, counters or micro; see ./duel bench --help)", 2)
    _scenarios(given)
    return 0


def _list() -> None:
    from scripts import bench, micro
    print(_CONTENTS.partition("\n\n")[0] + "\n")
    bench.show_list()
    print("\nmicro-benchmarks:")
    micro.show_list()


def _scenarios(given: argparse.Namespace) -> None:
    from scripts import bench, results
    from scripts.build import build
    settings = bench.Settings(given.quick, given.duration, given.repeats, given.models)
    chosen = bench.load(list(dict.fromkeys(given.names)), settings)
    several = len(chosen) > 1
    names = [(f"{given.name}-{each.name}" if several else given.name) if given.name else results.default_name(each.name)
             for each in chosen]
    for name in names:
        results.check_name(name, given.force)
    if given.json is not None:
        results.check_writable(given.json)
    build("release", ["duel-server"])
    bench.run_all(chosen, settings, names, given.force, given.json)


def _kind(given: argparse.Namespace) -> None:
    from scripts import counters_cost, floor, micro, results
    from scripts.build import build
    if given.bench == "table":
        _table(given)
        return
    if given.bench == "micro":
        micro.check(given.filter, given.json)
        build("release", ["micro-bench"])
        micro.run(given.filter, given.repetitions, given.json)
        return
    if given.json is not None:
        results.check_writable(given.json)
    if given.bench == "counters":
        counters_cost.check(given.pairs, given.duration)
        for preset in (counters_cost.WITH, counters_cost.WITHOUT):
            build(preset, ["duel-server"])
        counters_cost.run(given.pairs, given.duration, given.json)
        return
    floor.check(given.duration)
    if given.name is not None:
        results.check_name(given.name, given.force)
    build("release", ["duel-server", "floor-epoll", "floor-uring"])
    floor.run(given.pairs, given.duration, given.json, given.name, given.force)


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
