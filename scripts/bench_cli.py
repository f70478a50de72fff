"""The command line of ./duel bench (and of ./duel demo, which is its table).

Only the standard library is imported at the top, so that --help works before setup.
"""

from __future__ import annotations

import argparse

from scripts.errors import UserError
from scripts.flags import Command, Parser, absolute, handler_times, multiple, percents, positive, words
from scripts.paths import ROOT

_CONTENTS = """\
benchmarks of their own, each with its own flags (./duel bench NAME --help):
  answer    which is better here, in every regime that this machine can measure: one page
  table     the seed table: every model under wrk -t4 -c1000 --latency (same as ./duel demo)
  floor     CPU time a request of a model against the floor, in interleaved pairs
  counters  CPU time a request with and without the counters, in interleaved pairs
  abuse     throughput and errors of each model beside 1,000 slow and 1,000 idle connections
  agreement whether duel-load says the same as wrk and h2load, in interleaved pairs
  theory    whether latencies follow the queues that the models stand for, simulated from measured costs
  crossover from which handler time on stealing carries more than sharding, measured and predicted
  micro     micro-benchmarks of tasks, wakers, queues and timers

scenarios, one file each in bench/scenarios/ (./duel bench --list says what they ask):
"""
_KINDS = ("answer", "table", "floor", "counters", "abuse", "agreement", "theory", "crossover", "micro")


def _bench_parser() -> Parser:
    """./duel bench NAME...: scenarios."""
    names = "\n".join(f"  {path.stem}" for path in sorted((ROOT / "bench" / "scenarios").glob("*.toml")))
    top = Parser(prog="./duel bench", allow_abbrev=False, epilog=_CONTENTS + names,
                   formatter_class=argparse.RawDescriptionHelpFormatter, description="Run benchmarks. Each writes "
                   "results/NAME/: result.json, machine.json, table.md, plots, raw wrk output.")
    top.add_argument("names", nargs="*", metavar="NAME", help="scenarios, run one after the other")
    top.add_argument("--list", action="store_true", help="name everything, with its question and whether it means "
                       "something on this machine")
    top.add_argument("--models", type=words, metavar="M,M", help="only rows of these models (or MODEL/DRIVER)")
    top.add_argument("--duration", type=positive, metavar="S", help="seconds a run (default: the scenario's)")
    top.add_argument("--repeats", type=positive, metavar="N", help="runs a row, interleaved (default: 5)")
    top.add_argument("--quick", action="store_true", help="2 s a run, one repeat, the ends of each sweep (with "
                     "--blocks: closed loop and one rate)")
    top.add_argument("--blocks", type=positive, metavar="N", help="a campaign: duel-load instead of wrk, N random "
                     "blocks of every row with an A/A control, at the same rates; resumable (10 is usual)")
    top.add_argument("--seed", type=positive, metavar="S", help="with --blocks: of order and load (default: drawn)")
    top.add_argument("--rates", type=percents, metavar="P,P", help="with --blocks: open-loop rates in percent of the "
                     "smallest peak (default: the scenario's, or 30,50,70,85; \"\": none)")
    top.add_argument("--at", type=positive, metavar="V", help="with --blocks: the value of a scenario's sweep")
    top.add_argument("--name", help="folder in results/ (default: SCENARIO-<UTC time>; of several: NAME-SCENARIO)")
    top.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    top.add_argument("--json", type=absolute, metavar="F", help="also write every figure to F")
    return top


