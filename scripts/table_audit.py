"""What can be held against a row of anybody's benchmark table, from its figures alone.

Pure functions of a Row. Little's law carries most of it: in a closed loop, requests per second x mean latency
is the number of requests in flight, so it cannot differ from connections x pipeline. Where no mean is printed it
is bounded, never guessed: between two printed percentiles every latency lies between them. A printed number
stands for the interval of half a unit of its last digit, and every doubt about it goes to the author's side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from scripts.audit import littles_law

RED, AMBER, UNDETERMINED, GREEN = "red", "amber", "undetermined", "green"
VERDICTS = (RED, AMBER, UNDETERMINED, GREEN)  # a row has the first of these that a rule gives it

# With a mean: what N_eff may be. With percentiles only: red outside the last two, green inside, no amber.
ZONES = ((0.0, 0.8, RED), (0.8, 0.9, AMBER), (0.9, 1.02, GREEN), (1.02, 1.1, AMBER), (1.1, math.inf, RED))
N_EFF_LEAST, N_EFF_MOST = 0.8, 1.1
FILLED = 0.9  # the share of the connections that a hidden tail is asked to fill
TAIL_AMBER, TAIL_RED = 1, 100
ERRORS_AMBER, ERRORS_RED = 0.001, 0.01
RATE_MARGIN = 0.01
CPU_MARGIN = 0.05  # CPU time comes from sampling tools

_OTHER_CODE = "The figures are of other code than the handler that is shown"


@dataclass(frozen=True)
class Tool:
    """A load generator: what it does unless told otherwise."""

    closed: bool = True
    cap_s: float | None = None  # slower answers are in no percentile
    corrects: bool = False  # adds phantom samples for slow answers


TOOLS = {
    "wrk": Tool(cap_s=2, corrects=True), "wrk2": Tool(closed=False), "oha": Tool(), "hey": Tool(cap_s=20),
    "h2load": Tool(), "ab": Tool(), "autocannon": Tool(cap_s=10), "bombardier": Tool(cap_s=2), "k6": Tool(cap_s=60),
    "vegeta": Tool(closed=False), "rewrk": Tool(), "gcannon": Tool(), "duel-load": Tool(),
}


@dataclass(frozen=True)
class Figure:
    """A printed number and the interval it stands for."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One row; latencies in milliseconds. `quantiles`: share of the answers -> latency (0: minimum, 1: maximum)."""

    name: str
    requests_per_s: Figure | None = None
    mean_ms: Figure | None = None
    quantiles: dict[float, Figure] = field(default_factory=dict)
    connections: float | None = None
    pipeline: float = 1
    think_ms: float = 0
    errors: float | None = None
    error_share: float | None = None  # where the table prints a percentage
    requests: float | None = None
    duration_s: float | None = None
    timeout_s: float | None = None
    tool: str = ""
    rate: float | None = None  # requests per second that an open loop offered
    service_ms: float | None = None  # the least that an answer is known to take
    cpu_us: Figure | None = None  # CPU time of the server for a request
    cores: float | None = None  # that the server may use

    @property
    def loader(self) -> Tool | None:
        words = self.tool.lower().split()
        return TOOLS.get(words[0]) if words else None

    @property
    def closed(self) -> bool:
        return self.rate is None and (self.loader is None or self.loader.closed)

    @property
    def slots(self) -> float | None:
        """Requests that can be in flight at once."""
        return None if self.connections is None else self.connections * self.pipeline


@dataclass(frozen=True)
class Finding:
    rule: str
    verdict: str
    says: str  # of this row
    means: str  # of every row that breaks the rule this way
    ask: str  # the author for this


@dataclass(frozen=True)
class Bracket:
    """N_eff, between two bounds; `source`: what the mean latency was taken from."""

    low: float
    high: float
    source: str


@dataclass(frozen=True)
class TableAudit:
    verdict: str
    n_eff: Bracket | None
    findings: list[Finding]


