"""What asks cost and what was said: prices, the spending limit, the journal."""
