"""Files as git has them: in the index, as a checkout writes them; and the rules in the commit below a change."""
