"""What should happen next. Pure: (record, observation, now) -> decision and its reason."""
