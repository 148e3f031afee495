"""What is configured about a model: settings, options of each provider, what must not be written anywhere."""
