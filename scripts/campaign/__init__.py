"""Campaigns: a scenario measured in randomised blocks by duel-load. DESIGN.md says what is claimed and why."""
