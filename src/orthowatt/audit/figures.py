"""Stated energies, savings and memory judged by arithmetic alone."""

from __future__ import annotations

import dataclasses
import math

from ..errors import InputError
from .claims import Claim, ClaimSet
from .explain import RATIOS, Row, explain
from .floor import (
    TRAINING_FLOPS_PER_MAC,
    OrdinaryRun,
    devices,
    macs_of,
    ordinary_run,
)
from .mechanisms import NOT_STATED, added_work, net_work
from .slips import read_slips
from .workings import Explanation, Finding, Verdict, Working, duration, figure

#: A figure this many times outside the range of public measurements is implausible.
TOLERANCE = 2.0
#: A training process cannot use more than this share of a board: driver and context need some.
USABLE_MEMORY = 0.9


def judge_energy(claim: Claim, claims: ClaimSet) -> Finding:
    """A stated energy against the floor, the power limit and the ordinary range."""
    run = _run_of(claim, claims)
    if isinstance(run, str):
        return _by_floor(claim, claims, run)
    low, high = claim.scaled
    workings = _energy_workings(claim, run)
    if low > TOLERANCE * run.joules[1]:
        verdict, reason = "implausible", _too_high(low, run)
    elif high < run.joules[0] / TOLERANCE or high < run.floor_joules(run.epochs[0]):
        verdict, reason = "implausible", _too_low(high, run)
    else:
        verdict = "not measurable here"
        reason = (
            f"{figure(low, 'J')} is an ordinary figure, {figure(low / run.middle_images, 'J')} an "
            f"image where {figure(run.joules_per_image, 'J')} is usual; only measured runs on "
            f"the same device can confirm it."
        )
    explanations = _explanations(claim, claims, run) if verdict == "implausible" else ()
    return _finding(
        claim, verdict, reason, ("H13", "H14"), workings, explanations,
        slips=read_slips(math.sqrt(low * high), run),
    )  # fmt: skip


def _run_of(claim: Claim, claims: ClaimSet) -> OrdinaryRun | str:
    """The ordinary run of a claim's conditions, or what is missing for one."""
    context = claims.context
    if claim.device is not None:
        context = dataclasses.replace(context, device=claim.device)
    try:
        return ordinary_run(context)
    except InputError as error:
        return str(error)


def _by_floor(claim: Claim, claims: ClaimSet, missing: str) -> Finding:
    """Without an ordinary run there is still the floor, where work and device are known."""
    context, key = claims.context, claim.device or claims.context.device
    macs, images, epochs = macs_of(context), context.train_images, context.epochs
    training = context.phase in (None, "training")
    if key not in devices() or macs is None or images is None or epochs is None or not training:
        return _finding(claim, "inconclusive", f"It cannot be checked: {missing}.", ("H13", "H14"))
    board = devices()[key]
    precision, peak = board.best_peak
    limit = board.power_limit_watts
    flops = TRAINING_FLOPS_PER_MAC * macs * images * epochs[0]
    working = Working(
        "compute floor", flops / (peak / limit), "J",
        f"{figure(flops, 'FLOP')} of {epochs[0]:g} epochs / ({peak / 1e12:g} TFLOP/s {precision} "
        f"/ {limit:g} W)",
    )  # fmt: skip
    if claim.scaled[1] < flops / (peak / limit):
        reason = f"The arithmetic alone takes {working.text} on the {board.name} at its peak."
        return _finding(claim, "implausible", reason, ("H13",), (working,))
    reason = f"It lies above the compute floor of {working.text}, but no more is known: {missing}."
    return _finding(claim, "inconclusive", reason, ("H13",), (working,))


