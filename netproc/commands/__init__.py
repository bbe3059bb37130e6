"""Floor 8: what people type: commands, their options, and endpoint descriptions."""
