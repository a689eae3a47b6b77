"""Identity and Access Management: who exists and what their policies say. Evaluates nothing."""
