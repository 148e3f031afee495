"""A clock for tests of waits: nothing is waited for, and no busy machine makes a pause longer."""


class FakeTime:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        """Never cancelled."""
        self.waits.append(seconds)
        self.now += seconds
        return False
