"""A score as people and spreadsheets read it: `terminal` for a console, `html` for a page, `table` for a class list.

Each view is drawn from `records.Score` and nothing else. `phrases` holds what all of them say.
"""
