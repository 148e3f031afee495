"""The hard limit of `--max-usd`: what a call could cost at most is reserved before it is made."""

import threading

from agent.proposers.llm.bookkeeping.prices import Price
from agent.proposers.llm.errors import BudgetExceededError


class SpendingLimit:
    """Shared by all asks of a run, in any thread."""

    def __init__(self, max_usd: float | None) -> None:
        self.max_usd = max_usd
        self.spent = 0.0
        self._reserved = 0.0
        self._lock = threading.Lock()

    def reserve(self, price: Price | None, model: str, prompt_tokens: int, reply_tokens: int) -> float:
        """Set aside the most that a call can cost, and return it. Raises BudgetExceededError where that is too much."""
        if self.max_usd is None:
            return 0.0
        self.require(price, model)
        assert price is not None
        most = price.usd(prompt_tokens, reply_tokens)
        with self._lock:
            left = self.max_usd - self.spent - self._reserved
            if most > left:
                raise BudgetExceededError(
                    f"stopped before spending more than --max-usd {self.max_usd:g}: the next call could cost "
                    f"${most:.4f} and ${max(left, 0.0):.4f} is left"
                )
            self._reserved += most
        return most

    def require(self, price: Price | None, model: str) -> None:
        """Raises BudgetExceededError where there is a limit and no price to keep it by."""
        if self.max_usd is not None and price is None:
            raise BudgetExceededError(
                f"--max-usd {self.max_usd:g} cannot be kept without the price of {model}: write a file with "
                f'`[models."{model}"]`, `input = 2.5` and `output = 10.0` on a line each (examples, in USD per million '
                "tokens) and name it with --prices FILE; or leave out --max-usd"
            )

    def settle(self, reserved: float, usd: float | None) -> None:
        """Replace a reservation by what the call cost; unknown counts as all that was reserved."""
        with self._lock:
            self._reserved -= reserved
            self.spent += reserved if usd is None else usd