def _energy_workings(claim: Claim, run: OrdinaryRun) -> tuple[Working, ...]:
    low, high = claim.scaled
    joules = math.sqrt(low * high)
    limit = run.device.power_limit_watts
    n, epochs = run.images_per_epoch, run.middle_epochs
    precision, peak = run.device.best_peak
    macs = run.flops_per_image / 6
    work = run.flops_per_image * n
    seconds = run.seconds
    rates, watts = run.rates, run.watts
    return (
        Working("stated energy", joules / 3.6e6, "kWh", f"{figure(joules, 'J')} / 3,600"),
        Working("time at the power limit", joules / limit, "s",
                f"{figure(joules, 'J')} / {limit:g} W"),
        Working("energy of an image", joules / run.middle_images, "J",
                f"{figure(joules, 'J')} / ({epochs:g} epochs × {n:,} images)"),
        Working("ordinary energy of an image", run.joules_per_image, "J",
                f"{watts[0]:g} W / {rates[1]:,g} images/s to {watts[1]:g} W / {rates[0]:,g}"),
        Working("ordinary time of the run", seconds, "s",
                f"{run.epochs[0]:g} epochs at {rates[1]:,g} images/s to {run.epochs[1]:g} at "
                f"{rates[0]:,g}"),
        Working("implied mean power", (joules / seconds[1], joules / seconds[0]), "W",
                f"{figure(joules, 'J')} / {duration(seconds)}; idle {run.idle_watts:g} W, "
                f"limit {limit:g} W"),
        Working("ordinary energy of the run", run.joules, "J",
                f"{run.epochs[0]:g} to {run.epochs[1]:g} epochs at that energy an image"),
        Working("work of an epoch", work, "FLOP",
                f"6 × {figure(macs, 'MAC')} × {n:,} images (forward once, backward twice, two "
                "operations a MAC)"),
        Working("compute floor", run.floor_joules(), "J",
                f"{epochs:g} × {figure(work, 'FLOP')} / ({peak / 1e12:g} TFLOP/s {precision} / "
                f"{limit:g} W)"),
    )  # fmt: skip


def _too_high(joules: float, run: OrdinaryRun) -> str:
    limit = run.device.power_limit_watts
    power = joules / run.seconds[1], joules / run.seconds[0]
    return (
        f"{figure(joules, 'J')} is {joules / 3.6e6:.3g} kWh, {duration(joules / limit)} at the "
        f"{limit:g} W limit of the {run.device.name}, but {run.epochs[0]:g} to {run.epochs[1]:g} "
        f"epochs take {duration(run.seconds)} at its public rates: a mean of "
        f"{figure(power, 'W')}, which the board cannot draw."
    )


def _too_low(joules: float, run: OrdinaryRun) -> str:
    limit = run.device.power_limit_watts
    image = joules / run.middle_images
    rate = run.middle_images / (joules / limit)
    precision, peak = run.device.best_peak
    share = rate * run.flops_per_image / peak
    least = tuple(watts / run.rates[1] / image for watts in run.watts)
    return (
        f"{figure(joules, 'J')} over {run.middle_epochs:g} epochs is {figure(image, 'J')} an "
        f"image, {figure((least[0], least[1]))} times less than the best public rate takes; at "
        f"the {limit:g} W limit it needs {rate:,.0f} images/s, {figure(share, '%')} of the "
        f"{precision} peak, where {figure(run.rates, 'images/s')} are measured."
    )


def _explanations(claim: Claim, claims: ClaimSet, run: OrdinaryRun) -> tuple[Explanation, ...]:
    """The best explanations of the claim, with its partner where there is one."""
    rows = [claim]
    if claim.kind == "ratio":
        rows = [claims.get(claim.against), claims.get(claim.variant)]
    elif claim.against is not None:
        rows = [claims.get(claim.against), claim]
    else:  # a baseline: the claim that compares with it
        partner = next(
            (c for c in claims.claims if c.kind == "energy" and c.against == claim.id), None
        )
        rows = [claim, partner] if partner is not None else [claim]
    if any(row is None or row.kind != "energy" for row in rows):
        return ()
    named = [
        Row(math.sqrt(math.prod(row.scaled)), _row_name(row)) for row in rows if row is not None
    ]
    return explain(named, run, claims.context)


def _row_name(claim: Claim) -> str:
    if claim.transform in (None, "none"):
        return "the baseline"
    return f"the {claim.transform.upper()} variant"  # type: ignore[union-attr]


