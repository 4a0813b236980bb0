"""Report: what people see of a publication; numbers come from its marts, words and pictures from here."""
