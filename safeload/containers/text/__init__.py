"""Text formats that carry pickles or name objects: JSON in one pass, and YAML."""
