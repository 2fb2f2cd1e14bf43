"""What is in a checkpoint, and in what two differ: from the judged Document alone, without torch and without loading.

Nothing here computes a verdict or refuses a file for its verdict: what was understood is shown, with the verdict.
"""
