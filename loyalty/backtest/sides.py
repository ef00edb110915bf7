"""The two sides of a backtest: the programs that were in force, and the candidate in their place."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from loyalty.backtest.books import ReplayContext
from loyalty.backtest.history import Event
from loyalty.engine.programs import BEGINNING, Programs, ProgramVersion
from loyalty.rules.award import Award
from loyalty.rules.facts import Facts, Line, Used
from loyalty.rules.judge import Judge


class Seen:
    """The last judgement, and the tier that was judged by. `award` None: nothing since it was taken away."""

    __slots__ = ("award", "tier")

    def __init__(self) -> None:
        self.award: Award | None = None
        self.tier = ""


class Witness(Judge):
    """A judge whose judgements are seen."""

    def __init__(self, judge: Judge, seen: Seen) -> None:
        self.__dict__.update(judge.__dict__)
        self._seen = seen

    def judge(self, lines: Sequence[Line], facts: Facts) -> Award:
        award = Judge.judge(self, lines, facts)
        self._seen.award, self._seen.tier = award, facts.tier
        return award

    def judge_event(self, type: str, facts: Facts) -> Award:
        award = Judge.judge_event(self, type, facts)
        self._seen.award, self._seen.tier = award, facts.tier
        return award

    def judge_unlinked(self, lines: Sequence[Line], facts: Facts) -> Award:
        award = Judge.judge_unlinked(self, lines, facts)
        self._seen.award, self._seen.tier = award, facts.tier
        return award


class Side:
    """Programs for a replay.

    Args:
        recorded: all versions that are on record.
        candidate: what is tried; None: what was in force decides.
        start: the candidate is in force from then on; None: it always was.
        closed: by rule with a budget, from when on it counts as spent.
    """

    def __init__(
        self,
        recorded: Programs,
        candidate: ProgramVersion | None = None,
        start: datetime | None = None,
        closed: Mapping[str, datetime] | None = None,
    ) -> None:
        self.recorded = recorded
        self.candidate = candidate
        self.closed = dict(closed or {})
        self.beginning = BEGINNING
        self.seen = Seen()
        versions = sorted(recorded.in_use(), key=lambda version: version.version)
        if candidate is not None:
            first = BEGINNING if start is None else start
            versions = [version for version in versions if version.effective_from < first]
            number = recorded.newest + 1
            versions.append(msgspec.structs.replace(candidate, version=number, effective_from=first))
        self.versions = [
            msgspec.structs.replace(version, judge=Witness(version.judge, self.seen)) for version in versions
        ]
        self.programs = Programs(self.versions)
        self._known = [
            # A sandbox's clock may have been set back under a version: then it counts from when it was in force.
            (min(version.recorded_at, version.effective_from), Programs(self.versions[: place + 1]))
            for place, version in enumerate(self.versions)
        ]
        self.number = None if candidate is None else recorded.newest + 1
        self.same_for_all = candidate is not None or len(self._known) == 1
        """Whether the versions known were the same for all postings."""
        self._birthdays = any(version.needs.birthday for version in recorded.all)
        self._budgets = any(version.needs.budgeted for version in self.versions)

    def programs_for(self, event: Event) -> Programs:
        """The versions that were known when a posting was recorded."""
        if self.same_for_all:
            return self.programs
        found = self.programs_at(event.recorded_at)
        if event.kind == "return" and event.subject is not None:
            return found
        # A version put at that very moment may have come just after.
        while len(found.all) > 1 and found.at(event.occurred_at).version > event.program_version:
            found = self._known[len(found.all) - 2][1]
        return found

    def programs_at(self, recorded_at: datetime) -> Programs:
        """The versions known at an instant."""
        if self.number is not None:
            return self.programs
        found = self._known[0][1]
        for known_at, programs in self._known[1:]:
            if known_at <= recorded_at:
                found = programs
        return found

    def before_judging(
        self, context: ReplayContext, event: Event, birthday: frozenset[str], used: Mapping[str, Used]
    ) -> None:
        """Readies what cannot be worked out from one family: birthdays that were known then, and budgets."""
        if self._birthdays:
            recorded = self.recorded.numbered(event.program_version)
            context.matched = birthday if recorded.needs.birthday else None
        if not self._budgets:
            return
        context.budgets.clear()  # nothing is used, but of these
        if len(self.versions) == 1 and self.number is not None and not self.closed:
            return
        version = context.programs.at(event.occurred_at)
        limits = version.needs.limits
        if version.version == self.number:
            for rule, at in self.closed.items():
                if event.occurred_at >= at:
                    context.budgets[rule] = limits[rule].budget_points or 0
            return
        for rule, before in used.items():
            if before.budget_left is not None and rule in limits:
                context.budgets[rule] = (limits[rule].budget_points or 0) - before.budget_left