def _kinds_parser() -> Parser:
    """./duel bench table, floor, counters, abuse, agreement and micro."""
    top = Parser(prog="./duel bench", allow_abbrev=False)
    kinds = top.add_subparsers(dest="bench", metavar="BENCHMARK", required=True, parser_class=Command)

    def command(name: str, summary: str, detail: str) -> Parser:
        return kinds.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {detail}",
                                allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)

    answer = command("answer", "which is better here, in every regime that this machine can measure", "One page in\n"
                     "results/NAME/: a verdict with effect and interval, no difference shown, or cannot be measured\n"
                     "here. 20 to 30 minutes; cut off, the same command goes on.")
    answer.add_argument("--blocks", type=positive, metavar="N", help="random blocks a regime (default: 11; "
                        "all regimes together take 10 to decide)")
    answer.add_argument("--quick", action="store_true", help="2 blocks, 1 s a run: 5 minutes at most, too short "
                        "to decide")
    answer.add_argument("--only", type=words, metavar="R,R", help="these regimes (--list)")
    answer.add_argument("--list", action="store_true", help="name the regimes, and whether this machine can "
                        "measure them")
    answer.add_argument("--seed", type=positive, metavar="S", help="of order and load (default: drawn)")
    answer.add_argument("--name", help="folder in results/ (default: answer-<UTC time>)")
    answer.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    table_flags(command("table", "the seed table", "As ./duel demo."))
    floor = command("floor", "CPU time a request against the floor", "Sharded against raw io_uring,\nstealing "
                    "against raw epoll; pinned to one CPU, then sharing two with wrk.")
    counters = command("counters", "CPU time a request with and without the counters", "The release build\nagainst "
                       "the one with the counters compiled out, one worker alone on a CPU.")
    abuse = command("abuse", "what 1,000 slow and 1,000 idle connections cost the others", "wrk -c64 with and\n"
                    "without them, against each model with its default limits.")
    agreement = command("agreement", "whether duel-load says the same as wrk and h2load", "Throughput of one\n"
                        "thread with 64 connections in a closed loop, within 5 %; CPU time a request of each loader.")
    for each, pairs, seconds in ((floor, 7, 3), (counters, 11, 3), (abuse, 5, 15), (agreement, 7, 3)):
        each.add_argument("--pairs", type=positive, default=pairs, metavar="N",
                          help=f"interleaved pairs (default: {pairs})")
        each.add_argument("--duration", type=positive, default=seconds, metavar="S",
                          help=f"seconds a run (default: {seconds})")
        each.add_argument("--json", type=absolute, metavar="F", help="write every figure to F")
    for each in (floor, abuse, agreement):
        each.add_argument("--name", help="also write results/NAME/")
        each.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    theory = command("theory", "whether latencies follow the queues that the models stand for", "Mean and p99 against\n"
                     "load: sharded against k x M/G/1, stealing against its own simulation and M/G/k.")
    theory.add_argument("--blocks", type=positive, metavar="N", help="random blocks of every row and load (default: 4)")
    theory.add_argument("--duration", type=positive, metavar="S", help="seconds a run at the higher loads, half of it "
                        "at the others (default: 12)")
    theory.add_argument("--quick", action="store_true", help="2 blocks, 5 s, two loads")
    theory.add_argument("--service", metavar="TEXT", help="as duel-load's (default: exp:1ms, and a bimodal one)")
    theory.add_argument("--seed", type=positive, metavar="N", help="of order and load (default: drawn)")
    theory.add_argument("--name", help="folder in results/ (default: theory-<UTC time>)")
    theory.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    crossover = command("crossover", "from which handler time on stealing carries more than sharding", "Exponential\n"
                        "handler times; peaks, rates within a p99 limit, duel-sim's prediction. Writes results/NAME/:\n"
                        "result.json, machine.json, table.md, plots, raw duel-load output.")
    crossover.add_argument("--blocks", type=positive, metavar="N", help="random blocks (default: 3, a tendency at "
                           "most; a curve of six handler times takes 8 to show a winner)")
    crossover.add_argument("--handler-us", type=handler_times, metavar="H,H", help="mean handler times, in "
                           "microseconds (default: 0,5,20,50,200,1000)")
    crossover.add_argument("--slo", type=multiple, default=10.0, metavar="X", help="the limit: p99 within X times "
                           "handler time and cost of a request (from 5 on; default: 10)")
    crossover.add_argument("--duration", type=positive, metavar="S", help="seconds a run, or more where a p99 "
                           "takes more (default: 2)")
    crossover.add_argument("--quick", action="store_true", help="one block of 1 s runs at 0,50,1000")
    crossover.add_argument("--seed", type=positive, metavar="S", help="of order and load (default: drawn)")
    crossover.add_argument("--name", help="folder in results/ (default: crossover-<UTC time>)")
    crossover.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    micro = command("micro", "micro-benchmarks", "Medians with their range.")
    micro.add_argument("--filter", metavar="RE", help="only benchmarks that match this regular expression")
    micro.add_argument("--repetitions", type=positive, default=5, metavar="N", help="default: 5")
    micro.add_argument("--json", type=absolute, metavar="F", help="keep Google Benchmark's JSON at F")
    return top