def judge_ratio(claim: Claim, claims: ClaimSet) -> Finding:
    """A stated saving against what the layer adds, and against the two energies it rests on."""
    workings, shares = added_work(claims)
    first, second = claims.get(claim.against), claims.get(claim.variant)
    if first is not None and second is not None and {first.kind, second.kind} == {"energy"}:
        ratio = second.scaled[0] / first.scaled[0]
        workings.insert(0, Working("ratio of the two figures", ratio, "",
            f"{second.stated} / {first.stated}: {figure(1 - ratio, '%')} less"))  # fmt: skip
    claimed = claim.scaled[1] if claim.values else None
    if claimed is not None and claimed >= RATIOS[0]:
        reason = "A ratio near 1 is ordinary for a layer more; only measured runs can confirm it."
        return _finding(claim, "not measurable here", reason, ("H15",), tuple(workings))
    if shares is None:
        reason = "What the change adds or removes is not stated, so nothing can be counted."
        return _finding(claim, "inconclusive", reason, ("H15",), tuple(workings))
    net = net_work(claims, shares)
    if net is None:
        return _finding(claim, "inconclusive", NOT_STATED, ("H15",), tuple(workings))
    if claims.context.macs_removed:
        left = f"The work of a forward pass changes by {figure(net[0], '%')} at least"
        if net[0] < 0 and (claimed is None or claimed >= 1 + net[0]):
            reason = f"{left}; what of it the energy follows takes measured runs."
            return _finding(claim, "not measurable here", reason, ("H15",), tuple(workings))
        reason = f"{left}, so the energy should not fall by as much as is claimed."
    else:
        reason = (
            f"The layer is inserted and removes nothing: it adds {figure(shares, '%')} of work, "
            "so the energy should stay the same or rise by a few per cent, not fall."
        )
    run = _run_of(claim, claims)
    found = () if isinstance(run, str) or claimed is None else _explanations(claim, claims, run)
    return _finding(claim, "implausible", reason, ("H15",), tuple(workings), found)


def judge_memory(claim: Claim, claims: ClaimSet) -> Finding:
    """Stated memory against the boards; a figure alone cannot tell use from reservation."""
    peak = claims.get(claim.against)
    if claim.device is None or peak is None or not peak.values:
        return _memory_figure(claim)
    board = devices().get(claim.device)
    if board is None:
        reason = f"No figures of a device {claim.device!r} are kept."
        return _finding(claim, "inconclusive", reason, ("H16",))
    needed, capacity = peak.scaled[1], board.memory_gigabytes * 1e9
    workings = (
        Working(f"memory of the {board.name}", capacity, "B", board.sources[0]),
        Working("stated need", needed, "B", peak.statement),
    )
    room = f"{figure(needed, 'B')} of the {figure(capacity, 'B')} of the {board.name}"
    if needed < USABLE_MEMORY * capacity:
        reason = (
            f"The stated need is {room}, so it would fit; either the need is higher than stated "
            "or the failure has another cause."
        )
        return _finding(claim, "implausible", reason, ("H16",), workings)
    reason = (
        f"The stated need is {room}: driver and context take the rest, so it may fail, but the "
        "batch size is not stated."
    )
    return _finding(claim, "inconclusive", reason, ("H16",), workings)


def _memory_figure(claim: Claim) -> Finding:
    if not claim.values:
        reason = "No figure is stated, so there is nothing to compare a measurement with."
        return _finding(claim, "not measurable here", reason, ("H16",))
    reason = (
        "The batch size, which decides the need, is not stated; and a figure that is equal for "
        "every variant is rather what the framework reserved than what the network used."
    )
    return _finding(claim, "inconclusive", reason, ("H16",))


def _finding(
    claim: Claim,
    verdict: Verdict,
    reason: str,
    hypotheses: tuple[str, ...],
    workings: tuple[Working, ...] = (),
    explanations: tuple[Explanation, ...] = (),
    **more,
) -> Finding:
    return Finding(
        claim.id, claim.kind, claim.statement, verdict, reason, claim.source, hypotheses,
        workings, explanations, **more,
    )  # fmt: skip