def audit(row: Row) -> TableAudit:
    n_eff = bracket(row)
    findings = [*_malformed(row), *_errors(row), *_impossible(row)]
    # Where the figures themselves are wrong, what they add up to means nothing.
    if not any(each.verdict == RED for each in findings):
        findings += _closed_loop(row, n_eff) if row.closed else _open_loop(row)
    words = [each.verdict for each in findings] or [GREEN]
    return TableAudit(min(words, key=VERDICTS.index), n_eff, findings)


# --- the mean ------------------------------------------------------------------------------------

def _steps(row: Row) -> Iterator[tuple[float, Figure, Figure]]:
    """(share of the answers, the least they took, the most they took) from one printed percentile to the next."""
    before_share, before = 0.0, row.quantiles.get(0.0, Figure(0, 0, 0))
    for share, figure in sorted(row.quantiles.items()):
        if share > 0:
            yield share - before_share, before, figure
            before_share, before = share, figure
    if before_share < 1:
        most = _cap_ms(row)
        yield 1 - before_share, before, Figure(most, most, most)


def _cap_ms(row: Row) -> float:
    """No latency in the row's percentiles is above this."""
    loader = row.loader
    cap = row.timeout_s if row.timeout_s is not None else loader.cap_s if loader else None
    largest = max((figure.low for figure in row.quantiles.values()), default=0.0)
    return math.inf if cap is None or cap * 1e3 < largest else cap * 1e3


def mean_bounds(row: Row) -> tuple[float, float] | None:
    """What the printed percentiles leave for the mean latency, in milliseconds."""
    if not any(share > 0 for share in row.quantiles):
        return None
    steps = list(_steps(row))
    return sum(share * least.low for share, least, _ in steps), sum(share * most.high for share, _, most in steps)


def bracket(row: Row) -> Bracket | None:
    """N_eff: requests in flight over the requests that can be, from the mean or else from the percentiles."""
    if row.requests_per_s is None or not row.slots:
        return None
    low, high, source = 0.0, 0.0, "mean"
    if row.mean_ms is not None:
        low, high = row.mean_ms.low, row.mean_ms.high
    else:
        bounds = mean_bounds(row)
        if bounds is None:
            return None
        (low, high), source = bounds, "percentiles"
    think, slots = row.think_ms, row.slots
    return Bracket(littles_law(row.requests_per_s.low, low + think, slots),
                   littles_law(row.requests_per_s.high, high + think, slots), source)


# --- before all that -----------------------------------------------------------------------------

def _malformed(row: Row) -> Iterator[Finding]:
    latencies = [*row.quantiles.values(), *([row.mean_ms] if row.mean_ms else [])]
    nothing = row.requests == 0 or (row.requests_per_s is not None and row.requests_per_s.value == 0)
    if nothing or (latencies and all(each.value == 0 for each in latencies)):
        yield Finding("malformed", RED, "no samples", "A run without answers is a failed run, not a fast one",
                      "what the server answers when it is asked by hand")
        return
    ordered = sorted(row.quantiles.items())
    for (share, figure), (next_share, above) in zip(ordered, ordered[1:], strict=False):
        if figure.low > above.high:
            yield Finding("malformed", RED, f"{label(share)} {_ms(figure.value)} is above {label(next_share)} "
                          f"{_ms(above.value)}", "Percentiles cannot fall", "which of the two is a slip")
            return
    bounds = mean_bounds(row)
    if row.mean_ms is not None and bounds is not None:
        least, most = bounds
        if row.mean_ms.high < least or row.mean_ms.low > most:
            yield Finding("malformed", RED, f"the mean {_ms(row.mean_ms.value)} lies outside {_ms(least)} to "
                          f"{_ms(most)}", "That is all the percentiles leave for it",
                          "whether mean and percentiles are of the same run, and in the same unit")


def _errors(row: Row) -> Iterator[Finding]:
    share, answers = row.error_share, row.requests
    if answers is None and row.requests_per_s is not None and row.duration_s is not None:
        answers = row.requests_per_s.value * row.duration_s
    if share is None:
        if not row.errors:
            return
        if not answers:
            yield from _errors_of_unknown_share(row)
            return
        share = row.errors / answers
        if 0.98 <= share <= 1.02:
            yield Finding("error-per-answer", RED, f"{row.errors:,.0f} errors for {answers:,.0f} answers, one each",
                          "The server closes the connection after each answer without saying so: the row measures "
                          "reconnecting",
                          "whether the server reads the request, keeps the connection or says Connection: close")
            return
    if share >= ERRORS_AMBER:
        yield Finding("errors", RED if share >= ERRORS_RED else AMBER, f"{share:.2%} errors",
                      "An error is a fast answer: throughput and percentiles count something else",
                      "which errors, and the figures of a run without")


