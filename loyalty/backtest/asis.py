"""One family as the ledger has it: nothing is decided again, but for what returns took from each rule."""

from loyalty.backtest.history import Event, Family, Merging
from loyalty.backtest.recorded import Bought, engaged
from loyalty.backtest.sides import Side
from loyalty.backtest.tally import Tally
from loyalty.engine.facts import return_facts, unlinked_return_facts
from loyalty.engine.returns import kept_after


class AsIs:
    """What a family did under the programs of then, told to a tally. Call `play` for each event in order, then `end`.

    It needs books that stand in the ledger as they do at the end of the period: nothing is due in between. silent:
    what each rule gave is known already.
    """

    def __init__(self, side: Side, family: Family, tally: Tally, *, silent: bool) -> None:
        self.side = side
        self.family = family
        self.tally = tally
        self.silent = silent
        self._bought: dict[str, Bought] = {}

    def play(self, event: Event | Merging, purchase: Bought | None) -> None:
        """Counts what one recorded posting gave. `purchase`: its facts, read once for both sides."""
        if purchase is not None:
            self._purchase(purchase)
        elif isinstance(event, Event) and event.kind == "event":
            self._event(event)
        elif isinstance(event, Event) and event.kind == "return" and not self.silent:
            self._return(event)

    def _purchase(self, bought: Bought) -> None:
        purchase = bought.purchase
        by_rule = None if self.silent else bought.by_rule
        self.tally.earned(purchase, bought.judged.tier, bought.points, by_rule, bought.scale)
        if purchase.purchase_id in self.family.subjects:
            self._bought[purchase.purchase_id] = bought

    def _event(self, event: Event) -> None:
        recorded = engaged(event.facts or "")
        by_rule = None if self.silent else recorded.by_rule
        self.tally.earned(recorded.event, recorded.judged.tier, recorded.points, by_rule, recorded.scale)

    def _return(self, event: Event) -> None:
        judge, text = self.side.programs.numbered(event.program_version).judge, event.facts or ""
        if event.subject is None:
            unlinked = unlinked_return_facts(text)
            award = judge.judge_unlinked(unlinked.request.lines, unlinked.judged)
            self.tally.took_back(award.by_rule, award.scale, unlinked.request, event.occurred_at)
            return
        facts, bought = return_facts(text), self._bought[event.subject]
        award = judge.judge(kept_after(bought.purchase, facts), bought.judged)
        self.tally.took_back(award.by_rule, award.scale, facts.request, event.occurred_at)

    def close(self) -> None:
        """As a replay's; there are no books here."""

    def end(self) -> str | None:
        """Tells what else moved. Returns the tier of the member; None if nobody stands behind the account any more."""
        return self.tally.recorded(self.family, self.tally.period.stretches().months)
