"""A result folder as a page to share: load.py reads it, page.py writes it, exports.py hands it to other tools."""
