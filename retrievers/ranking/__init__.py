"""What puts found passages in order: functions over arrays of scores."""