def _errors_of_unknown_share(row: Row) -> Iterator[Finding]:
    if row.requests_per_s is None or row.requests_per_s.value == 0:
        return
    enough_s = row.errors / (ERRORS_RED * row.requests_per_s.value)
    yield Finding("errors", AMBER if enough_s > 300 else UNDETERMINED,
                  f"{row.errors:,.0f} errors, over 1 % if the run was shorter than {enough_s:,.0f} s",
                  "Without the duration their share is not known", "how long the run was")


def _impossible(row: Row) -> Iterator[Finding]:
    rate = row.requests_per_s
    if row.service_ms:
        named = [("mean", row.mean_ms), *((label(share), row.quantiles[share]) for share in sorted(row.quantiles))]
        under = [(name, figure) for name, figure in named if figure is not None and figure.high < row.service_ms]
        if under:
            name, figure = under[0]
            yield Finding("service-floor", RED, f"{name} {_ms(figure.value)}, but an answer takes at least "
                          f"{_ms(row.service_ms)}", _OTHER_CODE, "whether the handler shown is the one that ran")
        if rate is not None and row.slots is not None:
            most = row.slots / (row.service_ms / 1e3)
            if rate.low > most:
                yield Finding("throughput-bound", RED, f"{rate.value:,.0f} req/s, but {row.slots:,.0f} requests at "
                              f"once of at least {_ms(row.service_ms)} each are at most {most:,.0f} req/s",
                              _OTHER_CODE, "whether the handler shown is the one that ran")
    if row.cpu_us is not None and rate is not None and row.cores is not None:
        used = row.cpu_us.low * rate.low / 1e6
        if used > row.cores * (1 + CPU_MARGIN):
            yield Finding("cpu", RED, f"{row.cpu_us.value:g} µs of CPU a request x {rate.value:,.0f} req/s keeps "
                          f"{used:.1f} cores busy, but there are {row.cores:g}", "No server uses more than it has",
                          "whether CPU time and throughput are of the same run")


# --- the loop ------------------------------------------------------------------------------------

def _open_loop(row: Row) -> Iterator[Finding]:
    achieved = row.requests_per_s
    if not row.rate or achieved is None:
        yield Finding("open-loop", UNDETERMINED, f"{'no achieved rate' if row.rate else 'no offered rate'}",
                      "An open loop that could not keep up prints the latencies of its own queue", "both rates")
    elif achieved.high < row.rate * (1 - RATE_MARGIN) or achieved.low > row.rate * (1 + RATE_MARGIN):
        yield Finding("open-loop", RED, f"achieved {achieved.value / row.rate:.1%} of the offered {row.rate:,.0f} "
                      "req/s", "The latencies are of a queue that grew, or of a loader that was late",
                      "a run at a rate that was achieved, and how late the loader sent")


def _closed_loop(row: Row, n_eff: Bracket | None) -> Iterator[Finding]:
    if n_eff is None:
        lacking = ("requests per second" if row.requests_per_s is None
                   else "number of connections" if not row.slots else "latency")
        yield Finding("littles-law", UNDETERMINED, f"{lacking} not printed",
                      "There is nothing to hold the figures against", lacking)
        return
    if n_eff.source == "mean":
        verdict = _zone(n_eff)
    elif n_eff.low > N_EFF_MOST or n_eff.high < N_EFF_LEAST:
        verdict = RED
    else:
        verdict = GREEN if n_eff.low >= N_EFF_LEAST and n_eff.high <= N_EFF_MOST else UNDETERMINED
    if verdict == UNDETERMINED:
        tail = hidden_tail(row)
        if tail is not None:
            yield tail
            return
        yield Finding("littles-law", UNDETERMINED, f"N_eff somewhere in {spelled(n_eff)}",
                      "The figures fit sound runs and unsound ones",
                      "the mean with more digits" if n_eff.source == "mean" else "the mean of the raw latencies")
    elif verdict != GREEN:
        yield _high(row, n_eff, verdict) if n_eff.low > 1 else _low(row, n_eff, verdict)


