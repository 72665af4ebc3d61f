"""Commands that are imported when they are run, and `--help` that imports none.

Nothing is re-exported: `pages` does without click, which `groups` needs.
"""
