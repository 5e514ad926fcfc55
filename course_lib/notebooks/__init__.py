"""How a lesson becomes a notebook: its source is read (source), executed (build) and measured (rules)."""