def _zone(n_eff: Bracket) -> str:
    """The mildest word that the rounding allows; from red to green in one interval is no word at all."""
    touched = {word for low, high, word in ZONES if n_eff.low <= high and n_eff.high >= low}
    if GREEN in touched:
        return UNDETERMINED if RED in touched else GREEN
    return AMBER if AMBER in touched else RED


def _high(row: Row, n_eff: Bracket, verdict: str) -> Finding:
    says = f"N_eff {spelled(n_eff)}: more in flight than the {row.slots:,.0f} that can be"
    if row.loader is not None and row.loader.corrects:
        return Finding("littles-law", verdict, says, "wrk added phantom samples for its slow answers: the mean and p75 "
                       "to p99 are not measurements (a slow minority is real)",
                       "the raw latencies, from a loader that does not correct")
    return Finding("littles-law", verdict, says, "Throughput and latency are not of the same run, or the unit or the "
                   "pipeline depth is wrong, or the loader corrects its latencies",
                   "the loader's command line and its raw output")


def _low(row: Row, n_eff: Bracket, verdict: str) -> Finding:
    accounted = f"at most {n_eff.high * row.slots:,.0f}"
    if row.mean_ms is not None:
        accounted = f"{row.requests_per_s.value * (row.mean_ms.value + row.think_ms) / 1e3:,.0f}"
    return Finding("littles-law", verdict,
                   f"N_eff {spelled(n_eff)}: throughput and latency account for {accounted} of {row.slots:,.0f}",
                   "The others waited where no percentile looks: connections that were not served, answers that never "
                   "came, or a loader too busy to send", "first the loader's CPU, then how many connections were "
                   "answered at all")


def hidden_tail(row: Row) -> Finding | None:
    """Where the maximum is unknown: what the slowest answers must have taken if the connections were busy."""
    rate, shares = row.requests_per_s, [share for share in row.quantiles if share > 0]
    if rate is None or rate.high <= 0 or row.slots is None or not shares or 1.0 in shares or row.mean_ms is not None:
        return None
    last = max(shares)
    steps = list(_steps(row))[:-1]
    rest_ms = sum(share * most.high for share, _, most in steps)

    def needed_ms(filled: float) -> float:
        return (filled * row.slots / rate.high * 1e3 - row.think_ms - rest_ms) / (1 - last)

    tail_ms, printed_ms = needed_ms(FILLED), row.quantiles[last].high
    ratio = tail_ms / printed_ms if printed_ms > 0 else math.inf if tail_ms > 0 else 0.0
    # A loader that is busy itself makes up for a fifth: below that nothing is held against the server.
    if ratio <= TAIL_AMBER or needed_ms(N_EFF_LEAST) <= TAIL_AMBER * printed_ms:
        return None
    return Finding("hidden-tail", RED if ratio > TAIL_RED else AMBER,
                   f"with {FILLED:.0%} of the connections busy, the slowest {100 * (1 - last):.3g} % of the answers "
                   f"took {_ms(tail_ms)} on average, {ratio:,.0f} x {label(last)}",
                   "The last percentile hides where the time goes, or connections were not served",
                   "mean and maximum, then how many connections were answered at all")


# --- words ---------------------------------------------------------------------------------------

def label(share: float) -> str:
    return {0.0: "min", 1.0: "max"}.get(share, f"p{share * 100:.6g}")


def _ms(value: float) -> str:
    return "no limit" if math.isinf(value) else f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def spelled(n_eff: Bracket) -> str:
    """`0.994`, `0.435..8.04`, or `0.435..` without an upper bound."""
    low, high = n_eff.low, n_eff.high
    if high - low <= 0.01 * high < math.inf:
        return f"{(low + high) / 2:.3g}"
    return f"{low:.3g}.." + ("" if math.isinf(high) else f"{high:.3g}")
