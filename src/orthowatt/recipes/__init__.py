"""Recipes: functions that return a configuration, each choice named."""
