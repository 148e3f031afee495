"""What can go wrong between archer and a language model.

    LanguageModelError
    ├── EndpointError        the endpoint or its configuration: nothing more can be asked until it is mended
    │   ├── ContextOverflowError   the prompt is longer than the model can read: a shorter one may do
    │   └── BudgetExceededError    the next call could cost more than --max-usd leaves
    └── AskFailed            the endpoint works, but no usable proposal came of it: the next ask may do better

Every one carries the exchanges made before it, so that what was paid for is archived whatever happened.
"""

from agent.errors import UserError
from archive.record import Exchange


class LanguageModelError(Exception):
    """A one-line message that says what is wrong and how to mend it, and the exchanges that led there."""

    def __init__(self, message: str, exchanges: tuple[Exchange, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.exchanges = exchanges


class EndpointError(LanguageModelError, UserError):
    """The endpoint cannot be used as configured, or did not answer in time."""


class ContextOverflowError(EndpointError):
    """The endpoint says that the prompt does not fit its context."""


class BudgetExceededError(EndpointError):
    """The hard limit of `--max-usd` does not allow another call."""


class AskFailed(LanguageModelError):  # noqa: N818 - the word of the loop
    """The model answered, but not with a usable proposal, within the attempts that an ask has."""
