"""Gate: row rules split accepted from quarantined rows; Great Expectations passes or refuses."""
