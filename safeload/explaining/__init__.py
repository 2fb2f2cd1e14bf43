"""What loading a file with plain pickle would do, in words; and the bytes that an HTML report shows of it.

A gerund beside `inspecting`. Reads what the machine and the judge say; decides nothing, prints nothing, and imports
nothing that a file names.
"""
