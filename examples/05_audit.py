"""Is a printed energy figure possible? The paper's claims, checked without a single run."""

import orthowatt as ow

audit = ow.audit_claims("arxiv-2506.16418")
print(audit.title)
for finding in audit.results:
    if finding.verdict in ("implausible", "contradicted"):
        print(f"\n{finding.verdict}: {finding.statement}")
        print(f"  {finding.reason}")
