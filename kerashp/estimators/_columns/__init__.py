"""Tables of numbers and categories, and their encoding as one matrix; a network embeds the categories."""
