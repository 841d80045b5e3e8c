"""The report of one or several studies: one self-contained page, or Markdown, JSON or CSV."""