def table_flags(parser: Parser) -> None:
    parser.add_argument("--quick", action="store_true", help="5 s a row instead of 30 s")
    parser.add_argument("--name", help="folder in results/ (default: demo-<UTC time>)")
    parser.add_argument("--force", action="store_true", help="replace an existing results/NAME")
    parser.add_argument("--connections", type=positive, default=1000, metavar="N", help="default: 1000, as the seed's")
    parser.add_argument("--duration", type=positive, metavar="S", help="seconds a row (default: 30, as the seed's)")


def table(given: argparse.Namespace) -> None:
    from scripts import demo, results
    from scripts.build import build
    seconds = given.duration or (5 if given.quick else 30)
    settings = demo.Settings(given.connections, seconds, 1 if given.quick else 2, given.quick)
    name = given.name or results.default_name("demo")
    demo.check(settings, name, given.force)
    build("release", ["duel-server"])
    demo.run(settings, name, given.force)


def bench(argv: list[str]) -> int:
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
        raise UserError(f"which benchmark? (scenarios, or one of {', '.join(_KINDS)}; see ./duel bench --help)", 2)
    if given.blocks is not None:
        _campaigns(given)
        return 0
    for flag in ("seed", "rates", "at"):
        if getattr(given, flag) is not None:
            raise UserError(f"--{flag} belongs to a campaign (say --blocks N, too)", 2)
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


def _campaigns(given: argparse.Namespace) -> None:
    if given.repeats is not None:
        raise UserError("--repeats and --blocks exclude each other (a block is a repeat)", 2)
    from scripts import results
    from scripts.build import build
    from scripts.campaign import plan, run
    settings = plan.Settings(given.blocks, given.seed, given.rates, given.quick, given.duration, given.models, given.at)
    chosen = run.load(list(dict.fromkeys(given.names)), settings)
    names = [f"{given.name}-{each.name}" if given.name and len(chosen) > 1 else given.name for each in chosen]
    for name in filter(None, names):
        results.check_name(name, given.force)
    if given.json is not None:
        results.check_writable(given.json)
    build("release", ["duel-server", "duel-load"])
    run.run_all(chosen, settings, names, given.force, given.json)


def _kind(given: argparse.Namespace) -> None:
    from scripts import abuse, agreement, counters_cost, floor, micro, results
    from scripts.build import build
    own = {"answer": _answer, "table": table, "theory": _theory, "crossover": _crossover}
    if given.bench in own:
        own[given.bench](given)
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
    kind = {"floor": floor, "abuse": abuse, "agreement": agreement}[given.bench]
    kind.check(given.duration)
    if given.name is not None:
        results.check_name(given.name, given.force)
    build("release", kind.PROGRAMS)
    kind.run(given.pairs, given.duration, given.json, given.name, given.force)


def _theory(given: argparse.Namespace) -> None:
    from scripts import results, theory
    from scripts.build import build
    settings = theory.Settings(given.blocks, given.duration, given.quick, given.seed, given.service)
    name = given.name or results.default_name("theory")
    theory.check(settings)
    results.check_name(name, given.force)
    build("release", theory.PROGRAMS)
    theory.run(settings, name, given.force)


def _crossover(given: argparse.Namespace) -> None:
    from scripts import crossover, results
    from scripts.build import build
    settings = crossover.Settings(given.quick, given.blocks, given.handler_us, given.slo, given.duration, given.seed)
    name = given.name or results.default_name("crossover")
    results.check_name(name, given.force)
    crossover.check(settings)
    build("release", crossover.PROGRAMS)
    crossover.run(settings, name, given.force)


def _answer(given: argparse.Namespace) -> None:
    from scripts import answer
    from scripts.build import build
    settings = answer.settings(given.blocks, given.quick, given.seed, given.only)
    if given.list:
        answer.show_list()
        return
    answer.check(settings, given.name, given.force)
    build("release", answer.PROGRAMS)
    answer.run(settings, given.name, given.force)
