"""What loading a file with plain pickle would do, in words: see `listing.py` and `story.py`.

Reads what the machine and the judge say; decides nothing, prints nothing, imports nothing that a file names.
"""
