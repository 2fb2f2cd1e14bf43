"""What is in a checkpoint, and in what two differ: from the judged Document alone, without torch and without loading.

A gerund, because the public function `safeload.inspect` has the verb. Nothing here computes a verdict, and nothing is
refused for its verdict: what was understood is shown, with the verdict beside it.
"""
