"""Text formats that hold pickles or name objects to build: JSON and YAML."""
