"""What somebody claims: TOML files read into validated `Claim`s.

A file holds `name`, `title`, `source`, `url`, `unknown` (what no source states), the tables
`[context]` (see `Context`), `[reference]` (`accuracy_percent`, `source`), any number of
`[[sites]]` (`position`, `layer`, `channels`, `size`, `padded`: where a layer is inserted) and
`[[claims]]` (see `Claim`). A key that is absent is unknown: TOML has no null.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import DataError, InputError, check_choice, closest

#: The units that each kind of claim may be stated in, and what one of them is in J, B or fractions.
UNITS: dict[str, dict[str, float]] = {
    "accuracy": {"%": 0.01, "fraction": 1.0},
    "difference": {"points": 0.01, "fraction": 1.0},
    "swing": {"%": 0.01, "fraction": 1.0},
    "energy": {"J": 1.0, "kJ": 1e3, "MJ": 1e6, "Wh": 3.6e3, "kWh": 3.6e6},
    "ratio": {"x": 1.0, "% less": 0.01, "% more": 0.01},
    "memory": {"GB": 1e9, "GiB": 2.0**30, "MiB": 2.0**20},
    "mechanism": {},
}
#: What a mechanism can be tested for.
CHECKS = (
    "adds-work", "axes", "in-place", "multi-scale", "n-log-n", "phase", "power-of-two",
)  # fmt: skip
#: Claims of these kinds compare with the claim that `against` names.
NEEDS_AGAINST = ("difference", "ratio")
NEEDS_VALUES = ("accuracy", "difference", "swing", "energy")


@dataclass(frozen=True)
class Context:
    """The conditions under which the claims were made; None where no source states one.

    `macs_removed` are the multiply-accumulates of a forward pass of one image that the layer at
    the sites replaces: 0 where the layer is inserted only, None where that is not stated.
    """

    model: str | None = None
    pretrained: bool | None = None
    data: str | None = None
    classes: int | None = None
    train_images: int | None = None
    test_images: int | None = None
    native_size: int | None = None
    image_size: int | None = None
    epochs: tuple[float, float] | None = None
    phase: str | None = None
    device: str | None = None
    method: str | None = None
    per: str | None = None
    macs_per_image: float | None = None
    macs_removed: float | None = None


@dataclass(frozen=True)
class Site:
    """A place where a layer is inserted: a map of `channels` planes of size × size."""

    position: str
    layer: str
    channels: int
    size: int
    padded: int

    def __post_init__(self) -> None:
        if self.padded < self.size or self.padded & (self.padded - 1):
            raise InputError(
                f"the site {self.layer!r} is padded to {self.padded}, but must be to a power of "
                f"two of at least its size, {self.size}"
            )


@dataclass(frozen=True)
class Reference:
    """What the same network reaches without the claimed change."""

    accuracy_percent: tuple[float, float]
    source: str


@dataclass(frozen=True)
class Claim:
    """One claim: a number or range with its unit, or a mechanism with the check that tests it.

    `kind` is accuracy, difference, swing, energy, ratio, memory or mechanism; `values` one number
    or a range (a ratio or memory without any states no figure); `transform` and `position` the
    variant it speaks of (None: any); `against` the id of the claim that it compares with;
    `variant` (ratios) the id of the claim that is compared; `device` overrides the context's.
    """

    id: str
    kind: str
    statement: str
    source: str
    values: tuple[float, ...] = ()
    unit: str | None = None
    transform: str | None = None
    position: str | None = None
    against: str | None = None
    variant: str | None = None
    check: str | None = None
    device: str | None = None
    context: Context = field(default_factory=Context)

    def __post_init__(self) -> None:
        check_choice(f"the kind of claim {self.id!r}", self.kind, UNITS)
        if self.kind == "mechanism":
            check_choice(f"the check of claim {self.id!r}", self.check, CHECKS)
        elif self.check is not None:
            raise InputError(f"claim {self.id!r} has a check, which only mechanisms have")
        _check_values(self)
        if self.kind in NEEDS_AGAINST and self.against is None:
            raise InputError(
                f"claim {self.id!r} is a {self.kind}, so `against` must name the claim it "
                "compares with"
            )

    @property
    def scaled(self) -> tuple[float, float]:
        """Lowest and highest value in J, bytes, fractions, or as a ratio of energies.

        >>> Claim("e", "energy", "39 kJ", "here", (39,), "kJ").scaled
        (39000.0, 39000.0)
        >>> Claim("r", "ratio", "99.8 % less", "here", (99.8,), "% less", against="e").scaled[0]
        0.0020...
        """
        assert self.unit is not None
        found = sorted(float(value) * UNITS[self.kind][self.unit] for value in self.values)
        if self.kind == "ratio" and self.unit != "x":
            sign = -1 if self.unit == "% less" else 1
            found = sorted(1 + sign * value for value in found)
        return found[0], found[-1]

    @property
    def stated(self) -> str:
        """The value as the source prints it."""
        shown = " to ".join(f"{value:,g}" for value in self.values)
        return f"{shown} {self.unit}"


@dataclass(frozen=True)
class ClaimSet:
    """The claims of one source, with their shared conditions."""

    name: str
    title: str
    source: str
    claims: tuple[Claim, ...]
    context: Context = field(default_factory=Context)
    url: str | None = None
    unknown: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()
    reference: Reference | None = None

    def __post_init__(self) -> None:
        ids = [claim.id for claim in self.claims]
        for claim_id in ids:
            if ids.count(claim_id) > 1:
                raise InputError(f"claim ids must differ, but {claim_id!r} appears twice")
        for claim in self.claims:
            for key in ("against", "variant"):
                named = getattr(claim, key)
                if named is not None and named not in ids:
                    raise InputError(
                        f"claim {claim.id!r} names {named!r} as `{key}`, which is no claim; "
                        f"{closest(named, ids)}"
                    )

    def get(self, claim_id: str | None) -> Claim | None:
        """The claim of that id, or None."""
        return next((claim for claim in self.claims if claim.id == claim_id), None)


def bundled() -> tuple[str, ...]:
    """The names of the claim files that come with orthowatt.

    >>> bundled()
    ('arxiv-2506.16418',)
    """
    folder = resources.files("orthowatt.audit") / "claims"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name[: -len(".toml")] for name in names if name.endswith(".toml")))


def load_claims(name: str | Path) -> ClaimSet:
    """Read a bundled claim file by name, or any TOML file by path.

    `InputError` for a name that is neither and for a wrong key or value, `DataError` for a file
    that is no TOML.

    >>> load_claims("arxiv-2506.16418").claims[0].stated
    '66 %'
    """
    path = Path(name)
    if str(name) in bundled():
        text = (resources.files("orthowatt.audit") / "claims" / f"{name}.toml").read_text("utf-8")
    elif path.is_file():
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from error
    else:
        raise InputError(
            f"{str(name)!r} is neither a file nor a bundled set of claims; "
            f"{closest(str(name), bundled())}"
        )
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name} is no valid TOML: {error}") from error
    try:
        return _claim_set(values)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _claim_set(values: Mapping[str, Any]) -> ClaimSet:
    allowed = ("name", "title", "source", "url", "unknown", "context", "reference", "sites",
               "claims")  # fmt: skip
    _check_keys("the file", values, allowed, needed=("name", "title", "source", "claims"))
    context = _build(Context, "[context]", values.get("context", {}))
    claims = []
    for index, entry in enumerate(values["claims"], start=1):
        where = f"[[claims]] number {index}"
        if isinstance(entry, Mapping) and "context" in entry:
            raise InputError(f"{where} has a context; it is shared, so give it as [context]")
        claims.append(_build(Claim, where, entry, context=context))
    reference = values.get("reference")
    return ClaimSet(
        name=str(values["name"]),
        title=str(values["title"]),
        source=str(values["source"]),
        claims=tuple(claims),
        context=context,
        url=values.get("url"),
        unknown=tuple(values.get("unknown", ())),
        sites=tuple(_build(Site, "[[sites]]", site) for site in values.get("sites", ())),
        reference=_build(Reference, "[reference]", reference) if reference else None,
    )


def _build(kind: type, where: str, entry: Any, **given: Any) -> Any:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} is {entry!r}, but must be a table of keys and values")
    fields = dataclasses.fields(kind)
    needed = [
        f.name
        for f in fields
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    _check_keys(where, entry, [f.name for f in fields], needed)
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
    for f in fields:
        if f.name in values:
            _check_type(where, f, values[f.name])
    return kind(**values, **given)


#: What an annotation admits, and how to say so.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a text"),
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "tuple[float, float]": ((tuple,), "a range of two numbers, lowest first"),
}


def _check_type(where: str, f: dataclasses.Field, value: Any) -> None:
    annotation = str(f.type).removesuffix(" | None")
    if annotation not in _TYPES:
        return
    types, said = _TYPES[annotation]
    right = isinstance(value, types) and (isinstance(value, bool) == (annotation == "bool"))
    if right and annotation == "tuple[float, float]":
        right = len(value) == 2 and all(_is_number(item) for item in value)
        right = right and value[0] <= value[1]
    if right and annotation in ("int", "float"):
        zero = f.name == "macs_removed"  # a layer may well replace nothing
        right = value >= 0 if zero else value > 0
        said += " of at least 0" if zero else " above 0"
    if not right:
        shown = list(value) if isinstance(value, tuple) else value
        raise InputError(f"{where} has {f.name} = {shown!r}, but it must be {said}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_keys(where: str, entry: Mapping[str, Any], allowed: Any, needed: Any) -> None:
    for key in entry:
        if key not in allowed:
            raise InputError(f"{where} has the unknown key {key!r}; {closest(key, allowed)}")
    for key in needed:
        if key not in entry:
            raise InputError(f"{where} lacks {key!r}; add it (a claim without it cannot be judged)")


def _check_values(claim: Claim) -> None:
    units = UNITS[claim.kind]
    if not isinstance(claim.values, tuple) or not all(_is_number(v) for v in claim.values):
        raise InputError(
            f"claim {claim.id!r} has values {claim.values!r}, but they must be a list of one or "
            "two numbers"
        )
    if claim.kind in NEEDS_VALUES and not claim.values:
        raise InputError(f"claim {claim.id!r} is a {claim.kind}, so it needs values and a unit")
    if len(claim.values) > 2:
        raise InputError(
            f"claim {claim.id!r} has {len(claim.values)} values; give one, or a range of two"
        )
    if not claim.values:
        return
    if claim.unit not in units:
        allowed = ", ".join(repr(unit) for unit in units) or "none: it takes no values"
        raise InputError(
            f"claim {claim.id!r} has unit {claim.unit!r}, but a {claim.kind} takes {allowed}"
        )
    low, high = claim.scaled
    top = 1.0 if claim.kind in ("accuracy", "swing") else float("inf")
    if claim.kind != "difference" and not (low >= 0 and high <= top):
        raise InputError(f"claim {claim.id!r} states {claim.stated}, which is out of range")
    if claim.kind == "energy" and low == 0:
        raise InputError(f"claim {claim.id!r} states 0 J, which no run takes")
