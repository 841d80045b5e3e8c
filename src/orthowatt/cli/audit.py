"""`orthowatt audit`: what printed claims are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..record import Study
from .common import Common, parse, print_json


@dataclass(kw_only=True)
class Options(Common):
    """Options of `audit`."""

    claims: Annotated[
        str | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|NAME", help="claims to check")
    ] = None
    study: Annotated[
        tuple[Path, ...], tyro.conf.arg(help="study folders whose measurements count as evidence")
    ] = ()
    self_test: Annotated[
        bool, tyro.conf.arg(help="plant every known slip into true figures and find it again")
    ] = False


def run(argv: Sequence[str]) -> int:
    """Audit a bundled or own claims file, or test the audit itself."""
    options = parse(
        Options, argv, "audit",
        "Check printed claims against physics, arithmetic and measured studies.",
        "orthowatt audit arxiv-2506.16418",
    )  # fmt: skip
    if options.self_test:
        return _self_test(options)
    if options.claims is None:
        from ..audit.claims import bundled
        from ..errors import InputError

        raise InputError(f"no claims were named; give a TOML file or one of {', '.join(bundled())}")
    from ..audit import audit_claims
    from ..audit.render import format_audit

    audit = audit_claims(options.claims, [Study.load(path) for path in options.study])
    if options.json:
        print_json(audit.to_dict())
    else:
        print(format_audit(audit))
    return 0


def _self_test(options: Options) -> int:
    from ..audit import self_test

    found = self_test()
    if options.json:
        print_json([{"slip": slip, "found": bool(hit)} for slip, hit in found])
    else:
        for slip, hit in found:
            print(f"{'found' if hit else 'MISSED':<7} {slip}")
    return 0 if all(hit for _, hit in found) else 1
