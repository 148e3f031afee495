"""The endpoint: settings, transport, retries, what it accepts, journal, prices and the limit on spending."""
