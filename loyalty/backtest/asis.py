"""One family as the ledger has it: nothing is decided again but what each rule gave, by the recorded facts."""

from loyalty.backtest.history import Event, Family, Merging
from loyalty.backtest.recorded import Bought, engaged
from loyalty.backtest.sides import Side, Witness
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
        """Judges one recorded posting again. `purchase`: its facts, read once for both sides."""
        if self.silent or isinstance(event, Merging) or event.kind not in ("purchase", "event", "return"):
            return
        judge = self.side.programs.numbered(event.program_version).judge
        assert isinstance(judge, Witness)
        if event.kind == "purchase":
            assert purchase is not None
            if event.id in self.family.subjects:
                self._bought[event.id] = purchase
            judge.judge(purchase.purchase.lines, purchase.judged)
            self.tally.judged(judge, purchase.purchase, event.occurred_at)
        elif event.kind == "event":
            recorded = engaged(event.facts or "")
            judge.judge_event(recorded.event.type, recorded.judged)
            self.tally.judged(judge, recorded.event, event.occurred_at)
        else:
            self._return(event, judge)

    def _return(self, event: Event, judge: Witness) -> None:
        text = event.facts or ""
        if event.subject is None:
            unlinked = unlinked_return_facts(text)
            judge.judge_unlinked(unlinked.request.lines, unlinked.judged)
            self.tally.judged(judge, unlinked.request, event.occurred_at)
            return
        facts, bought = return_facts(text), self._bought[event.subject]
        judge.judge(kept_after(bought.purchase, facts), bought.judged)
        self.tally.judged(judge, facts.request, event.occurred_at)

    def end(self) -> str | None:
        """Tells what moved. Returns the tier of the member; None if nobody stands behind the account any more."""
        return self.tally.recorded(self.family, self.tally.period.stretches().months)
