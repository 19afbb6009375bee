"""Pure domain: messages, outcomes, retry rules. No I/O, no clock, no framework."""
