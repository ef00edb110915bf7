"""The audit: everything recomputed from the immutable rows alone, by code that shares nothing with what wrote them.

Source: DESIGN.md section 3, promise 10.
"""

from loyalty.audit.findings import Finding, Findings, Totals
from loyalty.audit.run import audit

__all__ = ["Finding", "Findings", "Totals", "audit"]
