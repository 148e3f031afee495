"""What can go wrong between archer and a language model.

    AskFailed                    the endpoint works, but no usable proposal came of it: the next ask may do better
    └── EndpointError            the endpoint or its configuration: nothing more can be asked until it is mended
        ├── PassingError            it did not answer this ask: it may answer a later one, or another model may
        │   └── BusyError               it is busy for longer than the ask may take
        ├── UnnamedModelError       it offers several models, or lists none: one has to be named
        ├── ContextOverflowError    the prompt is longer than the model can read: a shorter one may do
        ├── PromptTooLongError      no shorter prompt can be made: the budget is too small for any
        └── BudgetExceededError     the next call could cost more than --max-usd leaves

Every one carries the exchanges made before it, so that what was paid for is archived whatever happened. Whoever handles
failed asks handles all of them; who wants to stop at once handles EndpointError, which is also an error of the user's.
A search goes on after a PassingError, until too many asks in a row end in one.
"""

from agent.errors import UserError
from agent.proposer import AskFailed


class EndpointError(AskFailed, UserError):
    """The endpoint cannot be used as configured, or did not answer in time. One line: what, and how to mend it."""

    @property
    def message(self) -> str:
        """The line."""
        return str(self)


class PassingError(EndpointError):
    """The endpoint gave this ask no reply, for a reason that may pass."""

    passing = True


class BusyError(PassingError):
    """The endpoint is busy, or loads its model, for longer than the ask may take."""


class UnnamedModelError(EndpointError):
    """The endpoint answers, and does not say which model is to be asked: it offers several, or lists none."""

    def __init__(self, message: str, offered: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.offered = offered


class ContextOverflowError(EndpointError):
    """The endpoint says that the prompt does not fit its context."""


class PromptTooLongError(EndpointError):
    """The prompt with everything left out that can be is still longer than the budget. `needed`: its tokens."""

    def __init__(self, message: str, needed: int = 0) -> None:
        super().__init__(message)
        self.needed = needed


class BudgetExceededError(EndpointError):
    """The hard limit of `--max-usd` does not allow another call."""
