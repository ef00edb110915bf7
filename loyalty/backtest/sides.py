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


class Witness(Judge):
    """A judge whose last judgement can be looked at.

    `award` is None when nothing was judged since it was taken away. `tier`: what was judged by.
    """

    def __init__(self, judge: Judge) -> None:
        self.__dict__.update(judge.__dict__)
        self.award: Award | None = None
        self.tier = ""

    def judge(self, lines: Sequence[Line], facts: Facts) -> Award:
        self.tier = facts.tier
        self.award = award = super().judge(lines, facts)
        return award

    def judge_event(self, type: str, facts: Facts) -> Award:
        self.tier = facts.tier
        self.award = award = super().judge_event(type, facts)
        return award

    def judge_unlinked(self, lines: Sequence[Line], facts: Facts) -> Award:
        self.tier = facts.tier
        self.award = award = super().judge_unlinked(lines, facts)
        return award


def witnessed(version: ProgramVersion) -> ProgramVersion:
    return msgspec.structs.replace(version, judge=Witness(version.judge))


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
        versions = sorted(recorded.in_use(), key=lambda version: version.version)
        if candidate is None:
            self.versions = [witnessed(version) for version in versions]
        else:
            first = BEGINNING if start is None else start
            before = [version for version in versions if version.effective_from < first]
            number = recorded.newest + 1
            self.versions = [
                *(witnessed(version) for version in before),
                witnessed(msgspec.structs.replace(candidate, version=number, effective_from=first)),
            ]
        self.programs = Programs(self.versions)
        self.judges = [version.judge for version in self.versions if isinstance(version.judge, Witness)]
        self._known = [
            # A sandbox's clock may have been set back under a version: then it counts from when it was in force.
            (min(version.recorded_at, version.effective_from), Programs(self.versions[: place + 1]))
            for place, version in enumerate(self.versions)
        ]
        self.number = None if candidate is None else recorded.newest + 1

    def programs_for(self, event: Event) -> Programs:
        """The versions that were known when a posting was recorded."""
        if self.number is not None or len(self._known) == 1:
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
        recorded = self.recorded.numbered(event.program_version)
        context.matched = birthday if recorded.needs.birthday else None
        context.budgets.clear()  # nothing is used, but of these
        version = context.programs.at(event.occurred_at)
        if not version.needs.budgeted:
            return
        if version.version == self.number:
            left = {rule: 0 for rule, at in self.closed.items() if event.occurred_at >= at}
        else:
            left = {rule: one.budget_left for rule, one in used.items() if one.budget_left is not None}
        for rule in left.keys() & version.needs.limits.keys():
            context.budgets[rule] = (version.needs.limits[rule].budget_points or 0) - left[rule]
