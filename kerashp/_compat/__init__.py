"""Names of other libraries that are private, or that not all supported versions have.

Each has one small function, which says what it stands for and since when it exists.
"""
