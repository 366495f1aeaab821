"""Charts of one plan: functions from results to figures, each with its finding and its table."""
