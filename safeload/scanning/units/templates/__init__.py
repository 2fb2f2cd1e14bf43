"""Chat templates: parsed as Jinja and never rendered, to see whether one leaves the sandbox that it is meant for."""
