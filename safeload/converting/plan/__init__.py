"""From a Document to the layout of the output: names, equal views, encodings and places. Reads no tensor."""
