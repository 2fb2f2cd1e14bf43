"""Files as git has them: the index, what a checkout writes, and the rules of the commit that a change builds on."""
