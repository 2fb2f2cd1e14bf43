"""From the layout to a finished file: bytes are moved or changed, and the file appears whole or not at all."""
