"""What a terminal shows of a result, in words. Every text out of a file is escaped; nothing is printed here."""
